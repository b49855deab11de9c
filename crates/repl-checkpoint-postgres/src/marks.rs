//! Marks in the caller's own transaction: data and progress commit together.

mod error;

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use repl_checkpoint::{
    Acquire, CheckpointBytes, Held, Lease, RemoteError, RemoteFailure, RemoteStore, Witness,
};
use repl_core::{NewShard, ReplicationState, Shard, ShardId};
use tokio_postgres::{NoTls, Transaction};

use crate::connection::Tls;
use crate::statements::LOCK_RECORD;
use crate::store::{PostgresStore, held, hex, number};

pub use self::error::MarksError;

/// Locks the lease against a takeover, and the marks of the shard against other appliers. Appliers of
/// other shards do not wait for each other.
const LOCK: &str = "
    select m.marks, set_config('synchronous_commit', 'on', true)
    from repl_lease l join repl_mark m on m.store = l.store
    where l.store = $1::text::uuid and l.holder = $2::text::uuid and l.token = $3
        and m.shard = $4::text::numeric
    for share of l for update of m";

const WRITE: &str = "
    update repl_mark set marks = $3 where store = $1::text::uuid and shard = $2::text::numeric";

const ADD: &str = "
    insert into repl_mark (store, shard, marks) values ($1::text::uuid, $2::text::numeric, $3)
    on conflict do nothing";

const READ: &str = "
    select marks from repl_mark where store = $1::text::uuid and shard = $2::text::numeric";

/// Marks that are written in the transaction of the data: each segment is applied exactly once.
///
/// For an engine whose data is in the same PostgreSQL database. Each transaction, on any connection:
/// 1. calls [`apply`](PostgresMarks::apply), which takes the lease for share and moves the stored
///    marks of the shard; if they are there already, it writes nothing,
/// 2. writes its data, and commits,
/// 3. after the commit, advances the live state. Its floors are
///    [`Floors::of_durable`](repl_checkpoint::Floors::of_durable).
///
/// A takeover waits for the transactions that have taken the lease, and those that come later are
/// refused. So no data of an earlier holder is committed after a takeover.
///
/// If the answer of a commit is lost, or a notice says that it
/// [is not replicated](crate::is_unreplicated), call [`settle`](PostgresMarks::settle), and begin the
/// transaction again: what was sent before is then committed, and found as
/// [`Advance::Stale`](repl_core::Advance::Stale), or never will be.
pub struct PostgresMarks<T = NoTls> {
    store: tokio::sync::Mutex<PostgresStore<T>>,
    id: String,
    place: String,
    lease: Mutex<Tried>,
}

#[derive(Debug, Clone, Copy)]
struct Tried {
    lease: Lease,
    /// The highest token that a renewal has tried.
    token: u64,
}

impl<T: Tls> PostgresMarks<T> {
    /// Takes the store over. Earlier holders are refused from then on.
    ///
    /// `at_least` is what the server is known to hold: what
    /// [`witness`](PostgresMarks::witness) returned to an earlier process.
    ///
    /// # Errors
    /// [`MarksError::Remote`].
    pub async fn take_over(
        mut store: PostgresStore<T>,
        at_least: Option<Witness>,
    ) -> Result<Self, MarksError> {
        let (id, place) = (store.id(), store.place());
        let held = store.acquire(Acquire::TakeOver { at_least }).await;
        let expected = at_least.unwrap_or_default();
        let held = held.map_err(|failure| explain(failure, &place, expected))?;
        let lease = Mutex::new(Tried { lease: held.lease, token: held.lease.token });
        Ok(PostgresMarks { store: tokio::sync::Mutex::new(store), id, place, lease })
    }

    /// Returns the token of the lease, for the next [`take_over`](PostgresMarks::take_over).
    pub fn witness(&self) -> Witness {
        Witness { token: self.tried().lease.token, generation: 0 }
    }

    /// Adds a shard to the stored marks; returns false, and changes nothing, if it is there.
    ///
    /// In a transaction of its own, or with the base copy of the shard.
    ///
    /// # Errors
    /// [`MarksError`]: roll the transaction back.
    pub async fn add(&self, tx: &Transaction<'_>, new: NewShard) -> Result<bool, MarksError> {
        let lease = self.tried().lease;
        if let Some(error) = self.refusal(tx, lease).await? {
            return Err(error);
        }
        let shard = new.shard;
        let state = ReplicationState::new(&[]);
        let _ = state.add_shard(new); // it is the first
        let bytes = state.to_checkpoint_bytes();
        let added = tx.execute(ADD, &[&self.id, &shard.0.to_string(), &bytes]).await?;
        Ok(added == 1)
    }

