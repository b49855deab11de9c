//! The file format of docs/format.md, implemented independently.

use repl_checkpoint::StoreId;

/// The length of a header in bytes, with the line feed.
pub(crate) const HEADER: usize = 180;
/// The offset of the digits of the checksum.
pub(crate) const CHECKED: usize = 171;
/// The size of a page of a slot file.
pub(crate) const PAGE: usize = 4096;

/// The store id in the header, or 0 if there is none.
pub(crate) fn store_in(bytes: &[u8]) -> StoreId {
    let digits = bytes.get(40..72).and_then(|digits| std::str::from_utf8(digits).ok());
    StoreId(digits.and_then(|digits| u128::from_str_radix(digits, 16).ok()).unwrap_or(0))
}

/// The generation in the header.
pub(crate) fn generation_in(bytes: &[u8]) -> Option<u64> {
    std::str::from_utf8(bytes.get(84..104)?).ok()?.parse().ok()
}

/// The length of the whole file according to the header.
pub(crate) fn length_in(bytes: &[u8]) -> Option<usize> {
    let digits = std::str::from_utf8(bytes.get(143..163)?).ok()?;
    digits.parse::<usize>().ok()?.checked_add(HEADER)
}

/// Whether the header is exactly as its fields are formatted, with correct length and checksum.
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

/// The bytes with the length corrected, and changed by `more`, if there is a whole header.
pub(crate) fn with_length(bytes: &[u8], more: isize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    if let Some(payload) = bytes.len().checked_sub(HEADER) {
        let payload = payload.saturating_add_signed(more);
        bytes[143..163].copy_from_slice(format!("{payload:020}").as_bytes());
    }
    bytes
}

/// The bytes with the checksum and the line feed corrected, if there is a whole header.
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
