//! The file format of docs/format.md, implemented independently.

use repl_checkpoint::StoreId;

/// The length of a header in bytes, with the line feed.
pub(crate) const HEADER: usize = 197;
/// The offset of the digits of its checksum.
pub(crate) const CHECKED: usize = 188;
/// The same of the header of a delta.
pub(crate) const DELTA_HEADER: usize = 272;
/// The length of the closing checksum behind a record in a slot.
pub(crate) const CLOSING: usize = 10;
/// A delta begins at a multiple of this.
pub(crate) const ALIGN: usize = 512;
/// The size of a page of a slot file.
pub(crate) const PAGE: usize = 4096;

/// The store id in the header, or 0 if there is none.
pub(crate) fn store_in(bytes: &[u8]) -> StoreId {
    let digits = bytes.get(40..72).and_then(|digits| std::str::from_utf8(digits).ok());
    StoreId(digits.and_then(|digits| u128::from_str_radix(digits, 16).ok()).unwrap_or(0))
}

/// The fields of the header of an envelope, if it is exactly as these are formatted.
pub(crate) fn header_in(bytes: &[u8]) -> Option<Envelope> {
    let line = std::str::from_utf8(bytes.get(..HEADER)?).ok()?;
    let number = |digits: std::ops::Range<usize>| line.get(digits)?.parse::<u64>().ok();
    let found = Envelope {
        codec: name_in(line.get(25..33)?)?,
        store: store_in(bytes),
        generation: number(84..104)?,
        confirmed: number(115..135)?,
        length: number(143..163)?,
        payload: u32::from_str_radix(line.get(172..180)?, 16).ok()?,
        crc: u32::from_str_radix(line.get(188..196)?, 16).ok()?,
    };
    let Envelope { codec, store, generation, confirmed, length, payload, .. } = &found;
    let again = with_own_checksum(format!(
        "repl-checkpoint v2 codec={codec:<8} store={store} generation={generation:020} \
         confirmed={confirmed:020} length={length:020} payload={payload:08x}"
    ));
    let is_in_order = *confirmed == 0 || confirmed < generation;
    (again.as_bytes() == line.as_bytes() && is_in_order).then_some(found)
}

/// The name of a codec: `a-z`, `0-9` and `-`, then spaces.
fn name_in(padded: &str) -> Option<String> {
    let name = padded.trim_end_matches(' ');
    let of_name = |c: char| matches!(c, 'a'..='z' | '0'..='9' | '-');
    (!name.is_empty() && name.chars().all(of_name)).then(|| name.to_owned())
}

/// The fields of the header of an envelope.
#[derive(Debug, Clone)]
pub(crate) struct Envelope {
    pub(crate) codec: String,
    pub(crate) store: StoreId,
    pub(crate) generation: u64,
    confirmed: u64,
    pub(crate) length: u64,
    pub(crate) payload: u32,
    /// Of the header.
    pub(crate) crc: u32,
}

/// The fields of the header of a delta.
#[derive(Debug, Clone)]
pub(crate) struct Delta {
    pub(crate) codec: String,
    pub(crate) store: StoreId,
    pub(crate) generation: u64,
    pub(crate) confirmed: u64,
    pub(crate) base: u64,
    pub(crate) link: u32,
    pub(crate) removed: u64,
}

impl Delta {
    /// A record with these fields, whatever they say.
    pub(crate) fn sealed(&self, rest: &[u8]) -> Vec<u8> {
        let Delta { codec, store, generation, confirmed, base, link, removed } = self;
        let line = format!(
            "repl-checkpoint delta v2 codec={codec:<8} store={store} generation={generation:020} \
             confirmed={confirmed:020} base={base:020} link={link:08x} removed={removed:020} \
             length={:020} payload={:08x}",
            rest.len(),
            crc32c::crc32c(rest)
        );
        [with_own_checksum(line).as_bytes(), rest].concat()
    }
}

