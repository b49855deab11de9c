//! A process of a race: it makes the calls that it reads, and judges nothing.

use std::fmt::Display;
use std::future::Future;
use std::io::{self, BufRead, Write};
use std::pin::{Pin, pin};
use std::process::exit;
use std::sync::Barrier;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{Scope, scope};

use repl_checkpoint::{RemoteStore, StoreId};

use super::message::{self, MARK, Words, one_line};
use super::perform::perform;
use super::step::{Call, Order, Outcome, Seen, Step};
use crate::panics::caught;

/// A future for an executor of yours to run to its end.
pub type Task<'a> = Pin<&'a mut (dyn Future<Output = ()> + Send + 'a)>;

/// Is set in the processes of a race.
pub(super) const VARIABLE: &str = "REPL_HARNESS_RACE";

/// Returns whether this process was started by [`run`](super::run), and has to call [`work`].
pub fn is_worker() -> bool {
    std::env::var_os(VARIABLE).is_some()
}

/// Makes the calls of this process's writers. Never returns: the process ends with the race.
///
/// `open` makes a store of its URL and its record; it is called once for each writer. `block_on`
/// runs a future to its end, on the thread that calls it: `|task| runtime.block_on(task)`. Both are
/// called from several threads at once.
pub fn work<S, E>(
    open: impl Fn(&str, StoreId) -> Result<S, E> + Sync,
    block_on: impl Fn(Task<'_>) + Sync,
) -> !
where
    S: RemoteStore,
    E: Display,
{
    let mut lines = io::stdin().lock().lines().map_while(Result::ok);
    let first = lines.next().unwrap_or_default();
    let Some(opening) = Opening::of(&first) else { exit(0) };
    scope(|scope| {
        let process = Process { open: &open, block_on: &block_on, opening: &opening };
        process.run(scope, lines);
        // A writer that hangs would keep this scope from ending.
        exit(0)
    })
}

/// The first message: which writers are here, and what they open.
struct Opening {
    record: StoreId,
    first: usize,
    every: usize,
    writers: usize,
    url: String,
}

impl Opening {
    fn of(line: &str) -> Option<Self> {
        let mut parts = line.splitn(5, ' ');
        let mut next = || parts.next();
        let record = StoreId(next()?.parse().ok()?);
        let mut number = || next()?.parse().ok();
        let (first, every, writers) = (number()?, number()?, number()?);
        Some(Opening { record, first, every, writers, url: parts.next()?.to_owned() })
    }
}

struct Process<'a, O, B> {
    open: &'a O,
    block_on: &'a B,
    opening: &'a Opening,
}

impl<O, B> Clone for Process<'_, O, B> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<O, B> Copy for Process<'_, O, B> {}

impl<'a, O, B> Process<'a, O, B> {
    fn run<'scope, 'env, S, E>(
        self,
        scope: &'scope Scope<'scope, 'env>,
        lines: impl Iterator<Item = String>,
    ) where
        O: Fn(&str, StoreId) -> Result<S, E> + Sync,
        B: Fn(Task<'_>) + Sync,
        S: RemoteStore,
        E: Display,
        'a: 'scope,
    {
        let Opening { first, every, writers, .. } = *self.opening;
        let mine = (first..writers).step_by(every.max(1));
        // Leaked, as the process ends by `exit`.
        let barrier: &Barrier = Box::leak(Box::new(Barrier::new(mine.len())));
        let start = |writer| {
            let (sender, orders) = channel();
            scope.spawn(move || self.writer(writer, &orders, barrier));
            (writer, sender, Vec::new())
        };
        let mut writers: Vec<(usize, Sender<Vec<Order>>, Vec<Order>)> = mine.map(start).collect();
        for line in lines {
            if line == "go" {
                for (_, sender, orders) in &mut writers {
                    let _ = sender.send(std::mem::take(orders)); // it has ended: it said why
                }
                continue;
            }
            let mut words = Words::of(&line);
            let (Some(writer), Some(order)) = (words.number::<usize>(), words.order()) else {
                return;
            };
            if let Some((.., orders)) = writers.iter_mut().find(|(number, ..)| *number == writer) {
                orders.push(order);
            }
        }
    }

    fn writer<S, E>(self, writer: usize, orders: &Receiver<Vec<Order>>, barrier: &Barrier)
    where
        O: Fn(&str, StoreId) -> Result<S, E>,
        B: Fn(Task<'_>),
        S: RemoteStore,
        E: Display,
    {
        let opened = caught(|| (self.open)(&self.opening.url, self.opening.record));
        let mut store = match opened {
            Ok(Ok(store)) if store.store_id() == self.opening.record => store,
            Ok(Ok(store)) => {
                let (id, record) = (store.store_id(), self.opening.record);
                return say(&format!("failed {writer} its id is {id}, and not {record}"));
            }
            Ok(Err(error)) => {
                return say(&format!("failed {writer} {}", one_line(&error.to_string())));
            }
            Err(panic) => return say(&format!("failed {writer} {}", one_line(&panic))),
        };
        say(&format!("ready {writer} {}", one_line(&store.place())));
        for orders in orders {
            barrier.wait();
            let mut mine = None;
            for order in orders {
                let Some(step) = resolved(order.step, mine) else { continue };
                let outcome = self.made(&mut store, Order { step, ..order });
                if let Outcome::Acquired(seen) = outcome {
                    mine = Some(seen);
                }
                say(&format!("call {}", message::call(&Call { writer, step, outcome })));
            }
            say(&format!("done {writer}"));
        }
    }

    fn made<S: RemoteStore>(&self, store: &mut S, order: Order) -> Outcome
    where
        B: Fn(Task<'_>),
    {
        let run = || {
            let mut outcome = None;
            (self.block_on)(pin!(async { outcome = Some(perform(store, order).await) }));
            outcome
        };
        match caught(run) {
            Ok(Some(outcome)) => outcome,
            Ok(None) => Outcome::Panicked("block_on returned before its future ended".to_owned()),
            Err(panic) => Outcome::Panicked(panic),
        }
    }
}

/// A save under the lease that was just taken, as a save.
fn resolved(step: Step, mine: Option<Seen>) -> Option<Step> {
    let Step::SaveMine { content } = step else { return Some(step) };
    let Seen { lease, generation: previous } = mine?;
    Some(Step::Save { lease, previous, generation: previous.checked_add(1)?, content })
}

/// Past `print!`, which a test captures; and on a line of its own, whatever stands there before.
fn say(line: &str) {
    let mut out = io::stdout().lock();
    let said = out.write_all(format!("\n{MARK}{line}\n").as_bytes()).and_then(|()| out.flush());
    if said.is_err() {
        exit(0) // nobody reads any more
    }
}
