// The public surface of repl-harness, without docs, bodies and auto traits.
// Written by `cargo xtask api --write`.

use repl_checkpoint::Checkpoint;
use repl_checkpoint::CheckpointStore;
use repl_checkpoint::Codec;
use repl_checkpoint::Disk;
use repl_checkpoint::OpenStoreError;
use repl_checkpoint::Saved;
use repl_checkpoint::StoreId;
use repl_core::Advance;
use repl_core::AppliedSet;
use repl_core::ApplyWindow;
use repl_core::ClaimError;
use repl_core::CompleteError;
use repl_core::Completion;
use repl_core::Incarnation;
use repl_core::NewShard;
use repl_core::NextChange;
use repl_core::Reached;
use repl_core::SeqNo;
use repl_core::Shard;
use repl_core::ShardId;
use repl_core::Snapshot;
use repl_core::WaitError;
use repl_core::WindowError;
use serde::Deserialize;
use serde::Serialize;
use std::collections::BTreeMap;
use std::error;
use std::ffi::OsString;
use std::fmt::Debug;
use std::fmt::Display;
use std::hash::Hash;
use std::io::BufRead;
use std::io::Write;
use std::io;
use std::ops::Range;
use std::ops::RangeInclusive;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

pub mod crash {
    pub struct Call {
        pub verb: &'static str,
        pub path: PathBuf,
        pub fault: Option<FaultKind>,
    }
    impl Clone for Call;
    impl Debug for Call;
    impl Eq for Call;
    impl PartialEq for Call;

    pub struct Config {
        pub store: StoreKind,
        pub saves: usize,
        pub later_saves: usize,
        pub shards: usize,
        pub completed: [u64; 3],
        pub crashes: usize,
        pub faults: usize,
        pub stride: usize,
        pub threads: usize,
        pub sector: usize,
        pub prune: bool,
    }
    impl Clone for Config;
    impl Copy for Config;
    impl Debug for Config;
    impl Default for Config;

    pub struct DamageReport {
        pub images: u64,
        pub elapsed: Duration,
        pub violation: Option<Violation>,
    }
    impl Clone for DamageReport;
    impl Debug for DamageReport;
    impl Display for DamageReport;

    pub enum Entry {
        Dir,
        File(Vec<u8>),
    }
    impl Clone for Entry;
    impl Debug for Entry;
    impl Eq for Entry;
    impl PartialEq for Entry;

    pub struct FailingCase {
        pub case: String,
        pub what: String,
    }
    impl Clone for FailingCase;
    impl Debug for FailingCase;
    impl Eq for FailingCase;
    impl PartialEq for FailingCase;

    pub struct Fault {
        pub call: usize,
        pub kind: FaultKind,
        pub permanent: bool,
    }
    impl Clone for Fault;
    impl Copy for Fault;
    impl Debug for Fault;
    impl Eq for Fault;
    impl Hash for Fault;
    impl PartialEq for Fault;

    pub enum FaultKind {
        Errno(i32),
        DoneBut(i32),
        Short(usize),
        SyncLost { errno: i32, cache_survives: bool },
    }
    impl Clone for FaultKind;
    impl Copy for FaultKind;
    impl Debug for FaultKind;
    impl Display for FaultKind;
    impl Eq for FaultKind;
    impl Hash for FaultKind;
    impl PartialEq for FaultKind;

    pub struct ImageStats {
        pub unsettled: u64,
        pub between: u64,
        pub garbage: u64,
    }
    impl Clone for ImageStats;
    impl Copy for ImageStats;
    impl Debug for ImageStats;
    impl Default for ImageStats;
    impl Eq for ImageStats;
    impl PartialEq for ImageStats;

