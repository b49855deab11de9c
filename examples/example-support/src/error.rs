//! Errors that end a program, each with the act that failed and its cause.

use std::error::Error as StdError;
use std::path::Path;

/// An error that ends a program.
pub type Error = Box<dyn StdError + Send + Sync>;

#[derive(Debug, thiserror::Error)]
#[error("{what}")]
struct Failed {
    what: String,
    source: Error,
}

/// Adds to an error what failed.
pub trait Context<T> {
    /// Returns the error `what`, with the present one as its source.
    fn context(self, what: impl FnOnce() -> String) -> Result<T, Error>;

    /// Returns the error that the program cannot `act` on a file, with the present one as its
    /// source.
    fn at(self, act: &str, path: impl AsRef<Path>) -> Result<T, Error>;
}

impl<T, E: Into<Error>> Context<T> for Result<T, E> {
    fn context(self, what: impl FnOnce() -> String) -> Result<T, Error> {
        self.map_err(|source| Failed { what: what(), source: source.into() }.into())
    }

    fn at(self, act: &str, path: impl AsRef<Path>) -> Result<T, Error> {
        self.context(|| format!("cannot {act} {}", path.as_ref().display()))
    }
}

/// Returns the error and its causes in one line. A cause that its error prints itself, as some
/// errors of SQLite do, is not repeated.
pub fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        next = cause.source();
    }
    text
}
