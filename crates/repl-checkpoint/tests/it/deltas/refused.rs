//! Deltas that a store has not offered a base for.

use repl_checkpoint::{CheckpointStore, Save, SaveError};

use super::{file, first, with_deltas};
use crate::protocol::open;
use crate::support::deltas::{delta_on, save_delta};
use crate::support::faulty::Faulty;
use crate::support::{marks, sealed};

#[test]
fn what_builds_on_another_base_is_refused_before_any_call() {
    let (disk, mut store) = with_deltas(4);
    let before = file(&disk);
    let offered = store.delta_base().unwrap();
    let (base, link) = (offered.generation, offered.link);
    let right = delta_on((base, link), 5, &first(5), &[]);
    let two = [&right[..], &right].concat();
    let padded = [&right[..], &[0xff; 8]].concat();
    let whole = sealed(5, &first(5));
    let too_long = marks(&(1..2000).map(|id| (id, 50)).collect::<Vec<_>>());
    for (base, bytes) in [
        (base - 1, &delta_on((base - 1, link), 5, &first(5), &[])),
        (base, &delta_on((base, link ^ 1), 5, &first(5), &[])),
        (base, &delta_on((base, link), 6, &first(6), &[])),
        (4, &right),
        (base, &two),
        (base, &padded),
        (base, &whole),
        (base, &Vec::new()),
        (base, &delta_on((base, link), 5, &too_long, &[])),
    ] {
        let save = Save { generation: 5, confirmed: 4, bytes, base: Some(base) };
        let refused = store.save(save).unwrap_err();
        assert!(matches!(refused, SaveError::NotSaved { .. }), "{refused}");
    }
    assert_eq!(disk.calls(), [""; 0]);
    assert_eq!((file(&disk), store.delta_base()), (before, Some(offered)));
    save_delta(&mut store, 5, &first(5), &[]).unwrap();
}

#[test]
fn a_file_store_refuses_deltas() {
    let disk = Faulty::new();
    let mut store = open(&disk).unwrap();
    for generation in 1..=3 {
        crate::protocol::save(&mut store, generation).unwrap();
    }
    assert_eq!(store.delta_base(), None);
    disk.arm(None);
    let bytes = delta_on((3, 0), 4, &first(4), &[]);
    let refused = store.save(Save { generation: 4, confirmed: 3, bytes: &bytes, base: Some(3) });
    assert!(matches!(refused, Err(SaveError::NotSaved { .. })), "{refused:?}");
    assert_eq!(disk.calls(), [""; 0]);
    crate::protocol::save(&mut store, 4).unwrap();
}

#[test]
fn a_delta_whose_base_is_not_named_is_refused_before_any_call() {
    let (disk, mut store) = with_deltas(4);
    let before = file(&disk);
    let offered = store.delta_base().unwrap();
    let bytes = delta_on((offered.generation, offered.link), 5, &first(5), &[]);
    let save = Save { generation: 5, confirmed: 4, bytes: &bytes, base: None };
    let refused = store.save(save).unwrap_err();
    assert!(matches!(refused, SaveError::NotSaved { .. }), "{refused}");
    assert_eq!(disk.calls(), [""; 0]);
    assert_eq!((file(&disk), store.delta_base()), (before, Some(offered)));
    save_delta(&mut store, 5, &first(5), &[]).unwrap();
}
