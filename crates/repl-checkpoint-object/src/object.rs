//! The bytes of an object: a line that names its holder, then sealed checkpoints, newest first.
//!
//! ```text
//! repl-object 1 store=.. token=5 holder=.. nonce=.. since=1798.. kept=7:412,6:409 by=a%20b crc=..
//! ```
//! The numbers of `kept` are a generation and its length in bytes. Ids are 32 hexadecimal digits,
//! `since` is in seconds after 1970, and `crc` is the CRC-32C of all that is before ` crc=`.

use std::fmt::Write;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use object_store::PutPayload;
use repl_checkpoint::{Generation, Held, Lease, StoreId};

const MAGIC: &[u8] = b"repl-object ";
const VERSION: &str = "1";

/// What an object says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Object {
    pub(crate) lease: Lease,
    /// Random, and another one for each call that writes.
    pub(crate) nonce: u128,
    pub(crate) since: SystemTime,
    pub(crate) by: String,
    /// The newest first.
    pub(crate) kept: Vec<Sealed>,
}

/// A sealed checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sealed {
    pub(crate) generation: Generation,
    pub(crate) bytes: Bytes,
}

/// Why bytes are no object of a store.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Malformed {
    Empty,
    Foreign,
    Version(String),
    OtherStore(StoreId),
    Damaged(&'static str),
}

impl Object {
    /// The newest generation, or 0.
    pub(crate) fn generation(&self) -> Generation {
        self.kept.first().map_or(0, |newest| newest.generation)
    }

    pub(crate) fn held(&self) -> Held {
        let generation = self.generation();
        Held { lease: self.lease, generation, by: self.by.clone(), since: self.since }
    }

    pub(crate) fn payload(&self, store: StoreId) -> PutPayload {
        let line = std::iter::once(Bytes::from(self.line(store)));
        line.chain(self.kept.iter().map(|kept| kept.bytes.clone())).collect()
    }

    fn line(&self, store: StoreId) -> String {
        let Lease { holder, token } = self.lease;
        let since = self.since.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        let kept = self.kept.iter().map(|kept| format!("{}:{}", kept.generation, kept.bytes.len()));
        let kept = kept.collect::<Vec<_>>().join(",");
        let mut line = format!(
            "repl-object {VERSION} store={store} token={token} holder={holder:032x} nonce={:032x} \
             since={since} kept={kept} by={}",
            self.nonce,
            escaped(&self.by),
        );
        let crc = crc32c::crc32c(line.as_bytes());
        // Writing to a string does not fail.
        let _ = writeln!(line, " crc={crc:08x}");
        line
    }

    /// Reads an object of a store.
    pub(crate) fn parse(bytes: &Bytes, store: StoreId) -> Result<Self, Malformed> {
        if bytes.is_empty() {
            return Err(Malformed::Empty);
        }
        if !bytes.starts_with(MAGIC) {
            return Err(Malformed::Foreign);
        }
        let end = bytes.iter().position(|byte| *byte == b'\n');
        let end = end.ok_or(Malformed::Damaged("its first line does not end"))?;
        let line = std::str::from_utf8(&bytes[MAGIC.len()..end]);
        let line = line.map_err(|_| Malformed::Damaged("its first line is not ASCII"))?;
        let (version, _) = line.split_once(' ').unwrap_or((line, ""));
        if version != VERSION && !version.is_empty() && version.bytes().all(|b| b.is_ascii_digit())
        {
            return Err(Malformed::Version(version.to_owned()));
        }
        let (text, crc) = line
            .rsplit_once(" crc=")
            .ok_or(Malformed::Damaged("its first line has no checksum"))?;
        let checked = &bytes[..MAGIC.len() + text.len()];
        if hex(crc, 8) != Some(u128::from(crc32c::crc32c(checked))) {
            return Err(Malformed::Damaged("its first line has another checksum"));
        }
        let (found, lengths, mut object) =
            fields(text).ok_or(Malformed::Damaged("its first line lacks a field"))?;
        if found != store {
            return Err(Malformed::OtherStore(found));
        }
        let mut rest = bytes.slice(end + 1..);
        for (generation, length) in lengths {
            if length > rest.len() {
                return Err(Malformed::Damaged("its end is missing"));
            }
            object.kept.push(Sealed { generation, bytes: rest.split_to(length) });
        }
        if rest.is_empty() { Ok(object) } else { Err(Malformed::Damaged("it is too long")) }
    }
}

type Lengths = Vec<(Generation, usize)>;

