//! A store that is held for a change: nothing else saves to it meanwhile.

use std::path::PathBuf;

use repl_checkpoint::{
    Checkpoint, CheckpointStore, Codec, Disk, FileStore, Generation, Header, LoadError,
    OpenStoreError, Save, SaveError, SlotFileError, SlotStore, StoreId, UnsealError, peek,
};

use crate::exit::Exit;
use crate::failure::Failure;
use crate::lock::{Use, use_of};
use crate::reasons::why;
use crate::seen::Seen;
use crate::site::{Kind, Site};
use crate::store::codec_of;
use crate::wording::with_causes;

/// A store under its lock.
pub(crate) struct Held {
    pub(crate) site: Site,
    pub(crate) id: StoreId,
    store: Box<dyn CheckpointStore>,
}

/// The newest checkpoint of a store that is whole, and what is damaged above it.
pub(crate) struct Found {
    /// Its file.
    pub(crate) path: PathBuf,
    pub(crate) header: Header,
    pub(crate) checkpoint: Checkpoint,
    pub(crate) codec: Box<dyn Codec>,
    /// The newest first.
    pub(crate) damaged: Vec<Damaged>,
    /// The highest generation that the store names, whole or not.
    pub(crate) attempted: Generation,
}

/// A checkpoint that is damaged.
pub(crate) struct Damaged {
    pub(crate) path: PathBuf,
    pub(crate) generation: Option<Generation>,
    pub(crate) reason: String,
    /// Its shards, if only its name is wrong.
    pub(crate) checkpoint: Option<Checkpoint>,
}

/// What a store has at its newest generation that is whole.
pub(crate) struct Newest {
    pub(crate) id: StoreId,
    pub(crate) codec: String,
}

impl Newest {
    /// Reads it, without a lock.
    pub(crate) fn of(site: &Site) -> Result<Self, Failure> {
        let found = peek(&site.typed)?;
        Ok(Newest { id: found.header.store, codec: found.codec })
    }
}

impl Held {
    /// Opens and locks a store that exists.
    pub(crate) fn open<D>(disk: &D, site: Site, id: StoreId) -> Result<Self, Failure>
    where
        D: Disk + Clone + 'static,
    {
        check_user(&site)?;
        let opened: Result<Box<dyn CheckpointStore>, OpenStoreError> = match site.kind {
            Kind::Files => {
                let store = FileStore::open_on(disk.clone(), &site.dir, id);
                store.map(|store| Box::new(store) as _)
            }
            Kind::Slots => {
                let store = SlotStore::open_file_on(disk.clone(), &site.slot_file(), id);
                store.map(|store| Box::new(store) as _)
            }
        };
        let store = opened.map_err(|error| refused_to_open(&site, &error))?;
        Ok(Held { site, id, store })
    }

    /// Opens and locks a store, and reads what it holds.
    pub(crate) fn open_and_find<D>(disk: &D, site: Site) -> Result<(Self, Found), Failure>
    where
        D: Disk + Clone + 'static,
    {
        // Creates nothing where nothing is.
        let seen = Seen::usable(&site.typed)?;
        let reasons = seen.reasons_before_whole();
        let seen = seen.survey;
        let mut held = Self::open(disk, site, seen.store.unwrap_or_default())?;
        let codec = codec_of(&seen.codec.unwrap_or_default(), &held.site.typed)?;
        let mut found = held.find(codec)?;
        // A store cannot say of its first page that it is that.
        if reasons.len() == found.damaged.len() {
            for (damaged, reason) in found.damaged.iter_mut().zip(reasons) {
                damaged.reason = reason;
            }
        }
        Ok((held, found))
    }

    /// Reads the newest checkpoint that is whole.
    pub(crate) fn find(&mut self, codec: Box<dyn Codec>) -> Result<Found, Failure> {
        let failed = |error| not_loaded(&self.site, &error);
        let (mut damaged, mut attempted) = (Vec::new(), 0);
        for mut candidate in self.store.load().map_err(failed)? {
            let (path, expected) = (candidate.path.clone(), candidate.generation.take());
            attempted = attempted.max(expected.unwrap_or(0));
            match candidate.unseal(&*codec, self.id) {
                Ok((header, checkpoint))
                    if expected.is_none_or(|expected| expected == header.generation) =>
                {
                    let path = self.site.typed_file(&path);
                    return Ok(Found { path, header, checkpoint, codec, damaged, attempted });
                }
                Ok((Header { generation: found, .. }, checkpoint)) => {
                    let expected = expected.unwrap_or(0);
                    let reason = why(&UnsealError::OtherGeneration { expected, found }.into());
                    let (generation, checkpoint) = (Some(expected), Some(checkpoint));
                    damaged.push(Damaged { path, generation, reason, checkpoint });
                }
                Err(reason) if reason.is_damage() => {
                    let (generation, reason) = (expected, why(&reason));
                    damaged.push(Damaged { path, generation, reason, checkpoint: None });
                }
                Err(reason) => {
                    return Err(Failure::new(Exit::Unknown, &path, why(&reason)));
                }
            }
        }
        let reason = damaged.into_iter().next().map_or_else(String::new, |first| first.reason);
        let reason = format!("no checkpoint in it is whole: {reason}");
        Err(Failure::new(Exit::Damage, &self.site.typed, reason)
            .then("replctl restore BACKUP PATH"))
    }