    pub enum Invariant {
        NoPanic,
        RecoveredWasWritten,
        AcknowledgedSurvives,
        NotSavedIsAbsent,
        RecoverySucceeds,
        AtMostOneTorn,
        NextSaveSucceeds,
        OpenRemovesTemps,
        TempsOnlyRemoved,
        FloorsHold,
        OneOwner,
        GenerationsRise,
        WithinApplied,
        DamageIsReported,
        OneDamageSurvived,
    }
    impl Clone for Invariant;
    impl Copy for Invariant;
    impl Debug for Invariant;
    impl Display for Invariant;
    impl Eq for Invariant;
    impl Hash for Invariant;
    impl Ord for Invariant;
    impl PartialEq for Invariant;
    impl PartialOrd for Invariant;

    pub struct MatrixReport {
        pub cases: u64,
        pub images: u64,
        pub elapsed: Duration,
        pub failing: Vec<FailingCase>,
    }
    impl Clone for MatrixReport;
    impl Debug for MatrixReport;
    impl Display for MatrixReport;

    // Mutant: made by a macro, see below.

    #[non_exhaustive]
    pub enum NotAnImage {
        Names { dir: PathBuf, names: Vec<OsString> },
        Kind { path: PathBuf },
        Length { path: PathBuf, length: usize, durable: usize, reach: usize },
        Sector { path: PathBuf, sector: usize },
        Apart { path: PathBuf },
    }
    impl Clone for NotAnImage;
    impl Debug for NotAnImage;
    impl Display for NotAnImage;
    impl Eq for NotAnImage;
    impl error::Error for NotAnImage;
    impl PartialEq for NotAnImage;

    pub type OpenStore = fn(
        SimDisk,
        &Path,
        StoreId,
    ) -> Result<Box<dyn CheckpointStore>, OpenStoreError>;

    pub struct Progress {
        pub crashes: usize,
        pub done: usize,
        pub of: usize,
        pub images: u64,
        pub distinct: u64,
    }
    impl Clone for Progress;
    impl Copy for Progress;
    impl Debug for Progress;
    impl Eq for Progress;
    impl PartialEq for Progress;

    pub struct RandomReport {
        pub store: StoreKind,
        pub seed: u64,
        pub chains: u64,
        pub processes: u64,
        pub elapsed: Duration,
        pub violation: Option<Violation>,
    }
    impl Clone for RandomReport;
    impl Debug for RandomReport;
    impl Display for RandomReport;

    pub struct Report {
        pub images: u64,
        pub distinct: u64,
        pub contents: u64,
        pub crash_points: u64,
        pub processes: u64,
        pub not_enumerated: u64,
        pub elapsed: Duration,
        pub violation: Option<Violation>,
    }
    impl Clone for Report;
    impl Debug for Report;
    impl Display for Report;

    pub struct SimDir { .. }
    impl Clone for SimDir;
    impl Debug for SimDir;

    pub struct SimDisk { .. }
    impl Clone for SimDisk;
    impl Default for SimDisk;
    impl Disk for SimDisk {
        type File = SimFile;
        type Dir = SimDir;
        type Lock = SimLock;
    }
    impl SimDisk {
        pub fn after_power_cut(&self) -> Option<Vec<SimDisk>>;
        #[must_use]
        pub fn after_process_death(&self) -> SimDisk;
        pub fn calls(&self) -> Vec<Call>;
        pub fn fail(&self, fault: Option<Fault>);
        pub fn files(&self) -> BTreeMap<PathBuf, Vec<u8>>;
        #[must_use]
        pub fn fork(&self) -> SimDisk;
        pub fn from_tree(tree: &Tree) -> io::Result<SimDisk>;
        pub fn has_failed(&self) -> bool;
        pub fn may_leave(&self, found: &Tree) -> Result<ImageStats, NotAnImage>;
        pub fn new() -> Self;
        pub fn open_write(&self, path: &Path) -> io::Result<SimFile>;
        pub fn put(&self, path: &Path, bytes: &[u8]) -> io::Result<()>;
        pub fn tree(&self) -> Tree;
    }

    pub struct SimFile { .. }
    impl Clone for SimFile;
    impl Debug for SimFile;

