//! Damage to the files of a `FileStore`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use repl_checkpoint::{OnCorrupt, Recovered, Source};

use super::case::{Case, Hit, flips, lengths, of_another_store};
use super::{Sweep, is_older};
use crate::crash::disk::{Content, State};
use crate::crash::explore::Config;
use crate::crash::invariant::Violation;
use crate::crash::layout::is_checkpoint;

pub(super) fn sweep(sweep: &mut Sweep) -> Result<(), Violation> {
    let base = sweep.base(None, sweep.config.saves)?;
    let mut files: BTreeMap<PathBuf, Content> = base.state.files();
    files.retain(|path, _| is_checkpoint(path));
    // The newest comes first: most violations show there.
    for (path, content) in files.iter().rev() {
        let bytes = content.bytes();
        for case in flips(bytes, sweep.config.stride, |_| Hit::File) {
            sweep.check(&base, path, &case)?;
        }
        let other = files.iter().find(|(other, _)| *other != path).map(|(_, c)| c.bytes());
        for case in larger(sweep, bytes, other.unwrap_or_default()) {
            sweep.check(&base, path, &case)?;
        }
    }
    Ok(())
}

/// Every damage except single bits.
fn larger(sweep: &Sweep, bytes: &[u8], other: &[u8]) -> Vec<Case> {
    let Config { sector, stride, .. } = sweep.config;
    let mut all = vec![Case::gone()];
    all.extend(lengths(bytes, sector, stride));
    all.push(Case::new("another generation's bytes", other.to_vec(), Hit::File));
    for k in 0..bytes.len().div_ceil(sector) {
        let (start, end) = (k * sector, bytes.len().min((k + 1) * sector));
        let zeros = vec![0; end - start];
        let theirs = other.get(start..end).unwrap_or(&zeros).to_vec();
        let first = bytes[..end - start].to_vec();
        for (sector, how) in [(&zeros, "lost"), (&theirs, "stale"), (&first, "misdirected")] {
            let damaged = [&bytes[..start], sector, &bytes[end..]].concat();
            // A sector that stays the same is no damage.
            if damaged != bytes {
                all.push(Case::new(format!("sector {k} is {how}"), damaged, Hit::File));
            }
        }
    }
    if let Some(foreign) = of_another_store(sweep.protocol, bytes) {
        all.push(Case::new("another store's file", foreign, Hit::File));
    }
    all
}

/// Whether damage was not reported. The names of the files tell which generation is the newest.
pub(super) fn is_silent(follower: &Recovered, state: &State, on_corrupt: OnCorrupt) -> bool {
    let named = |path: &PathBuf| path.file_stem()?.to_str()?.parse::<u64>().ok();
    let newest = state.files().keys().filter_map(named).max();
    match follower.report.source {
        Source::Fresh => newest.is_some(),
        Source::Resumed { .. } => newest.is_none_or(|newest| is_older(follower, newest)),
        Source::FellBack { .. } => on_corrupt == OnCorrupt::Fail,
    }
}
