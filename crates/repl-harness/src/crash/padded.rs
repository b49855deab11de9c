//! A codec that pads a checkpoint to an exact length.

use repl_checkpoint::{Codec, CodecError, JsonCodec, Rows, ShardCheckpoint};
use repl_core::Incarnation;

use super::layout::PAYLOAD;
use super::watched::Notes;

/// The JSON codec, with spaces behind the payload: what is sealed has the length in the notes.
pub(crate) struct PaddedCodec(pub(crate) Option<Notes>);

/// Reads what was padded, and pads nothing.
pub(crate) const PLAIN: PaddedCodec = PaddedCodec(None);

impl Codec for PaddedCodec {
    fn name(&self) -> &'static str {
        JsonCodec.name()
    }

    fn encode(&self, rows: &mut Rows<'_>, out: &mut Vec<u8>) -> Result<(), CodecError> {
        let start = out.len();
        JsonCodec.encode(rows, out)?;
        // What comes before the payload is its header, and of a delta the ids that it removes.
        let length = self.0.as_ref().map_or(0, |notes| match start {
            PAYLOAD => notes.lock().length,
            _ => notes.lock().delta,
        });
        if length == 0 {
            return Ok(());
        }
        if out.len() > length {
            return Err(CodecError::new(format!("{} bytes are more than {length}", out.len())));
        }
        out.resize(length, b' ');
        Ok(())
    }

    fn decode(
        &self,
        bytes: &[u8],
        row: &mut dyn FnMut(ShardCheckpoint),
    ) -> Result<Incarnation, CodecError> {
        JsonCodec.decode(bytes.trim_ascii_end(), row)
    }
}

#[cfg(test)]
mod tests {
    use repl_checkpoint::{Checkpoint, Generation, Header, SealError};

    use super::*;
    use crate::crash::kind::StoreKind;
    use crate::crash::layout::STORE_ID;
    use crate::crash::protocol::Protocol;

    fn sealed(generation: Generation, length: usize) -> Result<Vec<u8>, SealError> {
        let notes = Notes::default();
        notes.lock().length = length;
        let header = Header { store: STORE_ID, generation, confirmed: 0 };
        Checkpoint::default().seal(&PaddedCodec(Some(notes)), header)
    }

    #[test]
    fn a_sealed_checkpoint_has_the_exact_length_or_is_refused() {
        let seal = |length| sealed(1, length);
        let least = seal(0).unwrap().len();
        for length in [least, least + 1, 4095, 4096, 4097] {
            let sealed = seal(length).unwrap();
            assert_eq!(sealed.len(), length);
            let (_, opened) = Checkpoint::unseal(&PLAIN, STORE_ID, &sealed).unwrap();
            assert_eq!(opened, Checkpoint::default());
        }
        seal(least - 1).unwrap_err();
    }

    #[test]
    fn files_of_one_length_have_different_verdicts() {
        let verdict = |generation, length| {
            let file = sealed(generation, length).unwrap();
            Protocol::of(StoreKind::Files, None).verdict(&file)
        };
        assert_eq!(verdict(1, 4097), verdict(1, 4097));
        assert_ne!(verdict(1, 4097), verdict(2, 4097));
        assert_ne!(verdict(1, 4097), verdict(1, 4096));
    }
}