    pub struct SimLock { .. }
    impl Drop for SimLock;

    pub enum Stage {
        Crashes { crashes: usize, faults: usize },
        Damage,
    }
    impl Clone for Stage;
    impl Copy for Stage;
    impl Debug for Stage;
    impl Eq for Stage;
    impl PartialEq for Stage;

    pub enum StoreKind {
        Files,
        Slots,
    }
    impl Clone for StoreKind;
    impl Copy for StoreKind;
    impl Debug for StoreKind;
    impl Display for StoreKind;
    impl Eq for StoreKind;
    impl Hash for StoreKind;
    impl Ord for StoreKind;
    impl PartialEq for StoreKind;
    impl PartialOrd for StoreKind;
    impl StoreKind {
        pub const ALL: &[StoreKind];
    }

    pub struct StoreReport {
        pub store: StoreKind,
        pub crashes: Report,
        pub damage: DamageReport,
    }
    impl Clone for StoreReport;
    impl Debug for StoreReport;

    pub struct SuiteReport {
        pub stores: Vec<StoreReport>,
        pub mutants: Vec<Trial>,
        pub elapsed: Duration,
    }
    impl Clone for SuiteReport;
    impl Debug for SuiteReport;
    impl SuiteReport {
        pub fn passed(&self) -> bool;
    }

    pub type Tree = BTreeMap<PathBuf, Entry>;

    pub struct Trial {
        pub mutant: Mutant,
        pub store: StoreKind,
        pub caught: Option<(Stage, Violation)>,
        pub elapsed: Duration,
    }
    impl Clone for Trial;
    impl Debug for Trial;

    pub struct Violation {
        pub invariant: Invariant,
        pub what: String,
        pub script: Vec<String>,
    }
    impl Clone for Violation;
    impl Debug for Violation;
    impl Display for Violation;
    impl Eq for Violation;
    impl PartialEq for Violation;

    pub fn damage(config: &Config, mutant: Option<Mutant>) -> DamageReport;

    pub fn explore(
        config: &Config,
        mutant: Option<Mutant>,
        on_progress: impl FnMut(&Progress),
    ) -> Report;

    pub fn explore_own(
        config: &Config,
        open: OpenStore,
        on_progress: impl FnMut(&Progress),
    ) -> Report;

    pub fn matrix() -> MatrixReport;

    pub fn random(
        store: StoreKind,
        seed: u64,
        chains: u64,
        mutant: Option<Mutant>,
    ) -> RandomReport;

    pub fn read_tree(root: &Path) -> io::Result<Tree>;

    pub mod shutdown {
        pub struct CallRecord {
            pub operation: Operation,
            pub failed: Option<String>,
            pub answers: bool,
            pub began: u128,
            pub ended: u128,
        }
        impl Clone for CallRecord;
        impl Debug for CallRecord;
        impl<'de> Deserialize<'de> for CallRecord;
        impl Serialize for CallRecord;
        impl CallRecord {
            pub fn is_fault(&self) -> bool;
        }

        pub struct Checker { .. }
        impl Default for Checker;
        impl Checker {
            pub fn check_mount(
                &mut self,
                found: &crate::crash::Tree,
            ) -> Result<crate::crash::ImageStats, Failure>;
            pub fn check_run(
                &mut self,
                follower: Follower,
                log: impl IntoIterator<Item = io::Result<(Event, Vec<u8>)>>,
            ) -> Result<RunResult, Failure>;
            pub fn may_leave(
                &self,
                found: &crate::crash::Tree,
            ) -> Result<crate::crash::ImageStats, crate::crash::NotAnImage>;
        }

        pub enum Event {
            Call(CallRecord),
            Refused { why: String },
            Recovered {
                generation: u64,
                stamp: u64,
                bytes: u128,
                passed_over: usize,
                temps: Vec<String>,
            },
            Attempt { generation: u64, stamp: u64, bytes: u128 },
            Saved { checkpointed: u64, floor: Option<u64> },
            Failed { not_saved: bool, why: String },
            Broken { what: String },
        }
        impl Clone for Event;
        impl Debug for Event;
        impl<'de> Deserialize<'de> for Event;
        impl Serialize for Event;

