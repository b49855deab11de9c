//! One damage.

use repl_checkpoint::{Header, JsonCodec, OnCorrupt, StoreId, open, seal};

use crate::crash::protocol::{Protocol, STORE};
use crate::crash::sabotage::{read_wrong, write_wrong};

/// What becomes of one file.
pub(super) struct Case {
    pub(super) how: String,
    /// `None` where it is gone.
    pub(super) bytes: Option<Vec<u8>>,
    pub(super) hit: Hit,
    /// Whether a save is tried after it.
    pub(super) save: bool,
}

/// What of a file is damaged: what must come of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hit {
    /// The file as such: an error, or a report.
    File,
    /// The first page of a slot file: a report.
    Page,
    /// The slot of the newest checkpoint: a report.
    Newest,
    /// A slot of an older one: a report, or the newest.
    Older,
    /// A slot holds what it should not, and all of that is whole: nobody can see that it is not the
    /// newest.
    Whole,
    /// A slot holds another store's checkpoint: an error, or the newest.
    Foreign,
    /// Two slots: an error, or nothing that a floor is above.
    Two,
    /// The file is gone: all shards are missing.
    Gone,
}

impl Case {
    pub(super) fn new(how: impl Into<String>, bytes: Vec<u8>, hit: Hit) -> Self {
        Case { how: how.into(), bytes: Some(bytes), hit, save: true }
    }

    pub(super) fn gone() -> Self {
        Case { how: "it is gone".into(), bytes: None, hit: Hit::Gone, save: true }
    }

    /// Whether a recovery that answers may not go below a floor.
    pub(super) fn keeps_floors(&self, on_corrupt: OnCorrupt) -> bool {
        match self.hit {
            // Who asks for it falls below where two are damaged.
            Hit::Two => on_corrupt == OnCorrupt::Fail,
            // The engine is told that every shard is missing.
            Hit::Gone => self.bytes.is_some(),
            _ => true,
        }
    }
}

/// The same checkpoint, sealed by another store.
pub(super) fn of_another_store(protocol: Protocol, bytes: &[u8]) -> Option<Vec<u8>> {
    let wrong = protocol.wrong;
    let real = wrong.map_or_else(|| bytes.to_vec(), |wrong| read_wrong(wrong, bytes));
    let (header, checkpoint) = open(&JsonCodec, STORE, &real).ok()?;
    let header = Header { store: StoreId(STORE.0 + 1), ..header };
    let sealed = seal(&JsonCodec, header, &checkpoint).ok()?;
    Some(wrong.map_or_else(|| sealed.clone(), |wrong| write_wrong(wrong, &sealed)))
}

/// Single bits. A save is tried after the first one of each byte.
pub(super) fn flips(
    bytes: &[u8],
    stride: usize,
    hit: impl Fn(usize) -> Hit,
) -> impl Iterator<Item = Case> {
    (0..bytes.len() * 8).step_by(stride).map(move |bit| {
        let mut flipped = bytes.to_vec();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let case = Case::new(format!("bit {bit} flips"), flipped, hit(bit / 8));
        Case { save: bit % 8 == 0, ..case }
    })
}

/// Prefixes, extensions, and the file twice.
pub(super) fn lengths(bytes: &[u8], sector: usize, stride: usize) -> Vec<Case> {
    let cut =
        |length: usize| Case::new(format!("cut to {length}"), bytes[..length].to_vec(), Hit::File);
    let mut all: Vec<Case> = (0..bytes.len()).step_by(stride).map(cut).collect();
    for length in (1..=64).step_by(stride).chain([sector, 4096, 3 * 4096]) {
        for byte in [0, b' ', b'\n', 0xff] {
            let longer = [bytes, &vec![byte; length]].concat();
            all.push(Case::new(format!("{length} bytes {byte:#x} follow"), longer, Hit::File));
        }
    }
    all.push(Case::new("it is there twice", [bytes, bytes].concat(), Hit::File));
    all
}
