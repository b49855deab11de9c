//! Reads the medians that criterion measured from its folder.

use crate::command::Fallible;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;

/// Criterion's median of each round, in nanoseconds.
pub(super) fn medians(
    criterion: &Path,
    group: &str,
    contender: &str,
) -> Fallible<BTreeMap<u32, f64>> {
    let mut medians = BTreeMap::new();
    let folder = criterion.join(group);
    for name in names(&folder)? {
        let Some((found, round)) = name.rsplit_once('_') else { continue };
        let (true, Ok(round)) = (found == contender, round.parse()) else { continue };
        let path = folder.join(name).join("new/estimates.json");
        let read = fs::read_to_string(&path).map_err(|err| format!("{}: {err}", path.display()))?;
        let estimates: Value = serde_json::from_str(&read)?;
        let median = estimates["median"]["point_estimate"].as_f64();
        medians.insert(round, median.ok_or("no median in criterion's estimates")?);
    }
    if medians.is_empty() {
        return Err(format!("{}: no round of {contender}", folder.display()).into());
    }
    Ok(medians)
}

/// The median over the rounds, in nanoseconds, at each size of the groups `work_SIZE`.
pub(super) fn medians_over_sizes(
    criterion: &Path,
    work: &str,
    contender: &str,
) -> Fallible<BTreeMap<u32, f64>> {
    let mut over_sizes = BTreeMap::new();
    for group in names(criterion)? {
        let size = group.strip_prefix(work).and_then(|rest| rest.strip_prefix('_'));
        let Some(Ok(size)) = size.map(str::parse) else { continue };
        let rounds = medians(criterion, &group, contender)?.into_values().collect();
        over_sizes.extend(spread(rounds).map(|(median, ..)| (size, median)));
    }
    if over_sizes.is_empty() {
        return Err(format!("{}: no group {work}_SIZE", criterion.display()).into());
    }
    Ok(over_sizes)
}

/// The median, the lowest and the highest value; `None` if there are no values.
pub(super) fn spread(mut values: Vec<f64>) -> Option<(f64, f64, f64)> {
    values.sort_by(f64::total_cmp);
    Some((*values.get(values.len() / 2)?, *values.first()?, *values.last()?))
}

fn names(folder: &Path) -> Fallible<Vec<String>> {
    let listed = fs::read_dir(folder).map_err(|err| format!("{}: {err}", folder.display()))?;
    let names = listed.map(|entry| Ok(entry?.file_name().into_string().unwrap_or_default()));
    names.collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Writes a median into criterion's folder.
    pub(in crate::bench) fn put(criterion: &Path, group: &str, bench: &str, nanoseconds: f64) {
        let folder = criterion.join(group).join(bench).join("new");
        fs::create_dir_all(&folder).unwrap();
        let estimates = format!("{{\"median\":{{\"point_estimate\":{nanoseconds}}}}}");
        fs::write(folder.join("estimates.json"), estimates).unwrap();
    }

    #[test]
    fn each_size_has_the_median_of_its_rounds() {
        let dir = tempfile::tempdir().unwrap();
        for (round, nanoseconds) in [("0", 7.0), ("1", 900.0), ("2", 8.0)] {
            put(dir.path(), "save_16", &format!("ours_{round}"), nanoseconds);
        }
        put(dir.path(), "save_256", "ours_0", 20.5);
        put(dir.path(), "save_all_16", "ours_0", 1.0);
        put(dir.path(), "saves_16", "ours_0", 1.0);
        let found = medians_over_sizes(dir.path(), "save", "ours").unwrap();
        assert_eq!(found.into_iter().collect::<Vec<_>>(), [(16, 8.0), (256, 20.5)]);
    }

    #[test]
    fn the_error_names_the_missing_group_or_contender() {
        let dir = tempfile::tempdir().unwrap();
        put(dir.path(), "save_16", "ours_0", 7.0);
        put(dir.path(), "save_16", "peer_0", 7.0);
        put(dir.path(), "save_256", "ours_0", 7.0);
        let error = |work, contender| {
            medians_over_sizes(dir.path(), work, contender).unwrap_err().to_string()
        };
        assert!(error("snapshot", "ours").ends_with("no group snapshot_SIZE"));
        assert!(error("save", "peer").ends_with("save_256: no round of peer"));
    }
}
