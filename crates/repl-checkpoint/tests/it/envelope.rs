//! Bytes that are not a sealed checkpoint are refused.

use repl_checkpoint::{
    Checkpoint, Codec, CodecError, Header, InvalidCheckpoint, JsonCodec, Rows, SealError,
    ShardCheckpoint, StoreId, UnsealError,
};
use repl_core::Incarnation;

use crate::support::format::{CRC, HEADER, with_right_checksums};
use crate::support::{Named, STORE, codecs, every_field, header, marks, sealed, shard};

/// The offset of the version.
const VERSION: usize = 17;

#[test]
fn unseal_returns_what_was_sealed() {
    for codec in codecs() {
        let bytes = every_field().seal(codec, header(9)).unwrap();
        let (found, checkpoint) = Checkpoint::unseal(codec, STORE, &bytes).unwrap();
        assert_eq!((found, checkpoint), (header(9), every_field()));
    }
}

#[test]
fn every_prefix_is_refused_as_damage() {
    for codec in codecs() {
        let bytes = every_field().seal(codec, header(9)).unwrap();
        for length in 0..bytes.len() {
            let refused = Checkpoint::unseal(codec, STORE, &bytes[..length]).unwrap_err();
            assert!(refused.is_damage(), "{length} bytes: {refused}");
        }
        assert!(matches!(Checkpoint::unseal(codec, STORE, b""), Err(UnsealError::Empty)));
        let short = Checkpoint::unseal(codec, STORE, &bytes[..HEADER - 1]);
        assert!(matches!(short, Err(UnsealError::Header)));
        let found = (bytes.len() - HEADER - 1) as u64;
        let cut = Checkpoint::unseal(codec, STORE, &bytes[..bytes.len() - 1]).unwrap_err();
        let expected = found + 1;
        assert!(
            matches!(cut, UnsealError::Length { expected: e, found: f } if (e, f) == (expected, found)),
            "{cut}"
        );
    }
}

#[test]
fn every_single_bit_flip_is_refused_as_damage() {
    for codec in codecs() {
        let whole = every_field().seal(codec, header(9)).unwrap();
        for bit in 0..whole.len() * 8 {
            let mut bytes = whole.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let refused = Checkpoint::unseal(codec, STORE, &bytes).unwrap_err();
            assert!(refused.is_damage(), "bit {bit}: {refused}");
        }
    }
}

#[test]
fn every_extension_by_one_byte_is_refused_as_damage() {
    for codec in codecs() {
        let whole = every_field().seal(codec, header(9)).unwrap();
        for byte in 0..=u8::MAX {
            let extended = [whole.as_slice(), &[byte]].concat();
            let refused = Checkpoint::unseal(codec, STORE, &extended).unwrap_err();
            assert!(matches!(refused, UnsealError::Length { .. }), "{refused}");
            assert!(refused.is_damage());
        }
    }
}

#[test]
fn header_fields_are_at_their_documented_offsets() {
    let header = Header { store: StoreId(0xabc), generation: u64::MAX, confirmed: 41 };
    for codec in codecs() {
        let bytes = marks(&[(1, 2)]).seal(codec, header).unwrap();
        let line = std::str::from_utf8(&bytes[..HEADER]).unwrap();
        assert_eq!(&line[..25], "repl-checkpoint v2 codec=");
        assert_eq!(line[25..33], format!("{:<8}", codec.name()));
        assert_eq!(&line[33..72], " store=00000000000000000000000000000abc");
        assert_eq!(&line[72..104], " generation=18446744073709551615");
        assert_eq!(&line[104..135], " confirmed=00000000000000000041");
        let length = bytes.len() - HEADER;
        assert_eq!(line[135..163], format!(" length={length:020}"));
        let payload = format!(" payload={:08x}", crc32c::crc32c(&bytes[HEADER..]));
        assert_eq!(line[163..180], payload);
        assert_eq!(&line[180..188], " crc32c=");
        assert!(line[CRC].bytes().all(|b| b.is_ascii_hexdigit()));
        assert_eq!(&line[196..], "\n");
        assert_eq!(bytes, with_right_checksums(bytes.clone()));
        let mut payload = Vec::new();
        codec.encode(&mut marks(&[(1, 2)]).rows(), &mut payload).unwrap();
        assert_eq!(&bytes[HEADER..], payload);
    }
}

