//! What is refused before a restore.

use std::path::Path;

use repl_checkpoint::{Disk, OsDisk, Peeked, StoreId, survey};

use crate::exit::Exit;
use crate::failure::Failure;
use crate::held::Newest;
use crate::seen::Seen;
use crate::site::Site;
use crate::store::codec_of;
use crate::wording::shown;

/// Refuses a backup of which nothing can be used.
pub(super) fn of_backup(backup: &Path) -> Result<(), Failure> {
    let Err(mut failure) = Seen::usable(backup) else { return Ok(()) };
    if failure.exit == Exit::Damage {
        failure.next = vec!["the same command with another backup".to_owned()];
    }
    Err(failure)
}

/// Refuses a backup of another store, or of another codec than the engine uses, and a place of which
/// this program cannot tell what is in it. Damage there is no obstacle. Returns whether what is there
/// says of which store and codec it is.
pub(super) fn of_place(site: &Site, path: &Path, backup: &Peeked) -> Result<bool, Failure> {
    let (id, codec) = named(site);
    let is_known = id.is_some() && codec.is_some();
    if let Some(id) = id.filter(|id| *id != backup.header.store) {
        return Err(other_store(site, id, backup));
    }
    if let Some(codec) = codec.filter(|codec| *codec != backup.codec) {
        return Err(other_codec(site, &codec, backup));
    }
    // A slot file that is lost has its marker.
    let seen = path.exists().then(|| Seen::usable(path));
    match seen {
        Some(Err(failure)) if failure.exit == Exit::Unknown => Err(failure),
        _ => Ok(is_known),
    }
}

/// What is there, as far as its headers say it: also where nothing is whole.
fn named(site: &Site) -> (Option<StoreId>, Option<String>) {
    match Newest::of(site) {
        Ok(newest) => (Some(newest.id), Some(newest.codec)),
        Err(_) => survey(&site.typed).map_or((None, None), |found| (found.store, found.codec)),
    }
}

fn other_store(site: &Site, id: StoreId, backup: &Peeked) -> Failure {
    let reason = format!("the backup is of store {}, and this is store {id}", backup.header.store);
    Failure::new(Exit::Refused, &site.typed, reason)
        .then("the same command with a backup of this store")
        .then(format!(
            "if a backup of another store was restored here by mistake, and the engine is stopped: \
             mkdir NEW_DIRECTORY && mv -n {} NEW_DIRECTORY, then the same command",
            files_of(site)
        ))
}

fn other_codec(site: &Site, codec: &str, backup: &Peeked) -> Failure {
    let reason = format!("the codec of the backup is {}, and of this store {codec}", backup.codec);
    let failure = Failure::new(Exit::Refused, &site.typed, reason);
    if codec_of(codec, &site.typed).is_err() {
        let engine = "start the release of the engine that knows the codec of this store: it may \
                      need no backup";
        return failure.then(engine);
    }
    failure.then(format!("replctl convert BACKUP NEW --codec {codec}, then restore NEW"))
}

/// The checkpoints of a store, as they are typed in a shell.
fn files_of(site: &Site) -> String {
    let mut names = OsDisk.list(&site.dir).unwrap_or_default();
    names.retain(|name| site.is_checkpoint(name));
    names.sort();
    let files = names.iter().map(|name| shown(&site.typed(Path::new(name))));
    files.collect::<Vec<_>>().join(" ")
}
