//! What has failed at a server, and what is known then.

use std::error::Error;
use std::sync::Arc;

use repl_checkpoint::RemoteFailure;
use tokio_postgres::error::Severity;

/// What is known after a statement failed.
pub(crate) fn failure(error: tokio_postgres::Error) -> RemoteFailure {
    let is_rolled_back =
        error.as_db_error().is_some_and(|error| error.parsed_severity() == Some(Severity::Error));
    if is_rolled_back { unavailable(error) } else { RemoteFailure::InDoubt(cause(error)) }
}

/// A failure of what cannot have changed anything.
pub(crate) fn unavailable(error: tokio_postgres::Error) -> RemoteFailure {
    RemoteFailure::Unavailable(cause(error))
}

/// An error, as the cause of a failure.
pub(crate) fn cause(
    error: impl Into<Box<dyn Error + Send + Sync>>,
) -> Arc<dyn Error + Send + Sync> {
    Arc::from(error.into())
}