/// The fields of the header of a delta, the length and the checksum of what follows, and the
/// checksum of the header; `None` unless it is exactly as these are formatted.
pub(crate) fn delta_in(bytes: &[u8]) -> Option<(Delta, u64, u32, u32)> {
    let line = std::str::from_utf8(bytes.get(..DELTA_HEADER)?).ok()?;
    let number = |at: usize| line.get(at..at + 20)?.parse::<u64>().ok();
    let checksum = |at: usize| u32::from_str_radix(line.get(at..at + 8)?, 16).ok();
    let store = u128::from_str_radix(line.get(46..78)?, 16).ok()?;
    let delta = Delta {
        codec: name_in(line.get(31..39)?)?,
        store: StoreId(store),
        generation: number(90)?,
        confirmed: number(121)?,
        base: number(147)?,
        link: checksum(173)?,
        removed: number(190)?,
    };
    let (length, payload, crc) = (number(218)?, checksum(247)?, checksum(263)?);
    // The same line with the length and the checksum of the payload that it says.
    let mut again = String::from_utf8(delta.sealed(b"")).ok()?;
    again.replace_range(218..238, &format!("{length:020}"));
    again.replace_range(247..255, &format!("{payload:08x}"));
    again.truncate(255);
    let is_in_order = delta.confirmed == 0 || delta.confirmed < delta.generation;
    let fits = delta.removed.checked_mul(21).is_some_and(|ids| ids <= length);
    let is = with_own_checksum(again).as_bytes() == line.as_bytes();
    (is && is_in_order && fits && delta.base < delta.generation)
        .then_some((delta, length, payload, crc))
}

fn with_own_checksum(mut line: String) -> String {
    line.push_str(" crc32c=");
    let crc = crc32c::crc32c(line.as_bytes());
    line + &format!("{crc:08x}\n")
}

/// Whether the header is exactly as its fields are formatted, with correct length and checksums.
pub(crate) fn is_canonical(bytes: &[u8], codec: &str) -> bool {
    header_in(bytes).is_some_and(|found| {
        let payload = &bytes[HEADER..];
        found.codec == codec
            && found.length == payload.len() as u64
            && found.payload == crc32c::crc32c(payload)
    })
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

/// The bytes with the checksums and the line feed corrected, if there is a whole header.
pub(crate) fn with_checksum(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    if bytes.len() >= HEADER {
        let payload = crc32c::crc32c(&bytes[HEADER..]);
        bytes[172..180].copy_from_slice(format!("{payload:08x}").as_bytes());
        let crc = crc32c::crc32c(&bytes[..CHECKED]);
        bytes[CHECKED..HEADER].copy_from_slice(format!("{crc:08x}\n").as_bytes());
    }
    bytes
}

/// A delta with the checksum of its header corrected.
pub(crate) fn with_header_checksum(mut delta: Vec<u8>) -> Vec<u8> {
    let crc = crc32c::crc32c(&delta[..DELTA_HEADER - 9]);
    delta[DELTA_HEADER - 9..DELTA_HEADER].copy_from_slice(format!("{crc:08x}\n").as_bytes());
    delta
}

/// The checksum in the header of an envelope or a delta; 0 if the header is not right.
pub(crate) fn crc_of(record: &[u8]) -> u32 {
    let of_delta = || delta_in(record).map(|(.., crc)| crc);
    header_in(record).map(|found| found.crc).or_else(of_delta).unwrap_or(0)
}

/// The closing checksum of a record whose header has this checksum.
pub(crate) fn closing(crc: u32) -> Vec<u8> {
    format!("\n{crc:08x}\n").into_bytes()
}

/// The first page of a slot file.
pub(crate) fn first_page(version: u8, store: StoreId, slot: usize) -> Vec<u8> {
    let line = format!("repl-checkpoint slots v{version} store={store} slot={slot:020} crc32c=");
    let crc = crc32c::crc32c(line.as_bytes());
    let mut page = format!("{line}{crc:08x}\n").into_bytes();
    page.resize(PAGE, 0);
    page
}
