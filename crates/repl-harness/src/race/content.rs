//! Bytes to save that tell where they come from.

/// The bytes of a content: its number, then random bytes whose count and values follow from it.
pub(crate) fn bytes(content: u64) -> Vec<u8> {
    let mut rng = fastrand::Rng::with_seed(content);
    let length = if content.is_multiple_of(7) { 0..40_000 } else { 0..300 };
    let mut bytes = content.to_le_bytes().to_vec();
    let random = bytes.len();
    bytes.resize(random + rng.usize(length), 0);
    rng.fill(&mut bytes[random..]);
    bytes
}

/// The content of bytes, or `None` if no content has them.
pub(crate) fn of(bytes: &[u8]) -> Option<u64> {
    let number = bytes.first_chunk().map(|number| u64::from_le_bytes(*number))?;
    (self::bytes(number) == bytes).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_were_cut_or_changed_have_no_content() {
        for content in [0, 1, 7, u64::MAX] {
            let mut whole = bytes(content);
            assert_eq!(of(&whole), Some(content));
            whole.push(0);
            assert_eq!(of(&whole), None);
            whole.pop();
            whole.pop();
            assert_eq!(of(&whole), None);
        }
        assert_eq!(of(&[]), None);
    }
}