        pub struct Events<R> { .. }
        impl<R: BufRead> Iterator for Events<R> {
            type Item = io::Result<(Event, Vec<u8>)>;
        }
        impl<R: BufRead> Events<R> {
            pub fn new(pipe: R) -> Self;
        }

        pub enum Failure {
            Broken(crate::crash::Violation),
            NotSimulated { why: crate::crash::NotAnImage, script: Vec<String> },
            Unexpected(String),
        }
        impl Debug for Failure;
        impl Display for Failure;
        impl error::Error for Failure;

        pub struct Follower {
            pub kind: crate::crash::StoreKind,
            pub format: Format,
            pub shards: usize,
        }
        impl Clone for Follower;
        impl Copy for Follower;
        impl Debug for Follower;
        impl Eq for Follower;
        impl Hash for Follower;
        impl Ord for Follower;
        impl PartialEq for Follower;
        impl PartialOrd for Follower;
        impl Follower {
            pub fn all(kind: crate::crash::StoreKind) -> Vec<Follower>;
            pub fn name(self) -> String;
            pub fn named(name: &str) -> Option<Follower>;
        }

        pub enum Format {
            Json,
            Bincode,
        }
        impl Clone for Format;
        impl Copy for Format;
        impl Debug for Format;
        impl Eq for Format;
        impl Hash for Format;
        impl Ord for Format;
        impl PartialEq for Format;
        impl PartialOrd for Format;

        pub enum Operation {
            Look(String),
            CreateDir(PathBuf),
            Lock(PathBuf),
            Create(PathBuf, u32),
            Write(u32, Option<usize>),
            WriteAt(u32, u64, Option<usize>),
            SyncFile(u32),
            SyncData(u32),
            Rename(PathBuf, PathBuf),
            SyncDir(PathBuf),
            Remove(PathBuf),
        }
        impl Clone for Operation;
        impl Debug for Operation;
        impl<'de> Deserialize<'de> for Operation;
        impl Eq for Operation;
        impl PartialEq for Operation;
        impl Serialize for Operation;
        impl Operation {
            pub fn verb(&self) -> &str;
        }

        pub enum Outcome {
            Acknowledged,
            Old,
            New,
        }
        impl Clone for Outcome;
        impl Copy for Outcome;
        impl Debug for Outcome;
        impl Eq for Outcome;
        impl Hash for Outcome;
        impl Ord for Outcome;
        impl PartialEq for Outcome;
        impl PartialOrd for Outcome;

        pub struct Plan {
            pub follower: Follower,
            pub options: u64,
            pub calls: u64,
            pub delay: u64,
        }
        impl Clone for Plan;
        impl Copy for Plan;
        impl Debug for Plan;
        impl Eq for Plan;
        impl PartialEq for Plan;
        impl Plan {
            pub fn of(seed: u64, lane: u64, kind: crate::crash::StoreKind, cycle: u64) -> Self;
        }

        pub struct RunResult {
            pub outcome: Option<Outcome>,
            pub passed_over: usize,
            pub attempted: u64,
            pub acknowledged: u64,
            pub failed: Option<CallRecord>,
        }
        impl Clone for RunResult;
        impl Debug for RunResult;
        impl Default for RunResult;

        pub enum WriterMutant {
            NoFileSync,
            NoDataSync,
            NoDirSync,
            SkipsSyncs,
        }
        impl Clone for WriterMutant;
        impl Copy for WriterMutant;
        impl Debug for WriterMutant;
        impl Eq for WriterMutant;
        impl PartialEq for WriterMutant;
        impl WriterMutant {
            pub const ALL: &[WriterMutant];
            pub fn about(self) -> &'static str;
            pub fn named(name: &str) -> Option<WriterMutant>;
        }