#[test]
fn sealing_equal_arguments_gives_equal_bytes() {
    for codec in codecs() {
        let seal = || every_field().seal(codec, header(3)).unwrap();
        assert_eq!(seal(), seal());
    }
}

#[test]
fn a_codec_name_that_does_not_fit_the_header_is_refused() {
    for name in ["", "ninechars", "JSON", "js on", "js\n", "j\u{e4}", "json "] {
        let refused = marks(&[]).seal(&Named(name), header(1)).unwrap_err();
        assert!(matches!(refused, SealError::CodecName { codec } if codec == name));
    }
    for name in ["j", "eightchr", "a-0"] {
        let bytes = marks(&[]).seal(&Named(name), header(1)).unwrap();
        assert_eq!(Checkpoint::unseal(&Named(name), STORE, &bytes).unwrap().0, header(1));
    }
}

#[test]
fn another_codec_is_refused_by_name_and_is_no_damage() {
    let refused =
        Checkpoint::unseal(&Named("other"), STORE, &sealed(1, &every_field())).unwrap_err();
    assert!(
        matches!(&refused, UnsealError::OtherCodec { expected: "other", found } if found == "json")
    );
    assert!(!refused.is_damage());
}

#[test]
fn another_store_is_refused_by_name_and_is_no_damage() {
    let mine = StoreId(STORE.0 + 1);
    let refused = Checkpoint::unseal(&JsonCodec, mine, &sealed(1, &every_field())).unwrap_err();
    assert!(
        matches!(refused, UnsealError::OtherStore { expected, found } if (expected, found) == (mine, STORE))
    );
    assert!(!refused.is_damage());
}

#[test]
fn a_newer_version_is_refused_by_name_and_is_no_damage() {
    let mut version_3 = sealed(1, &every_field());
    version_3[VERSION] = b'3';
    let same_layout = with_right_checksums(version_3);
    let other_layout = b"repl-checkpoint v3 wholly different".to_vec();
    for bytes in [same_layout, other_layout] {
        let refused = Checkpoint::unseal(&JsonCodec, STORE, &bytes).unwrap_err();
        assert!(
            matches!(&refused, UnsealError::Version { version } if version == "3"),
            "{refused}"
        );
        assert!(!refused.is_damage());
    }
}

#[test]
fn a_version_digit_that_changed_under_its_checksum_is_damage() {
    for digit in (b'0'..=b'9').filter(|digit| *digit != b'2') {
        let mut bytes = sealed(1, &every_field());
        bytes[VERSION] = digit;
        let refused = Checkpoint::unseal(&JsonCodec, STORE, &bytes).unwrap_err();
        assert!(matches!(refused, UnsealError::Header), "{refused}");
    }
}

#[test]
fn a_foreign_file_is_refused() {
    for bytes in [&b"{}"[..], b"repl-checkpoint", b"\0\0\0\0", b"REPL-CHECKPOINT v2 "] {
        let refused = Checkpoint::unseal(&JsonCodec, STORE, bytes).unwrap_err();
        assert!(matches!(refused, UnsealError::Magic) && refused.is_damage(), "{refused}");
    }
}