    /// Saves a checkpoint as often as the store keeps checkpoints, so that whichever of them is
    /// damaged later, no older one is used. Returns the newest generation.
    pub(crate) fn save_everywhere(
        &mut self,
        checkpoint: &Checkpoint,
        codec: &dyn Codec,
        after: Header,
        attempted: Generation,
    ) -> Result<Generation, Failure> {
        let mut newest = attempted;
        let mut confirmed = after.confirmed;
        for _ in 0..self.site.kind.places() {
            newest = self.save(checkpoint, codec, confirmed, newest)?;
            confirmed = newest;
        }
        Ok(newest)
    }

    /// Saves a checkpoint as the generation after `attempted`, and returns that.
    pub(crate) fn save(
        &mut self,
        checkpoint: &Checkpoint,
        codec: &dyn Codec,
        confirmed: Generation,
        attempted: Generation,
    ) -> Result<Generation, Failure> {
        let refused = |reason: String| Failure::new(Exit::Unknown, &self.site.typed, reason);
        let last = || refused("no generation is left".to_owned());
        let generation = attempted.checked_add(1).ok_or_else(last)?;
        let header = Header { store: self.id, generation, confirmed };
        let bytes = checkpoint.seal(codec, header).map_err(|error| refused(with_causes(&error)))?;
        let save = Save { generation, confirmed, bytes: &bytes, base: None };
        self.store.save(save).map_err(|error| not_saved(&self.site, &error))?;
        Ok(generation)
    }
}

/// Refuses to change a store of another user: only the owner of a file that a change makes can read
/// it.
#[cfg(unix)]
fn check_user(site: &Site) -> Result<(), Failure> {
    use std::os::unix::fs::MetadataExt;
    let Ok(lock) = site.dir.join(site.beside(".lock")).metadata() else { return Ok(()) };
    let (owner, user) = (lock.uid(), rustix::process::geteuid().as_raw());
    if owner == user {
        return Ok(());
    }
    let reason = format!(
        "it belongs to user {owner}, and this is user {user}: an engine of user {owner} could not \
         read what would be saved"
    );
    Err(Failure::new(Exit::Refused, &site.typed, reason)
        .then(format!("sudo -u '#{owner}', and the same command")))
}

/// Elsewhere users are not compared.
#[cfg(not(unix))]
fn check_user(_: &Site) -> Result<(), Failure> {
    Ok(())
}

fn refused_to_open(site: &Site, error: &OpenStoreError) -> Failure {
    match error {
        OpenStoreError::Locked { .. } => {
            let holder = match use_of(&site.dir.join(site.beside(".lock"))) {
                Use::Held { pid } => format!("process {pid}"),
                _ => "another process".to_owned(),
            };
            let reason = format!("it is in use: {holder} holds its lock, and nothing was changed");
            Failure::new(Exit::Unknown, &site.typed, reason).then(
                "stop that process, then the same command; removing the lock file does not help",
            )
        }
        error => Failure::new(Exit::Unknown, &site.typed, with_causes(error)),
    }
}

fn not_loaded(site: &Site, error: &LoadError) -> Failure {
    let exit = match error {
        LoadError::Vanished { .. } => Exit::Damage,
        LoadError::Slots { reason, .. } => match reason {
            SlotFileError::Version { .. } | SlotFileError::OtherStore { .. } => Exit::Unknown,
            _ => Exit::Damage,
        },
        _ => Exit::Unknown,
    };
    Failure::new(exit, &site.typed, with_causes(error))
}

fn not_saved(site: &Site, error: &SaveError) -> Failure {
    let failure = Failure::new(Exit::Unknown, &site.typed, with_causes(error));
    if error.is_poisoning() {
        return failure.then("replctl verify PATH, for which of the two it is");
    }
    failure.then("the same command, once the cause is mended")
}

/// Refuses a store with damage above its newest checkpoint.
pub(crate) fn check_undamaged(site: &Site, found: &Found) -> Result<(), Failure> {
    let Some(newest) = found.damaged.first() else { return Ok(()) };
    let reason = format!("it is damaged: {}", newest.reason);
    let mut failure = Failure::new(Exit::FallBack, &site.typed, reason);
    failure.newest_whole = Some((found.header.generation, found.path.clone()));
    Err(failure.then("replctl fall-back PATH, then the same command"))
}