        pub fn write(
            root: &Path,
            follower: Follower,
            mutant: Option<WriterMutant>,
            stamps: Range<u64>,
            out: impl Write + Send + 'static,
        ) -> io::Result<()>;
    }

    pub fn suite(config: &Config, on_progress: impl FnMut(&str, &Progress)) -> SuiteReport;

    pub fn try_mutant(
        config: &Config,
        mutant: Mutant,
        on_progress: impl FnMut(&Progress),
    ) -> Trial;
}

pub mod stress {
    pub trait Changes: Send + 'static {
        type Next<'a>: Wait where Self: 'a;
        fn next(&mut self) -> Self::Next<'_>;
    }
    impl Changes for repl_core::Changes {
        type Next<'a> = NextChange<'a>;
    }

    pub trait Claim: Send + 'static {
        fn complete(self) -> Result<Completion, CompleteError>;
    }
    impl Claim for repl_core::Claim;

    pub struct Config {
        pub threads: usize,
        pub duration: Duration,
        pub seed: u64,
        pub dir: Option<PathBuf>,
        pub hung_after: Duration,
    }
    impl Clone for Config;
    impl Debug for Config;
    impl Default for Config;
    impl Eq for Config;
    impl PartialEq for Config;

    pub enum Due {
        Reached,
        Removed,
        Closed,
        TimedOut,
    }
    impl Clone for Due;
    impl Copy for Due;
    impl Debug for Due;
    impl Eq for Due;
    impl Hash for Due;
    impl PartialEq for Due;

    pub struct FlushRefused;
    impl Clone for FlushRefused;
    impl Copy for FlushRefused;
    impl Debug for FlushRefused;
    impl Display for FlushRefused;
    impl Eq for FlushRefused;
    impl error::Error for FlushRefused;
    impl PartialEq for FlushRefused;

    pub trait Handle: Clone + Send + Sync + 'static {
        type Reached: Wait + 'static;
        type Changes: Changes;
        type Window: Window;
        fn incarnation(&self) -> Incarnation;
        fn applied(&self) -> SeqNo;
        fn advance(&self, seqno: SeqNo) -> Advance;
        fn reached(&self, seqno: SeqNo) -> Self::Reached;
        fn changes(&self) -> Self::Changes;
        fn contains(&self, seqno: SeqNo) -> bool;
        fn applied_set(&self) -> AppliedSet;
        fn window(&self, capacity: u64) -> Result<Self::Window, WindowError>;
    }
    impl Handle for Shard {
        type Reached = Reached;
        type Changes = repl_core::Changes;
        type Window = ApplyWindow;
    }

    pub struct HungWait {
        pub doing: &'static str,
        pub due: Due,
        pub due_for: Duration,
        pub waiting: usize,
    }
    impl Clone for HungWait;
    impl Copy for HungWait;
    impl Debug for HungWait;
    impl Eq for HungWait;
    impl PartialEq for HungWait;

    pub enum Invariant {
        NeverFalls,
        OwnIncarnationOnly,
        WithinRequested,
        OutcomeMatchesMark,
        RemovedStaysRemoved,
        TableMatchesChanges,
        IncarnationsRise,
        FloorWithinPreviousGeneration,
        FloorWithinCheckpointed,
        CheckpointedWithinFlushed,
        FlushedWithinApplied,
        AcknowledgedWithinRecovered,
        RecoveredWithinAttempted,
        RecordedWithinCompleted,
        CompletedWithinRecorded,
        EndIsMaximum,
        ReachedMarkIsHighEnough,
        WaitEndsForItsReason,
        WaitEnds,
        WritesAreVisible,
        ClaimedOnce,
        NoClaimAfterCompletion,
        DroppedClaimIsFree,
        NoGapPassed,
        NoCompletionLost,
        WindowMatchesCalls,
    }
    impl Clone for Invariant;
    impl Copy for Invariant;
    impl Debug for Invariant;
    impl Eq for Invariant;
    impl Hash for Invariant;
    impl PartialEq for Invariant;

    pub enum NotSaved {
        Refused(FlushRefused),
        Failed(SubjectError),
    }
    impl Debug for NotSaved;
    impl Display for NotSaved;
    impl error::Error for NotSaved;
    impl From<FlushRefused> for NotSaved;

    pub struct Operations {
        pub advances_by_handle: u64,
        pub advances_by_id: u64,
        pub advances_by_old_handle: u64,
        pub reads: u64,
        pub snapshots: u64,
        pub comparisons: u64,
        pub adds: u64,
        pub removes: u64,
        pub resets: u64,
        pub checkpoints: u64,
        pub waits_reached: u64,
        pub waits_timed_out: u64,
        pub waits_removed: u64,
        pub waits_closed: u64,
        pub waits_cancelled: u64,
        pub polls: u64,
        pub hand_overs: u64,
        pub claims: u64,
        pub claims_refused: u64,
        pub claims_dropped: u64,
        pub completions: u64,
        pub skips: u64,
        pub window_reads: u64,
        pub windows: u64,
    }
    impl Clone for Operations;
    impl Copy for Operations;
    impl Debug for Operations;
    impl Default for Operations;
    impl Eq for Operations;
    impl PartialEq for Operations;
    impl Operations {
        pub fn by_name(&self) -> [(&'static str, u64); 24];
        pub fn total(&self) -> u64;
    }

    pub struct Progress {
        pub elapsed: Duration,
        pub duration: Duration,
        pub operations: u64,
        pub saves: u64,
    }
    impl Clone for Progress;
    impl Copy for Progress;
    impl Debug for Progress;
    impl Eq for Progress;
    impl PartialEq for Progress;

    pub struct Real { .. }
    impl Debug for Real;
    impl Subject for Real {
        type Handle = Shard;
    }

    pub struct Report {
        pub threads: usize,
        pub seed: u64,
        pub elapsed: Duration,
        pub operations: Operations,
        pub saves: u64,
        pub refused: u64,
        pub rounds: u64,
    }
    impl Clone for Report;
    impl Copy for Report;
    impl Debug for Report;
    impl Display for Report;
    impl Eq for Report;
    impl PartialEq for Report;
    impl Report {
        pub fn operations_per_second(&self) -> f64;
    }

    pub enum StressError {
        Violation(Violation),
        Subject { act: &'static str, seed: u64, source: SubjectError },
        Dir(io::Error),
    }
    impl Debug for StressError;
    impl Display for StressError;
    impl error::Error for StressError;
    impl From<Violation> for StressError;
    impl From<io::Error> for StressError;
    impl StressError {
        pub fn violation(&self) -> Option<&Violation>;
    }

    pub trait Subject: Sized + Send + Sync + 'static {
        type Handle: Handle;
        fn open(dir: &Path, shards: &[ShardId]) -> Result<Self, SubjectError>;
        fn handle(&self, shard: ShardId) -> Option<Self::Handle>;
        fn advance(&self, shard: ShardId, seqno: SeqNo) -> Advance;
        fn applied(&self, shard: ShardId) -> Option<SeqNo>;
        fn snapshot(&self) -> Snapshot;
        fn add(&self, new: NewShard) -> Option<Self::Handle>;
        fn reset(&self, new: NewShard) -> Option<Self::Handle>;
        fn remove(&self, shard: ShardId) -> bool;
        fn reached(&self, shard: ShardId, seqno: SeqNo) -> <Self::Handle as Handle>::Reached;
        fn close(&self);
        fn checkpoint(
            &self,
            flush: &mut dyn FnMut(&mut Snapshot) -> Result<(), FlushRefused>,
        ) -> Result<Saved, NotSaved>;
        fn checkpointed(&self, shard: ShardId) -> Option<SeqNo>;
        fn floor(&self, shard: ShardId) -> Option<SeqNo>;
    }

    pub struct SubjectError { .. }
    impl Debug for SubjectError;
    impl Display for SubjectError;
    impl error::Error for SubjectError;
    impl SubjectError {
        pub fn new(reason: impl Into<Box<dyn error::Error + Send + Sync>>) -> Self;
    }

    pub struct Violation {
        pub invariant: Invariant,
        pub shard: ShardId,
        pub incarnation: Option<Incarnation>,
        pub lesser: Option<SeqNo>,
        pub greater: Option<SeqNo>,
        pub seed: u64,
        pub hung: Option<HungWait>,
    }
    impl Clone for Violation;
    impl Copy for Violation;
    impl Debug for Violation;
    impl Display for Violation;
    impl Eq for Violation;
    impl error::Error for Violation;
    impl PartialEq for Violation;

    pub trait Wait: Future<Output = Waited> + Send {
        fn wait(self) -> Waited;
        fn wait_timeout(self, timeout: Duration) -> Waited;
    }
    impl Wait for NextChange<'_>;
    impl Wait for Reached;

    pub type Waited = Result<SeqNo, WaitError>;

    pub trait Window: Send + Sync + 'static {
        type Claim: Claim;
        fn try_claim(&self, seqno: SeqNo) -> Result<Self::Claim, ClaimError>;
        fn complete(&self, seqno: SeqNo) -> Result<Completion, CompleteError>;
        fn skip(&self, range: RangeInclusive<SeqNo>) -> Result<Completion, CompleteError>;
    }
    impl Window for ApplyWindow {
        type Claim = repl_core::Claim;
    }

    pub fn run(
        config: &Config,
        observer: impl FnMut(&Progress),
    ) -> Result<Report, StressError>;

    pub fn run_on<S: Subject>(
        config: &Config,
        observer: impl FnMut(&Progress),
    ) -> Result<Report, StressError>;
}

