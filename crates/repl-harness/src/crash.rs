//! Enumerates every crash of a checkpoint store.
//!
//! A [`SimDisk`] keeps what is durable apart from what reads return. [`explore`] runs the production
//! code on it, ends the process before every call, cuts the power or keeps the cache, and runs the
//! production code again on every image that may be left. docs/crash-model.md describes the model.
//! ```
//! use repl_harness::crash::{Config, explore};
//!
//! let small = Config { saves: 1, later_saves: 1, crashes: 1, ..Config::default() };
//! let report = explore(&small, None, |_| ());
//! assert!(report.violation.is_none(), "{report}");
//! assert!(report.images > report.distinct);
//! ```

mod damage;
mod deltas;
mod disk;
mod explore;
mod fault;
mod history;
mod invariant;
mod kind;
mod layout;
mod lengths;
mod matrix;
mod mutants;
mod padded;
mod process;
mod protocol;
mod random;
mod records;
mod replaced;
mod suite;
mod verdict;
mod watched;

pub use self::damage::{DamageReport, damage};
pub use self::deltas::deltas;
pub use self::disk::{
    Call, Entry, ImageStats, NotAnImage, SimDir, SimDisk, SimFile, SimLock, Tree, read_tree,
};
pub use self::explore::{Config, Progress, Report, explore, explore_own};
pub use self::fault::{Fault, FaultKind};
pub use self::history::{History, Written};
pub use self::invariant::{Invariant, Violation};
pub use self::kind::StoreKind;
pub use self::lengths::lengths;
pub use self::matrix::{FailingCase, MatrixReport, matrix};
pub use self::mutants::Mutant;
pub use self::protocol::OpenStore;
pub use self::random::{RandomReport, random};
pub use self::replaced::{ReplacedReport, replaced};
pub use self::suite::{Stage, StoreReport, SuiteReport, Trial, suite, try_mutant};
