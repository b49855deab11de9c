//! Closed and dropped by the functions that run on its own thread.

use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};

use repl_checkpoint::{Attempt, BackgroundCheckpointer, CheckpointError, Close, Schedule};

use crate::background::HOUR;
use crate::support::scripted::Scripted;
use crate::support::{Flushed, eventually, watched};

/// The function that ends it.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Inside {
    Flush,
    OnError,
    OnSave,
}

const ALL: [Inside; 3] = [Inside::Flush, Inside::OnError, Inside::OnSave];

/// What it does there, once.
type End = fn(BackgroundCheckpointer, &Sender<Close>);

/// The background checkpointer, where its own functions find it.
type Own = Arc<Mutex<Option<BackgroundCheckpointer>>>;

/// Starts one that is ended by `inside` in its first save, and returns the number of saves in the
/// store and the future of its end, if there is one.
fn ended(inside: Inside, end: End) -> (usize, Option<Close>) {
    let store = Scripted::default();
    let mut follower = store.recovered(&[1]);
    let floors = follower.checkpointer.floors();
    let own = Own::default();
    let (closes, begun) = channel();
    let end_in = |here: Inside| {
        let (own, closes) = (Arc::clone(&own), closes.clone());
        move || {
            let background = own.lock().unwrap().take_if(|_| here == inside);
            if let Some(background) = background {
                end(background, &closes);
            }
        }
    };
    let (in_flush, in_error, in_save) =
        (end_in(Inside::Flush), end_in(Inside::OnError), end_in(Inside::OnSave));
    // Lets the thread end this loop when it has ended.
    let alive = Arc::new(());
    let is_alive = Arc::downgrade(&alive);
    let flush = move |_: &mut Attempt| -> Flushed {
        assert_eq!(Arc::strong_count(&alive), 1);
        in_flush();
        if inside == Inside::OnError { Err("no".into()) } else { Ok(()) }
    };
    let on_error = move |_: &CheckpointError| in_error();
    follower.checkpointer.on_save(move |_| in_save());
    let background = follower.checkpointer.spawn(Schedule::every(HOUR), flush, on_error).unwrap();
    let mut place = own.lock().unwrap();
    background.save_now();
    *place = Some(background);
    drop(place);
    eventually("the end of the thread", || is_alive.strong_count() == 0);
    assert_eq!(floors.health().running_since, None);
    (store.saves(), begun.try_recv().ok())
}

#[test]
fn dropped_by_its_own_functions_it_ends_after_the_save_in_progress() {
    for inside in ALL {
        let (saves, _) =
            watched("dropped", move || ended(inside, |background, _| drop(background)));
        assert_eq!(saves, usize::from(inside != Inside::OnError), "{inside:?}");
    }
}

#[test]
fn closed_by_its_own_functions_it_saves_a_last_time_and_ends() {
    for inside in ALL {
        let (saves, _) =
            watched("closed", move || ended(inside, |background, _| drop(background.close())));
        assert_eq!(saves, if inside == Inside::OnError { 0 } else { 2 }, "{inside:?}");
    }
}

#[test]
fn a_close_begun_by_its_own_functions_can_be_waited_for_elsewhere() {
    for inside in ALL {
        watched("closed from inside", move || {
            let (_, close) = ended(inside, |background, closes| {
                closes.send(background.close()).unwrap();
            });
            let closed = close.unwrap().wait();
            assert_eq!(closed.is_ok(), inside != Inside::OnError, "{inside:?}");
        });
    }
}
