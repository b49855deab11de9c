//! Every crash of a checkpoint store, enumerated.
//!
//! A [`SimDisk`] keeps what is durable apart from what is seen. [`explore`] runs the production
//! code on it, ends the process before every call, cuts the power or leaves the cache, and runs the
//! production code again on every image that may be left. docs/crash-model.md has the model.
//! ```
//! use repl_harness::crash::{Config, explore};
//!
//! let small = Config { saves: 1, later_saves: 1, crashes: 1, ..Config::default() };
//! let report = explore(&small, None, |_| ());
//! assert!(report.violation.is_none(), "{report}");
//! assert!(report.images > report.distinct);
//! ```

mod disk;
mod explore;
mod fault;
mod history;
mod invariant;
mod life;
mod matrix;
mod media;
mod protocol;
mod random;
mod reader;
mod sabotage;
pub mod shutdown;
mod suite;
mod watched;

pub use self::disk::{
    Call, Entry, Left, NotLeft, SimDir, SimDisk, SimFile, SimLock, Tree, tree_below,
};
pub use self::explore::{Config, Progress, Report, explore, explore_own};
pub use self::fault::{Fault, How};
pub use self::invariant::{Invariant, Violation};
pub use self::matrix::{FailingCase, MatrixReport, matrix};
pub use self::media::{MediaReport, damage};
pub use self::protocol::{OpenStore, Store};
pub use self::random::{RandomReport, random};
pub use self::sabotage::Sabotage;
pub use self::suite::{Stage, StoreReport, SuiteReport, Trial, suite, try_wrong};
