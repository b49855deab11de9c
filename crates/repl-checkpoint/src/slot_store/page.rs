//! The first page of a slot file: what it is, whose, and how long its slots are.
//!
//! ```text
//! repl-checkpoint slots v1 store=<32 hex digits> slot=<20 digits> crc32c=<8 hex digits>
//! ```
//! then a line feed, and zeros up to 4096 bytes.

use crate::envelope::StoreId;

/// The length of the first page; every slot is a multiple of it.
pub(super) const PAGE: usize = 4096;

const MAGIC: &str = "repl-checkpoint slots v";
const VERSION: &str = "1";

/// Why a file is no slot file of this store.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SlotFileError {
    /// Neither its first page nor any slot is that of a slot file.
    #[error(
        "is no slot file, or none of it is whole: restore a copy, or find out who put it there and \
         move it away"
    )]
    Foreign,
    /// A format that this version does not read.
    #[error("has slot format version {version:?}, and this program reads version 1: upgrade it")]
    Version {
        /// The version.
        version: String,
    },
    /// A slot file of another store.
    #[error("belongs to store {found}, and store {expected} was opened: open it by its own id")]
    OtherStore {
        /// The store that was opened.
        expected: StoreId,
        /// The store of the file.
        found: StoreId,
    },
    /// It was cut off or extended.
    #[error(
        "has {found} bytes, and its first page says {expected}: restore a copy, or move it away to \
         apply all from the beginning"
    )]
    Length {
        /// What the first page says.
        expected: u64,
        /// How long it is.
        found: u64,
    },
}

/// What a first page says.
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
    /// `None` unless it is byte for byte what rendering its fields gives.
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

    /// The version that a page names, where that is another one and not a damaged digit of this.
    pub(super) fn other_version(page: &[u8]) -> Option<String> {
        let version = page.strip_prefix(MAGIC.as_bytes())?.split(|b| *b == b' ').next()?;
        let is_number = (1..=8).contains(&version.len()) && version.iter().all(u8::is_ascii_digit);
        let mut as_version_1 = page.to_vec();
        as_version_1.splice(MAGIC.len()..MAGIC.len() + version.len(), VERSION.bytes());
        let other = is_number && version != VERSION.as_bytes() && Self::of(&as_version_1).is_none();
        other.then(|| String::from_utf8_lossy(version).into_owned())
    }
}
