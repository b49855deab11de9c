use proptest::prelude::*;
use rusqlite::Connection;

use super::*;

/// A log written by SQLite, with three transactions.
fn written_by_sqlite(page_size: u32) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("db");
    let db = Connection::open(&path).unwrap();
    db.pragma_update(None, "page_size", page_size).unwrap();
    db.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(())).unwrap();
    db.execute_batch("CREATE TABLE t (x); INSERT INTO t VALUES (1); INSERT INTO t VALUES (2);")
        .unwrap();
    std::fs::read(folder.path().join("db-wal")).unwrap()
}

fn commits(header: &WalHeader, log: &[u8]) -> usize {
    let mut checksum = header.checksum;
    let mut commits = 0;
    for bytes in log[HEADER_SIZE..].chunks(header.frame_size()) {
        let Some(frame) = header.next_frame(checksum, bytes) else { break };
        checksum = frame.header.checksum;
        commits += usize::from(frame.header.commit_size != 0);
    }
    commits
}

/// The checksum of the format, word by word as in the specification.
fn specified_checksum(words: &[u32]) -> Checksum {
    let (mut s0, mut s1) = (0_u32, 0_u32);
    for pair in words.chunks(2) {
        s0 = s0.wrapping_add(pair[0].wrapping_add(s1));
        s1 = s1.wrapping_add(pair[1].wrapping_add(s0));
    }
    [s0, s1]
}

#[test]
fn a_log_written_by_sqlite_is_read_at_every_page_size() {
    for shift in 9..=16 {
        let log = written_by_sqlite(1 << shift);
        let header = WalHeader::parse(&log).unwrap();
        assert_eq!(header.page_size, 1 << shift);
        assert_eq!(header.checkpoint_seq, 0);
        assert_eq!(commits(&header, &log), 3);
    }
}

#[test]
fn a_log_with_big_endian_checksums_is_read() {
    let words = [MAGIC | 1, VERSION, 4096, 7, 11, 13];
    let mut bytes: Vec<u8> = words.iter().flat_map(|w| w.to_be_bytes()).collect();
    bytes.extend(specified_checksum(&words).iter().flat_map(|w| w.to_be_bytes()));
    let header = WalHeader::parse(&bytes).unwrap();
    assert_eq!((header.checkpoint_seq, header.salts), (7, [11, 13]));

    let mut little = bytes;
    little[3] = 0x82;
    assert_eq!(WalHeader::parse(&little), Err(HeaderError::Checksum));
}

#[test]
fn each_defect_of_a_header_has_its_error() {
    let log = written_by_sqlite(512);
    let broken = |at: usize, byte: u8| {
        let mut log = log.clone();
        log[at] = byte;
        WalHeader::parse(&log)
    };
    assert_eq!(WalHeader::parse(&log[..31]), Err(HeaderError::Short(31)));
    assert_eq!(WalHeader::parse(&[]), Err(HeaderError::Short(0)));
    assert!(matches!(broken(0, 0), Err(HeaderError::Magic(_))));
    assert!(matches!(broken(7, 0), Err(HeaderError::Version(_))));
    assert_eq!(broken(10, 3), Err(HeaderError::PageSize(768)));
    assert_eq!(broken(10, 1), Err(HeaderError::PageSize(256)));
    assert_eq!(broken(8, 1), Err(HeaderError::PageSize((1 << 24) + 512)));
    assert_eq!(broken(16, log[16] ^ 1), Err(HeaderError::Checksum));
}

#[test]
fn every_flipped_bit_ends_the_log_at_its_frame() {
    let log = written_by_sqlite(512);
    let header = WalHeader::parse(&log).unwrap();
    for bit in 0..log.len() * 8 {
        let mut log = log.clone();
        log[bit / 8] ^= 1 << (bit % 8);
        if bit / 8 < HEADER_SIZE {
            assert!(WalHeader::parse(&log).is_err(), "bit {bit}");
        } else {
            let mut checksum = header.checksum;
            let frames = log[HEADER_SIZE..].chunks(header.frame_size());
            let whole = frames
                .map_while(|bytes| {
                    let frame = header.next_frame(checksum, bytes)?;
                    checksum = frame.header.checksum;
                    Some(())
                })
                .count();
            assert_eq!(whole, (bit / 8 - HEADER_SIZE) / header.frame_size(), "bit {bit}");
        }
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_cause_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        let _ = WalHeader::parse(&bytes);
        let _ = FrameHeader::parse(&bytes);
        let log = WalHeader {
            page_size: 512,
            checkpoint_seq: 0,
            salts: [1, 2],
            checksum: [3, 4],
            big_endian: bytes.len() % 2 == 0,
        };
        prop_assert_eq!(log.next_frame([0, 0], &bytes), None);
    }
}