#[test]
fn a_header_in_another_spelling_is_refused_under_a_right_checksum() {
    let respelled = |at: usize, with: &str| {
        let mut bytes = sealed(1, &every_field());
        bytes[at..at + with.len()].copy_from_slice(with.as_bytes());
        let refused =
            Checkpoint::unseal(&JsonCodec, STORE, &with_right_checksums(bytes)).unwrap_err();
        assert!(matches!(refused, UnsealError::Header), "{with:?} at {at}: {refused}");
    };
    respelled(68, "FEED"); // the store's id in capitals
    respelled(40, "+"); // a sign before a number
    respelled(84, "+");
    respelled(143, "+");
    respelled(33, "\t");
    respelled(84, " 0000"); // a number padded with a space
    respelled(25, "JSON"); // no name of a codec
    respelled(25, "        ");
}

#[test]
fn a_checksum_in_capitals_is_refused() {
    // The first generation with a letter in its checksum.
    let with_letter = (1..).map(|g| sealed(g, &every_field()));
    let mut bytes =
        with_letter.into_iter().find(|b| b[CRC].iter().any(u8::is_ascii_lowercase)).unwrap();
    bytes[CRC].make_ascii_uppercase();
    let refused = Checkpoint::unseal(&JsonCodec, STORE, &bytes).unwrap_err();
    assert!(matches!(refused, UnsealError::Header), "{refused}");
}

#[test]
fn a_wrong_length_is_refused_under_a_right_checksum() {
    for length in ["00000000000000000000", "18446744073709551615"] {
        let mut bytes = sealed(1, &every_field());
        bytes[143..163].copy_from_slice(length.as_bytes());
        let refused =
            Checkpoint::unseal(&JsonCodec, STORE, &with_right_checksums(bytes)).unwrap_err();
        assert!(matches!(refused, UnsealError::Length { .. }), "{refused}");
    }
}

#[test]
fn a_payload_that_the_codec_refuses_is_damage() {
    let mut bytes = sealed(1, &every_field());
    bytes[HEADER] = b'[';
    let refused = Checkpoint::unseal(&JsonCodec, STORE, &with_right_checksums(bytes)).unwrap_err();
    assert!(matches!(refused, UnsealError::Payload(_)) && refused.is_damage());
}

#[test]
fn what_unseal_would_refuse_is_never_sealed() {
    let mut descending = marks(&[(2, 1), (1, 1)]);
    let refused = descending.seal(&JsonCodec, header(1)).unwrap_err();
    let reason = InvalidCheckpoint::ShardOrder { shard: shard(1, 1).shard };
    assert!(matches!(refused, SealError::Invalid(found) if found == reason));
    // The same checkpoint, encoded without the check and with a correct checksum.
    let mut bytes = sealed(1, &marks(&[(1, 1), (2, 1)]));
    let swapped = String::from_utf8(bytes.split_off(HEADER)).unwrap();
    let swapped = swapped.replace("\"shard\":1", "\"shard\":9");
    bytes.extend_from_slice(swapped.as_bytes());
    descending.shards[0].shard.0 = 9;
    let refused = Checkpoint::unseal(&JsonCodec, STORE, &with_right_checksums(bytes)).unwrap_err();
    assert!(matches!(refused, UnsealError::Invalid(_)) && refused.is_damage());
}

/// A wrong codec, which clears the buffer instead of appending to it.
#[derive(Clone, Copy)]
struct Clears;

impl Codec for Clears {
    fn name(&self) -> &'static str {
        "clears"
    }

    fn encode(&self, _: &mut Rows<'_>, out: &mut Vec<u8>) -> Result<(), CodecError> {
        out.clear();
        Ok(())
    }

    fn decode(
        &self,
        _: &[u8],
        _: &mut dyn FnMut(ShardCheckpoint),
    ) -> Result<Incarnation, CodecError> {
        Ok(Incarnation(0))
    }
}

#[test]
fn a_codec_that_removes_the_header_is_an_error_and_no_panic() {
    let sealed = Checkpoint::default().seal(&Clears, Header::default());
    assert!(matches!(sealed, Err(SealError::Codec { codec: "clears", .. })));
}