pub mod suites {
    pub enum CodecPromise {
        NameFits,
        NoPanic,
        Encodes,
        Exact,
        Deterministic,
        Appends,
        Strict,
        Sealed,
    }
    impl Clone for CodecPromise;
    impl Copy for CodecPromise;
    impl Debug for CodecPromise;
    impl Display for CodecPromise;
    impl Eq for CodecPromise;
    impl Hash for CodecPromise;
    impl Ord for CodecPromise;
    impl PartialEq for CodecPromise;
    impl PartialOrd for CodecPromise;

    #[non_exhaustive]
    pub struct CodecReport {
        pub checkpoints: u64,
        pub decoded: u64,
        pub opened: u64,
    }
    impl Clone for CodecReport;
    impl Copy for CodecReport;
    impl Debug for CodecReport;
    impl Default for CodecReport;
    impl Display for CodecReport;
    impl Eq for CodecReport;
    impl PartialEq for CodecReport;

    #[non_exhaustive]
    pub struct CodecViolation {
        pub promise: CodecPromise,
        pub what: String,
        pub checkpoint: Option<Checkpoint>,
        pub bytes: Option<Vec<u8>>,
    }
    impl Clone for CodecViolation;
    impl Debug for CodecViolation;
    impl Display for CodecViolation;
    impl Eq for CodecViolation;
    impl error::Error for CodecViolation;
    impl PartialEq for CodecViolation;

