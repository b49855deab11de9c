//! Runs work on threads, and turns their panics into errors.

use std::any::Any;
use std::thread;

use crate::done::Fallible;

/// Runs each item on a thread of its own. Returns the results in order, or the first error.
pub(crate) fn side_by_side<I: Send, T: Send>(
    items: impl IntoIterator<Item = I>,
    run: impl Fn(I) -> Fallible<T> + Sync,
) -> Fallible<Vec<T>> {
    thread::scope(|scope| {
        let run = &run;
        let start = |item| scope.spawn(move || run(item));
        let threads: Vec<_> = items.into_iter().map(start).collect();
        threads.into_iter().map(|thread| joined(thread.join())).collect()
    })
}

/// The result of a thread that has ended.
pub(crate) fn joined<T>(ended: thread::Result<Fallible<T>>) -> Fallible<T> {
    ended.unwrap_or_else(|panic| Err(format!("a panic: {}", text(&*panic)).into()))
}

fn text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no text")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_keep_their_order_and_a_panic_becomes_an_error() {
        assert_eq!(side_by_side([1, 2, 3], |n| Ok(n * 2)).unwrap(), [2, 4, 6]);
        let failed = side_by_side([1, 2], |n| if n == 2 { panic!("at {n}") } else { Ok(n) });
        assert_eq!(failed.unwrap_err().to_string(), "a panic: at 2");
    }
}
