//! The first page of a slot file: its format, its store and the length of its slots.
//!
//! ```text
//! repl-checkpoint slots v2 store=<32 hex digits> slot=<20 digits> crc32c=<8 hex digits>
//! ```
//! then a line feed, and zeros up to 4096 bytes.

use crate::ids::StoreId;

/// The length of the first page. The length of a slot is a multiple of it.
pub(super) const PAGE: usize = 4096;

pub(super) const MAGIC: &str = "repl-checkpoint slots v";
const VERSION: &str = "2";

/// The fields of a first page.
pub(super) struct FirstPage {
    pub(super) store: StoreId,
    pub(super) size: usize,
}

pub(super) fn first_page(store: StoreId, size: usize) -> Vec<u8> {
    let line = format!("{MAGIC}{VERSION} store={store} slot={size:020} crc32c=");
    let mut page = format!("{line}{:08x}\n", crc32c::crc32c(line.as_bytes())).into_bytes();
    page.resize(PAGE, 0);
    page
}

impl FirstPage {
    /// Reads a page, or returns `None` unless it equals the rendering of its fields.
    pub(super) fn of(page: &[u8]) -> Option<Self> {
        let line = page.split(|b| *b == b'\n').next()?;
        let rest = std::str::from_utf8(line).ok()?.strip_prefix(MAGIC)?.strip_prefix(VERSION)?;
        let (store, rest) = rest.strip_prefix(" store=")?.split_at_checked(32)?;
        let (size, _) = rest.strip_prefix(" slot=")?.split_at_checked(20)?;
        let found = FirstPage {
            store: StoreId(u128::from_str_radix(store, 16).ok()?),
            size: size.parse().ok()?,
        };
        let sound = found.size > 0 && found.size.is_multiple_of(PAGE);
        (sound && page == first_page(found.store, found.size)).then_some(found)
    }

    /// Returns the version of a page if it is another one, and not this one with a damaged digit.
    pub(super) fn other_version(page: &[u8]) -> Option<String> {
        let version = page.strip_prefix(MAGIC.as_bytes())?.split(|b| *b == b' ').next()?;
        let is_number = (1..=8).contains(&version.len()) && version.iter().all(u8::is_ascii_digit);
        let mut as_this_version = page.to_vec();
        as_this_version.splice(MAGIC.len()..MAGIC.len() + version.len(), VERSION.bytes());
        let other =
            is_number && version != VERSION.as_bytes() && Self::of(&as_this_version).is_none();
        other.then(|| String::from_utf8_lossy(version).into_owned())
    }
}
