//! Panics as values.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Calls `act`; a panic becomes its message.
pub(crate) fn caught<T>(act: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(act)).map_err(|panic| message(&*panic))
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic".to_owned())
}

#[cfg(test)]
mod tests {
    use super::caught;

    #[test]
    fn a_panic_becomes_its_message() {
        assert_eq!(caught(|| 7), Ok(7));
        let index = 3;
        assert_eq!(caught(|| assert!(index < 3, "index {index}")), Err("index 3".to_owned()));
        assert_eq!(caught(|| assert!(index < 3, "static")), Err("static".to_owned()));
        assert_eq!(caught(|| std::panic::panic_any(index)), Err("a panic".to_owned()));
    }
}
