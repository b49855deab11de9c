//! The file format by docs/format.md, written a second time.

use repl_checkpoint::StoreId;

/// The bytes of a header, with the line feed.
pub(crate) const HEADER: usize = 180;
/// Where the digits of its checksum begin.
pub(crate) const CHECKED: usize = 171;
/// A page of a slot file.
pub(crate) const PAGE: usize = 4096;

/// What the header names as the store; 0 where it names none.
pub(crate) fn store_in(bytes: &[u8]) -> StoreId {
    let digits = bytes.get(40..72).and_then(|digits| std::str::from_utf8(digits).ok());
    StoreId(digits.and_then(|digits| u128::from_str_radix(digits, 16).ok()).unwrap_or(0))
}

/// What the header names as the generation.
pub(crate) fn generation_in(bytes: &[u8]) -> Option<u64> {
    std::str::from_utf8(bytes.get(84..104)?).ok()?.parse().ok()
}

/// How long the header says that all of it is.
pub(crate) fn length_in(bytes: &[u8]) -> Option<usize> {
    let digits = std::str::from_utf8(bytes.get(143..163)?).ok()?;
    digits.parse::<usize>().ok()?.checked_add(HEADER)
}

/// Whether the header is what its fields give, and its length and checksum are right.
pub(crate) fn is_canonical(bytes: &[u8], codec: &str) -> bool {
    let number = |digits| std::str::from_utf8(bytes.get(digits)?).ok()?.parse::<u64>().ok();
    let (Some(generation), Some(confirmed)) = (number(84..104), number(115..135)) else {
        return false;
    };
    let header = format!(
        "repl-checkpoint v1 codec={codec:<8} store={} generation={generation:020} \
         confirmed={confirmed:020} length=",
        store_in(bytes)
    );
    let is_in_order = confirmed == 0 || confirmed < generation;
    let rest = bytes.get(163..CHECKED) == Some(b" crc32c=");
    let starts = bytes.starts_with(header.as_bytes()) && rest && is_in_order;
    starts && bytes.len() >= HEADER && with_checksum(&with_length(bytes, 0)) == bytes
}

/// The same with the digits of the length put right, or `more` than right, where a whole header is
/// there.
pub(crate) fn with_length(bytes: &[u8], more: isize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    if let Some(payload) = bytes.len().checked_sub(HEADER) {
        let payload = payload.saturating_add_signed(more);
        bytes[143..163].copy_from_slice(format!("{payload:020}").as_bytes());
    }
    bytes
}

/// The same with the digits of the checksum and the line feed put right.
pub(crate) fn with_checksum(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    if bytes.len() >= HEADER {
        let crc = crc32c::crc32c(&[&bytes[..CHECKED], &bytes[HEADER..]].concat());
        bytes[CHECKED..HEADER].copy_from_slice(format!("{crc:08x}\n").as_bytes());
    }
    bytes
}

/// The first page of a slot file.
pub(crate) fn first_page(version: u8, store: StoreId, slot: usize) -> Vec<u8> {
    let line = format!("repl-checkpoint slots v{version} store={store} slot={slot:020} crc32c=");
    let crc = crc32c::crc32c(line.as_bytes());
    let mut page = format!("{line}{crc:08x}\n").into_bytes();
    page.resize(PAGE, 0);
    page
}
