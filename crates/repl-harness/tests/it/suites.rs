//! The codecs and stores of this workspace pass the suites.

use repl_checkpoint::{BincodeCodec, Codec, FileStore, JsonCodec, SlotStore, StoreId};
use repl_harness::suites::{StoreOptions, codec_suite, store_suite};

#[test]
fn both_codecs_pass() {
    for codec in [&JsonCodec as &dyn Codec, &BincodeCodec] {
        let report = codec_suite(codec).unwrap_or_else(|broken| panic!("{broken}"));
        assert!(report.decoded > 20_000 && report.opened > 5_000, "{}: {report}", codec.name());
        assert_eq!(report.checkpoints, 110);
    }
}

#[test]
fn both_stores_pass() {
    let id = StoreId(0xfeed);
    let options = StoreOptions::default();
    let files = store_suite(options, |dir| FileStore::open(dir, id));
    let slots = store_suite(options, |dir| SlotStore::open(dir, id));
    for report in [files, slots] {
        let report = report.unwrap_or_else(|broken| panic!("{broken}"));
        assert!(report.saves > 40 && report.damaged > 200, "{report}");
    }
}
