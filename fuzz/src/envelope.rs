//! A checkpoint file: accepted if and only if sealing its contents gives the same bytes.

use repl_checkpoint::{BincodeCodec, Checkpoint, Codec, JsonCodec, StoreId, UnsealError};

use crate::checkpoints::is_valid;
use crate::format::{CHECKED, HEADER, is_canonical, store_in, with_checksum, with_length};

/// Opens the file as it is, then with its checksum and length corrected, so that the checks behind
/// them are reached. Then corrupts the corrected file, as chosen by the bytes of its old checksum.
pub fn envelope(data: &[u8]) {
    is_accepted(data);
    let Some(digits) = data.get(CHECKED..HEADER - 1) else { return };
    is_accepted(&with_checksum(data));
    let whole = with_checksum(&with_length(data, 0));
    if is_accepted(&whole) {
        assert!(data == whole || !is_accepted(data), "accepted with a wrong length or checksum");
        assert!(!is_accepted(&corrupted(&whole, digits)), "a corrupt file is accepted");
    }
}

/// A corrupted copy, never equal to `whole`. It changes up to four adjacent bytes, a burst that a
/// 32-bit checksum detects.
fn corrupted(whole: &[u8], choice: &[u8]) -> Vec<u8> {
    let at = usize::from(choice[1]) << 8 | usize::from(choice[2]);
    let change = &choice[4..8];
    let mut bytes = whole.to_vec();
    match choice[0] % 8 {
        0 => bytes.truncate(at % whole.len()),
        1 => bytes.extend_from_slice(&change[..=at % 4]),
        2 => return with_checksum(&with_length(whole, if at < 1 << 15 { 1 } else { -1 })),
        _ => {
            let at = at % (whole.len() - 3);
            for (byte, change) in bytes[at..].iter_mut().zip(change) {
                *byte ^= change;
            }
            // If `change` is all zero, nothing has changed yet.
            bytes[at] ^= u8::from(change == [0; 4]);
        }
    }
    bytes
}

/// Whether a codec accepts `bytes`. Asserts that it should, and that sealing the result gives the
/// same bytes.
fn is_accepted(bytes: &[u8]) -> bool {
    let store = store_in(bytes);
    let accepts = |codec: &dyn Codec| {
        let opened = Checkpoint::unseal(codec, store, bytes);
        let should = is_canonical(bytes, codec.name())
            && Checkpoint::decode(codec, &bytes[HEADER..])
                .is_ok_and(|checkpoint| is_valid(&checkpoint));
        assert_eq!(opened.is_ok(), should, "{opened:?}");
        let Ok((header, checkpoint)) = opened else { return false };
        assert_eq!(header.store, store);
        let again = checkpoint.seal(codec, header).expect("what was opened can be sealed");
        assert!(again == bytes, "accepted, but sealed differently");
        let other = Checkpoint::unseal(codec, StoreId(!store.0), bytes);
        assert!(matches!(other, Err(UnsealError::OtherStore { .. })), "{other:?}");
        true
    };
    let (json, bincode) = (accepts(&JsonCodec), accepts(&BincodeCodec));
    assert!(!(json && bincode), "both codecs accept the same bytes");
    json || bincode
}
