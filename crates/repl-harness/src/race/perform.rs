//! Makes the calls of an order.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use repl_checkpoint::{RemoteFailure, RemoteStore};

use super::content;
use super::step::{Order, Outcome, Seen, Step};

/// Makes one call. If its future is to be dropped and does not end before, the outcome says so.
pub(crate) async fn perform<S: RemoteStore>(store: &mut S, order: Order) -> Outcome {
    let mut call = pin!(call(store, order.step));
    let Some(mut left) = order.polls else { return call.await };
    poll_fn(|cx| {
        if left > 0 {
            left -= 1;
            if let Poll::Ready(outcome) = call.as_mut().poll(cx) {
                return Poll::Ready(outcome);
            }
        }
        if left == 0 { Poll::Ready(Outcome::Dropped) } else { Poll::Pending }
    })
    .await
}

async fn call<S: RemoteStore>(store: &mut S, step: Step) -> Outcome {
    if let Some(acquire) = step.acquire() {
        let acquired = store.acquire(acquire).await;
        return acquired.map_or_else(failed, |held| Outcome::Acquired(Seen::from(&held)));
    }
    if let Step::Save { content, .. } = step {
        let bytes = content::bytes(content);
        let Some(save) = step.save(&bytes) else { return Outcome::Dropped };
        return store.save(save).await.map_or_else(failed, |()| Outcome::Saved);
    }
    let Step::Load { at_most } = step else { return Outcome::Dropped };
    match store.load(at_most).await {
        Ok(kept) => Outcome::Loaded(kept.map(|kept| (kept.generation, content::of(&kept.bytes)))),
        Err(failure) => failed(failure),
    }
}

fn failed(failure: RemoteFailure) -> Outcome {
    match failure {
        RemoteFailure::Unavailable(cause) => Outcome::Unavailable(with_causes(&*cause)),
        RemoteFailure::InDoubt(cause) => Outcome::InDoubt(with_causes(&*cause)),
        RemoteFailure::Refused(held) => Outcome::Refused(held.as_ref().map(Seen::from)),
    }
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