    /// Moves the stored marks of a shard in the transaction `tx`; returns what `moves` returns.
    ///
    /// `live` is the shard in the live state, whose mark is that of the last acknowledged commit or
    /// below. `moves` gets the stored marks as a state that tracks this shard alone. Two round
    /// trips. A second transaction that moves the same shard waits until this one ends. To reset a
    /// shard to a lower mark, stop its appliers until the live one is reset too.
    ///
    /// # Errors
    /// [`MarksError`]: roll the transaction back. [`MarksError::Regressed`] if the stored mark is
    /// below the live one: the server has lost acknowledged commits, and a move from there would
    /// leave out the segments between.
    pub async fn apply<R>(
        &self,
        tx: &Transaction<'_>,
        live: &Shard,
        moves: impl FnOnce(&ReplicationState) -> R,
    ) -> Result<R, MarksError> {
        let (shard, committed) = (live.id(), live.applied()); // before the look at what is stored
        let lease = self.tried().lease;
        let (holder, token, number_of) =
            (hex(lease.holder), self.number(lease.token)?, shard.0.to_string());
        let rows = tx.query(LOCK, &[&self.id, &holder, &token, &number_of]).await?;
        let Some(row) = rows.first() else {
            let refusal = self.refusal(tx, lease).await?;
            return Err(refusal.unwrap_or(MarksError::UnknownShard { shard }));
        };
        let stored: &[u8] = row.try_get(0)?;
        let mut found = committed;
        let checked = |marks: &ReplicationState| {
            found = marks.applied_seqno(shard).unwrap_or(0);
            (found >= committed).then(|| moves(marks))
        };
        let (next, result) = ReplicationState::next_checkpoint_bytes(stored, checked)
            .map_err(|source| MarksError::Corrupt { shard, source })?;
        let Some(result) = result else {
            let place = self.place.clone();
            return Err(MarksError::Regressed { place, shard, committed, found });
        };
        if next != stored {
            tx.execute(WRITE, &[&self.id, &number_of, &next]).await?;
        }
        Ok(result)
    }

    /// Renews the lease: every transaction of before is then committed, or never will be.
    ///
    /// Waits for those that have taken the lease. Those that have not are refused with
    /// [`MarksError::Renewed`], and begin again.
    ///
    /// # Errors
    /// [`MarksError::Remote`]. If it [is not final](RemoteError::is_final), call this again.
    pub async fn settle(&self) -> Result<(), MarksError> {
        let mut store = self.store.lock().await;
        let (lease, token) = {
            let mut tried = self.tried();
            tried.token = tried.token.saturating_add(1);
            (tried.lease, tried.token)
        };
        let expected = Witness { token: lease.token, generation: 0 };
        let renewed = store.acquire(Acquire::Renew { lease, token }).await;
        let held = renewed.map_err(|failure| explain(failure, &self.place, expected))?;
        self.tried().lease = held.lease;
        Ok(())
    }

    /// Returns a state at the stored marks of these shards, as at a start.
    ///
    /// # Errors
    /// [`MarksError`]; [`MarksError::UnknownShard`] if one was never [added](PostgresMarks::add).
    pub async fn stored(&self, shards: &[ShardId]) -> Result<ReplicationState, MarksError> {
        let mut store = self.store.lock().await;
        let state = ReplicationState::new(&[]);
        for &shard in shards {
            let params = [&self.id as _, &shard.0.to_string() as _];
            let rows = store.read(READ, &params).await;
            let rows = rows.map_err(|e| explain(e, &self.place, Witness::default()))?;
            let row = rows.first().ok_or(MarksError::UnknownShard { shard })?;
            let corrupt = |source| MarksError::Corrupt { shard, source };
            let stored = ReplicationState::from_checkpoint_bytes(row.try_get(0)?, &[shard]);
            for entry in stored.map_err(corrupt)?.snapshot().entries() {
                let new = NewShard::new(shard).with_mark(entry.mark()).with_log(entry.log);
                if let Ok(handle) = state.add_shard(new.with_epochs(entry.epochs)) {
                    entry.applied_set.above().for_each(|range| handle.complete(range));
                }
            }
        }
        Ok(state)
    }

    /// Why the lease is not that of this process; `None` if it is, and then it is locked.
    async fn refusal(
        &self,
        tx: &Transaction<'_>,
        lease: Lease,
    ) -> Result<Option<MarksError>, MarksError> {
        let rows = tx.query(LOCK_RECORD, &[&self.id]).await?;
        let expected = Witness { token: lease.token, generation: 0 };
        let is_newer = |now: Lease| now.holder == lease.holder && now.token > lease.token;
        Ok(match rows.first().map(held).transpose() {
            Ok(Some(found)) if found.lease == lease => None,
            Ok(Some(found)) if is_newer(found.lease) => Some(MarksError::Renewed),
            Ok(found) => Some(explain(RemoteFailure::Refused(found), &self.place, expected)),
            Err(failure) => Some(explain(failure, &self.place, expected)),
        })
    }

    fn number(&self, token: u64) -> Result<i64, MarksError> {
        number(token).map_err(|e| explain(e, &self.place, Witness::default()))
    }

    fn tried(&self) -> MutexGuard<'_, Tried> {
        self.lease.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn explain(failure: RemoteFailure, place: &str, expected: Witness) -> MarksError {
    let place = place.to_owned();
    MarksError::Remote(match failure {
        RemoteFailure::Unavailable(source) => RemoteError::Unavailable { place, source },
        RemoteFailure::InDoubt(source) => RemoteError::InDoubt { place, source },
        RemoteFailure::Refused(None) => RemoteError::Vanished { place, generation: None },
        RemoteFailure::Refused(Some(found)) if found.lease.token < expected.token => {
            RemoteError::Regressed { place, expected, found: found.witness() }
        }
        RemoteFailure::Refused(Some(found)) => {
            let Held { lease: Lease { holder, .. }, by, since, .. } = found;
            RemoteError::Fenced { place, by, holder, since }
        }
    })
}

impl<T> fmt::Debug for PostgresMarks<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresMarks")
            .field("place", &self.place)
            .field("lease", &self.lease)
            .finish_non_exhaustive()
    }
}