    pub struct StoreOptions {
        pub locks: bool,
        pub in_files: bool,
    }
    impl Clone for StoreOptions;
    impl Copy for StoreOptions;
    impl Debug for StoreOptions;
    impl Default for StoreOptions;
    impl Eq for StoreOptions;
    impl Hash for StoreOptions;
    impl PartialEq for StoreOptions;

    pub enum StorePromise {
        Works,
        NoPanic,
        FreshIsEmpty,
        IdStays,
        OneOwner,
        SavedIsLoaded,
        GenerationIsRight,
        NewestFirst,
        ConfirmedIsKept,
        SurvivesReopen,
        MarksComeBack,
        NothingUnsaved,
        DamageIsReported,
    }
    impl Clone for StorePromise;
    impl Copy for StorePromise;
    impl Debug for StorePromise;
    impl Display for StorePromise;
    impl Eq for StorePromise;
    impl Hash for StorePromise;
    impl Ord for StorePromise;
    impl PartialEq for StorePromise;
    impl PartialOrd for StorePromise;

    #[non_exhaustive]
    pub struct StoreReport {
        pub saves: u64,
        pub damaged: u64,
    }
    impl Clone for StoreReport;
    impl Copy for StoreReport;
    impl Debug for StoreReport;
    impl Default for StoreReport;
    impl Display for StoreReport;
    impl Eq for StoreReport;
    impl PartialEq for StoreReport;