/// The fields of a line, in their order.
fn fields(text: &str) -> Option<(StoreId, Lengths, Object)> {
    let mut words = text.split(' ').skip(1);
    let mut next = |name: &str| words.next()?.strip_prefix(name)?.strip_prefix('=');
    let store = StoreId(hex(next("store")?, 32)?);
    let token = next("token")?.parse().ok()?;
    let holder = hex(next("holder")?, 32)?;
    let nonce = hex(next("nonce")?, 32)?;
    let since = Duration::from_secs(next("since")?.parse().ok()?);
    let since = SystemTime::UNIX_EPOCH.checked_add(since)?;
    let kept = lengths(next("kept")?)?;
    let by = unescaped(next("by")?)?;
    let lease = Lease { holder, token };
    Some((store, kept, Object { lease, nonce, since, by, kept: Vec::new() }))
}

/// Generations, descending, with their lengths.
fn lengths(text: &str) -> Option<Lengths> {
    let one = |word: &str| {
        let (generation, length) = word.split_once(':')?;
        Some((generation.parse().ok()?, length.parse().ok()?))
    };
    let kept: Option<Lengths> = text.split(',').filter(|word| !word.is_empty()).map(one).collect();
    kept.filter(|kept| kept.is_sorted_by(|a, b| a.0 > b.0))
}

fn hex(text: &str, digits: usize) -> Option<u128> {
    let is_hex =
        text.len() == digits && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    is_hex.then(|| u128::from_str_radix(text, 16).ok()).flatten()
}

/// Printable ASCII without spaces; other bytes, and `%`, as `%` and two hexadecimal digits.
fn escaped(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_graphic() && byte != b'%' {
            text.push(char::from(byte));
        } else {
            let _ = write!(text, "%{byte:02x}");
        }
    }
    text
}

fn unescaped(text: &str) -> Option<String> {
    let mut name = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        name.push(match byte {
            b'%' => {
                let digits = [bytes.next()?, bytes.next()?];
                u8::try_from(hex(std::str::from_utf8(&digits).ok()?, 2)?).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(name).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const STORE: StoreId = StoreId(0xfeed);

    fn object(by: &str) -> Object {
        let sealed = |generation, text: &'static str| Sealed { generation, bytes: text.into() };
        Object {
            lease: Lease { holder: 0xabc, token: 5 },
            nonce: 0xdef,
            since: SystemTime::UNIX_EPOCH + Duration::from_secs(1_798_000_000),
            by: by.to_owned(),
            kept: vec![sealed(7, "seven"), sealed(6, "six\n")],
        }
    }

    fn bytes(object: &Object) -> Bytes {
        object.payload(STORE).into_iter().flatten().collect()
    }

    #[test]
    fn the_bytes_of_an_object_are_a_promise() {
        let golden = "repl-object 1 store=0000000000000000000000000000feed token=5 \
                      holder=00000000000000000000000000000abc \
                      nonce=00000000000000000000000000000def since=1798000000 kept=7:5,6:4 \
                      by=node%203 crc=CRC\nsevensix\n";
        let golden = golden.replace("CRC", "b9b43b4c");
        assert_eq!(std::str::from_utf8(&bytes(&object("node 3"))).unwrap(), golden);
        assert_eq!(Object::parse(&golden.into(), STORE), Ok(object("node 3")));
    }

    #[test]
    fn what_is_written_is_read_again_whatever_the_name() {
        for by in ["", " ", "100% crc=00000000", "a\nb", "\u{e9}\u{1f980}", "=,:"] {
            assert_eq!(Object::parse(&bytes(&object(by)), STORE), Ok(object(by)));
        }
        let new = Object { kept: Vec::new(), ..object("a") };
        assert_eq!(Object::parse(&bytes(&new), STORE).map(|new| new.generation()), Ok(0));
    }

    #[test]
    fn any_changed_bit_of_the_line_and_any_missing_byte_is_found() {
        let whole = bytes(&object("node 3"));
        let line = whole.iter().position(|byte| *byte == b'\n').unwrap();
        for at in 0..=line {
            for bit in 0..8 {
                let mut damaged = whole.to_vec();
                damaged[at] ^= 1 << bit;
                let found = Object::parse(&damaged.into(), STORE);
                assert!(found.is_err(), "bit {bit} of byte {at}: {found:?}");
            }
        }
        for length in 0..whole.len() {
            assert!(Object::parse(&whole.slice(..length), STORE).is_err(), "{length} bytes");
        }
        let long = [&whole[..], b"x"].concat();
        assert_eq!(Object::parse(&long.into(), STORE), Err(Malformed::Damaged("it is too long")));
    }

    #[test]
    fn an_object_of_another_store_or_version_or_program_is_named_as_such() {
        let other = Object::parse(&bytes(&object("a")), StoreId(1));
        assert_eq!(other, Err(Malformed::OtherStore(STORE)));
        let newer = Object::parse(&"repl-object 2 whatever\n".into(), STORE);
        assert_eq!(newer, Err(Malformed::Version("2".to_owned())));
        assert_eq!(Object::parse(&"hello".into(), STORE), Err(Malformed::Foreign));
        assert_eq!(Object::parse(&Bytes::new(), STORE), Err(Malformed::Empty));
    }
}
