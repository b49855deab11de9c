//! An error and its causes as one line.

use std::error::Error;
use std::iter::successors;

/// The message of `error` and of every cause below it, joined with ": ".
pub(crate) fn with_causes(error: &dyn Error) -> String {
    let chain = successors(Some(error), |error| (*error).source());
    chain.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
