//! One case of damage.

use repl_checkpoint::{Checkpoint, Header, OnCorrupt, StoreId};

use crate::crash::layout::STORE_ID;
use crate::crash::mutants::read_mutated;
use crate::crash::padded::PLAIN;
use crate::crash::protocol::Protocol;

/// The damage to one file.
pub(super) struct Case {
    pub(super) how: String,
    /// The damaged bytes; `None` if the file is gone.
    pub(super) bytes: Option<Vec<u8>>,
    pub(super) hit: Hit,
    /// Whether a save is tried after recovery.
    pub(super) save: bool,
}

/// The damaged part of a file. It decides which results are allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hit {
    /// The file as a whole: an error or a report.
    File,
    /// The first page of a slot file: a report.
    Page,
    /// The slot of the newest checkpoint: a report.
    Newest,
    /// The slot of an older checkpoint: a report, or the newest checkpoint.
    Older,
    /// A slot holds a wrong checkpoint that is whole: no reader can detect that.
    Whole,
    /// A slot holds another store's checkpoint: an error, or the newest checkpoint.
    Foreign,
    /// Two slots: an error, or a checkpoint that no floor is above.
    Two,
    /// The file is gone: every shard is reported as missing.
    Gone,
}

impl Case {
    pub(super) fn new(how: impl Into<String>, bytes: Vec<u8>, hit: Hit) -> Self {
        Case { how: how.into(), bytes: Some(bytes), hit, save: true }
    }

    pub(super) fn gone() -> Self {
        Case { how: "it is gone".into(), bytes: None, hit: Hit::Gone, save: true }
    }

    /// Whether a recovery that succeeds must not return marks below a floor.
    pub(super) fn keeps_floors(&self, on_corrupt: OnCorrupt) -> bool {
        match self.hit {
            // With `FallBack` the caller accepts marks below the floors if two slots are damaged.
            Hit::Two => on_corrupt == OnCorrupt::Fail,
            // Every shard is reported as missing.
            Hit::Gone => self.bytes.is_some(),
            _ => true,
        }
    }
}

/// The same checkpoint, sealed with another store's id.
pub(super) fn of_another_store(protocol: Protocol, bytes: &[u8]) -> Option<Vec<u8>> {
    let mutant = protocol.mutant;
    let real = mutant.map_or_else(|| bytes.to_vec(), |mutant| read_mutated(mutant, bytes));
    let (header, checkpoint) = Checkpoint::unseal(&PLAIN, STORE_ID, &real).ok()?;
    let header = Header { store: StoreId(STORE_ID.0 + 1), ..header };
    checkpoint.seal(&PLAIN, header).ok()
}

/// Flips of single bits. A save is tried after the first one of each byte.
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

/// Truncations, extensions, and the file repeated.
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
    all.push(Case::new("it is repeated", [bytes, bytes].concat(), Hit::File));
    all
}
