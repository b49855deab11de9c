//! Spans of recoveries, flushes and saves; and events of what an operator must know.

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::fs;
use std::sync::{Arc, Mutex};

use repl_checkpoint::OnCorrupt;
use repl_core::ShardId;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use crate::support::scripted::{Outcome, Scripted};
use crate::support::{begun, durable, file, recovered, save, try_recover};

const ONE: ShardId = ShardId(1);

/// Notes each span when it is closed, and each event, of the target of this crate.
#[derive(Clone, Default)]
struct Notes(Arc<Mutex<Noted>>);

#[derive(Default)]
struct Noted {
    lines: Vec<String>,
    spans: BTreeMap<u64, Open>,
    entered: Vec<u64>,
    next: u64,
}

struct Open {
    name: &'static str,
    fields: Fields,
    references: usize,
}

/// Fields as ` name=value`, in the order in which they come.
#[derive(Default)]
struct Fields(String);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        write!(self.0, " {field}={value:?}").unwrap();
    }
}

impl Notes {
    /// Runs `f`, and returns the lines that are noted meanwhile on this thread.
    fn of(f: impl FnOnce()) -> Vec<String> {
        let notes = Notes::default();
        tracing::subscriber::with_default(notes.clone(), f);
        std::mem::take(&mut notes.0.lock().unwrap().lines)
    }
}

impl Subscriber for Notes {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "repl_checkpoint"
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut noted = self.0.lock().unwrap();
        noted.next += 1;
        let id = noted.next;
        let mut fields = Fields::default();
        span.record(&mut fields);
        let name = span.metadata().name();
        let level = if name == "recover" { Level::INFO } else { Level::DEBUG };
        assert_eq!(*span.metadata().level(), level, "{name}");
        noted.spans.insert(id, Open { name, fields, references: 1 });
        Id::from_u64(id)
    }

    fn record(&self, span: &Id, values: &Record<'_>) {
        let mut noted = self.0.lock().unwrap();
        values.record(&mut noted.spans.get_mut(&span.into_u64()).unwrap().fields);
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let mut noted = self.0.lock().unwrap();
        let inside = noted.entered.last().map_or("", |id| noted.spans[id].name);
        let line = format!("{} in {inside:?}:{}", event.metadata().level(), fields.0);
        noted.lines.push(line);
    }

    fn enter(&self, span: &Id) {
        self.0.lock().unwrap().entered.push(span.into_u64());
    }

    fn exit(&self, span: &Id) {
        assert_eq!(self.0.lock().unwrap().entered.pop(), Some(span.into_u64()));
    }

    fn clone_span(&self, span: &Id) -> Id {
        self.0.lock().unwrap().spans.get_mut(&span.into_u64()).unwrap().references += 1;
        span.clone()
    }

    fn try_close(&self, span: Id) -> bool {
        let mut noted = self.0.lock().unwrap();
        let open = noted.spans.get_mut(&span.into_u64()).unwrap();
        open.references -= 1;
        if open.references > 0 {
            return false;
        }
        let Open { name, fields, .. } = noted.spans.remove(&span.into_u64()).unwrap();
        noted.lines.push(format!("{name}{}", fields.0));
        true
    }
}

const STORE: &str = "store=0000000000000000000000000000feed";

#[test]
fn a_recovery_a_flush_and_a_save_are_spans_with_what_they_found_and_wrote() {
    let store = Scripted::default();
    let mut bytes = 0;
    let lines = Notes::of(|| {
        let mut follower = store.recovered(&[1]);
        follower.checkpointer.on_save(|report| assert_eq!(report.generation, 1));
        follower.state.advance(ONE, 5);
        let saved = follower.checkpointer.checkpoint(|_| {
            tracing::info!(target: "repl_checkpoint", "flushing");
            Ok(())
        });
        let repl_checkpoint::Saved::Written(report) = saved.unwrap() else { panic!("unchanged") };
        bytes = report.bytes;
        drop(follower);
        store.recovered(&[1]);
    });
    assert_eq!(
        lines,
        [
            format!(r#"recover {STORE} generation=0 bytes=0 outcome="fresh""#),
            r#"INFO in "flush": message=flushing"#.to_owned(),
            format!(r#"flush {STORE} outcome="flushed""#),
            format!(r#"save {STORE} generation=1 bytes={bytes} outcome="whole""#),
            format!(r#"recover {STORE} generation=1 bytes={bytes} outcome="resumed""#),
        ]
    );
}

#[test]
fn a_failed_flush_and_a_dropped_attempt_are_outcomes_of_their_spans() {
    let mut follower = Scripted::default().recovered(&[1]);
    let lines = Notes::of(|| {
        follower.checkpointer.checkpoint(|_| Err("no room".into())).unwrap_err();
        drop(begun(&mut follower.checkpointer));
    });
    let of = |outcome| format!("flush {STORE} outcome={outcome:?}");
    assert_eq!(lines, [of("flush_failed"), of("dropped")]);
}

#[test]
fn damage_that_recovery_passes_over_and_a_recovery_that_fails_are_events() {
    let dir = tempfile::tempdir().unwrap();
    let mut follower = recovered(dir.path(), &[1]);
    save(&mut follower.checkpointer);
    save(&mut follower.checkpointer);
    drop(follower);
    let newest = file(dir.path(), 2);
    fs::write(&newest, b"").unwrap();
    let lines = Notes::of(|| {
        try_recover(dir.path(), &[1], OnCorrupt::Fail).unwrap_err();
        try_recover(dir.path(), &[1], OnCorrupt::FallBack).unwrap();
    });
    let begins = [
        format!(
            r#"ERROR in "recover": message=recovery failed error="checkpoint {}"#,
            newest.display()
        ),
        format!(r#"recover {STORE} outcome="failed""#),
        format!(
            r#"WARN in "recover": message=a damaged checkpoint was passed over path={} reason=""#,
            newest.display()
        ),
        format!("recover {STORE} generation=1 bytes="),
    ];
    assert_eq!(lines.len(), begins.len(), "{lines:#?}");
    for (line, begin) in lines.iter().zip(&begins) {
        assert!(line.starts_with(begin), "{line}\nbegins not with\n{begin}");
    }
}

#[test]
fn a_save_in_doubt_and_the_reopening_of_its_store_are_events() {
    let store = Scripted::default();
    let mut follower = store.recovered(&[1]);
    store.fail_next(&[Outcome::InDoubtButThere]);
    let lines = Notes::of(|| {
        follower.checkpointer.checkpoint(durable).unwrap_err();
        follower.checkpointer.reopen(|| Err::<Scripted, _>("no such disk")).unwrap_err();
        follower.checkpointer.reopen(|| store.open()).unwrap();
    });
    let [_flush, doubt, saved, failed, reopened] = &lines[..] else { panic!("{lines:#?}") };
    let in_doubt = r#"ERROR in "save": message=a save is in doubt error=""#;
    assert!(doubt.starts_with(in_doubt), "{doubt}");
    assert_eq!(*saved, format!(r#"save {STORE} outcome="in_doubt""#));
    let why = "failed to open the store again: no such disk";
    assert_eq!(*failed, format!(r#"ERROR in "": message=reopening failed {STORE} error="{why}""#));
    let expected = format!(r#"INFO in "": message=the store was reopened {STORE} generation=1"#);
    assert_eq!(*reopened, expected);
}