    #[non_exhaustive]
    pub struct StoreViolation {
        pub promise: StorePromise,
        pub what: String,
        pub damage: Option<String>,
    }
    impl Clone for StoreViolation;
    impl Debug for StoreViolation;
    impl Display for StoreViolation;
    impl Eq for StoreViolation;
    impl error::Error for StoreViolation;
    impl PartialEq for StoreViolation;

    pub fn codec_suite(codec: &dyn Codec) -> Result<CodecReport, CodecViolation>;

    pub fn store_suite<S, E>(
        options: StoreOptions,
        open: impl FnMut(&Path) -> Result<S, E>,
    ) -> Result<StoreReport, StoreViolation>
    where
        S: CheckpointStore + 'static,
        E: Display;
}

// A macro, as written in crash/mutants.rs: what it makes is not listed.
mutants! {
    NoFileSync of BOTH,
    NoDirSync of BOTH,
    NoParentSync of BOTH,
    RenameBeforeSync of BOTH,
    NoTempFile of BOTH,
    InPlace of FILES,
    RemoveFirst of BOTH,
    RetryFileSync of BOTH,
    RetryDirSync of BOTH,
    IgnoreRename of BOTH,
    IgnoreShortWrite of BOTH,
    IgnoreFullDisk of BOTH,
    NoDataSync of SLOTS,
    RetryDataSync of SLOTS,
    IgnoreDataSync of SLOTS,
    StaleTail of SLOTS,
    NewestOverwritten of SLOTS,
    TwoSlots of SLOTS,
    FirstSaveInPlace of SLOTS,
    NoTempCleanup of BOTH,
    OneTempName of BOTH,
    TempReused of BOTH,
    NoLock of BOTH,
    ReturnsBeforeDirSync of BOTH,
    InDoubtHidden of BOTH,
    FailedWriteHidden of SLOTS,
    GenerationReused of BOTH,
    OneGeneration of FILES,
    TornSlotFatal of SLOTS,
    TwoTornAccepted of SLOTS,
    CorruptSkipped of BOTH,
    EmptyIsAbsent of BOTH,
    NoChecksum of BOTH,
    HeaderUnchecked of FILES,
    LengthUnchecked of BOTH,
    TailUnchecked of SLOTS,
    PageUnchecked of SLOTS,
    MarksAhead of BOTH,
    FloorsAtOpen of BOTH,
    FloorOfNewest of BOTH,
}

// A macro, as written in crash/mutants.rs: what it makes is not listed.
macro_rules! mutants {
    ($($(#[doc = $about:literal])+ $name:ident of $stores:ident,)+) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Mutant {
            $($(#[doc = $about])+ $name,)+
        }

        impl Mutant {
            pub const ALL: &[Mutant] = &[$(Mutant::$name,)+];

            pub fn about(self) -> &'static str {
                match self {
                    $(Mutant::$name => concat!($($about,)+).trim_ascii(),)+
                }
            }

            pub fn stores(self) -> &'static [StoreKind] {
                match self {
                    $(Mutant::$name => $stores,)+
                }
            }
        }
    };
}
