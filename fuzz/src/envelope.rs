//! A checkpoint file: accepted just where it is as it would be sealed.

use repl_checkpoint::{BincodeCodec, Codec, JsonCodec, UnsealError, StoreId, open, seal};

use crate::checkpoints::is_valid;
use crate::format::{CHECKED, HEADER, is_canonical, store_in, with_checksum, with_length};

/// The file as it is, then with its checksum put right, and its length, so that what is behind them
/// is reached; then that one damaged. What stood in place of the checksum chooses the damage.
pub fn envelope(data: &[u8]) {
    is_accepted(data);
    let Some(digits) = data.get(CHECKED..HEADER - 1) else { return };
    is_accepted(&with_checksum(data));
    let whole = with_checksum(&with_length(data, 0));
    if is_accepted(&whole) {
        assert!(data == whole || !is_accepted(data), "a wrong length or checksum passes");
        assert!(!is_accepted(&damaged(&whole, digits)), "damage is not seen");
    }
}

/// Never equal to `whole`. Four bytes that are changed are a burst, which a 32-bit checksum finds.
fn damaged(whole: &[u8], choice: &[u8]) -> Vec<u8> {
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
            // Nothing was changed where all of `change` is zero.
            bytes[at] ^= u8::from(change == [0; 4]);
        }
    }
    bytes
}

/// Whether a codec accepts `bytes`, having checked that it should, and that sealing what was read
/// gives them again.
fn is_accepted(bytes: &[u8]) -> bool {
    let store = store_in(bytes);
    let accepts = |codec: &dyn Codec| {
        let opened = open(codec, store, bytes);
        let should = is_canonical(bytes, codec.name())
            && codec.decode(&bytes[HEADER..]).is_ok_and(|checkpoint| is_valid(&checkpoint));
        assert_eq!(opened.is_ok(), should, "{opened:?}");
        let Ok((header, checkpoint)) = opened else { return false };
        assert_eq!(header.store, store);
        let again = seal(codec, header, &checkpoint).expect("what was opened can be sealed");
        assert!(again == bytes, "accepted, and not as it is sealed");
        let other = open(codec, StoreId(!store.0), bytes);
        assert!(matches!(other, Err(UnsealError::OtherStore { .. })), "{other:?}");
        true
    };
    let (json, bincode) = (accepts(&JsonCodec), accepts(&BincodeCodec));
    assert!(!(json && bincode), "both codecs accept the same bytes");
    json || bincode
}
