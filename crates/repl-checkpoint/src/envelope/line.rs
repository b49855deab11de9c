//! Header lines: ASCII of fixed width, a checksum of the line at its end.

use repl_core::ShardId;

use crate::codec::Codec;
use crate::ids::StoreId;

use super::SealError;

/// The name and the width of the last field.
const CHECKSUM: &str = " crc32c=";
const DIGITS: usize = 8;

/// Takes the fields of a header line in turn. Each has one spelling alone: what rendering it gives.
pub(super) struct Fields<'a> {
    line: &'a [u8],
    rest: &'a str,
}

impl<'a> Fields<'a> {
    /// Begins after the magic and the version.
    pub(super) fn after(line: &'a [u8], magic: &str, version: &str) -> Option<Self> {
        let rest = line.strip_prefix(magic.as_bytes())?.strip_prefix(version.as_bytes())?;
        Some(Fields { line, rest: std::str::from_utf8(rest).ok()? })
    }

    fn next(&mut self, name: &str, width: usize) -> Option<&'a str> {
        let (value, rest) = self.rest.strip_prefix(name)?.split_at_checked(width)?;
        self.rest = rest;
        Some(value)
    }

    pub(super) fn codec(&mut self) -> Option<&'a str> {
        self.next(" codec=", NAME)
            .map(|name| name.trim_end_matches(' '))
            .filter(|name| is_name(name))
    }

    pub(super) fn store(&mut self) -> Option<StoreId> {
        let (high, low) = self.next(" store=", 32)?.split_at_checked(16)?;
        let [high, low] = [hexadecimal_of(high)?, hexadecimal_of(low)?].map(u128::from);
        Some(StoreId(high << 64 | low))
    }

    pub(super) fn number(&mut self, name: &str) -> Option<u64> {
        number_of(self.next(name, 20)?)
    }

    pub(super) fn checksum(&mut self, name: &str) -> Option<u32> {
        hexadecimal_of(self.next(name, DIGITS)?)?.try_into().ok()
    }

    /// The checksum at the end, if it is that of the line before its digits.
    pub(super) fn end(mut self) -> Option<u32> {
        let found = self.checksum(CHECKSUM).filter(|_| self.rest == "\n")?;
        let checked = &self.line[..self.line.len() - DIGITS - 1];
        (crc32c::crc32c(checked) == found).then_some(found)
    }
}

/// The number of these 20 decimal digits.
fn number_of(digits: &str) -> Option<u64> {
    // Ten digits always fit, so one step in twenty is checked. `parse` checks each, and accepts a
    // plus sign.
    let (high, low) = digits.as_bytes().split_at_checked(10)?;
    ten_digits(high)?.checked_mul(10_000_000_000)?.checked_add(ten_digits(low)?)
}

fn ten_digits(digits: &[u8]) -> Option<u64> {
    let digits: &[u8; 10] = digits.try_into().ok()?;
    let number = || digits.iter().fold(0, |number, digit| number * 10 + u64::from(digit - b'0'));
    digits.iter().all(u8::is_ascii_digit).then(number)
}

/// The number of up to 16 lower-case hexadecimal digits.
fn hexadecimal_of(digits: &str) -> Option<u64> {
    digits.bytes().try_fold(0, |number, digit| {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(number << 4 | u64::from(value))
    })
}

/// A header line as it is written, field by field.
///
/// A save in place writes one and reads it again. With `format!` that takes as long as the write.
pub(super) struct Line<const LENGTH: usize> {
    bytes: [u8; LENGTH],
    at: usize,
}

impl<const LENGTH: usize> Line<LENGTH> {
    /// Begins with the magic and the version.
    pub(super) fn new(magic: &str, version: &str) -> Self {
        let mut line = Line { bytes: [b' '; LENGTH], at: 0 };
        line.text(magic);
        line.text(version);
        line
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.bytes[self.at..][..bytes.len()].copy_from_slice(bytes);
        self.at += bytes.len();
    }

    fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    pub(super) fn codec(&mut self, name: &str) {
        self.text(" codec=");
        self.text(name);
        self.at += NAME - name.len();
    }

    pub(super) fn store(&mut self, store: StoreId) {
        self.text(" store=");
        store.0.to_be_bytes().into_iter().for_each(|byte| self.bytes(&hexadecimal(byte)));
    }

    pub(super) fn number(&mut self, name: &str, number: u64) {
        self.text(name);
        self.bytes(&decimal(number));
    }

    pub(super) fn checksum(&mut self, name: &str, checksum: u32) {
        self.text(name);
        self.bytes(&digits_of(checksum));
    }

    /// Appends the checksum of the line, and a line feed. Returns the checksum too.
    pub(super) fn finished(mut self) -> ([u8; LENGTH], u32) {
        self.text(CHECKSUM);
        let crc = crc32c::crc32c(&self.bytes[..self.at]);
        self.bytes(&digits_of(crc));
        self.bytes(b"\n");
        (self.bytes, crc)
    }
}

/// The digits of a checksum, as in a header.
pub(crate) fn digits_of(checksum: u32) -> [u8; DIGITS] {
    let mut digits = [0; DIGITS];
    for (pair, byte) in digits.chunks_exact_mut(2).zip(checksum.to_be_bytes()) {
        pair.copy_from_slice(&hexadecimal(byte));
    }
    digits
}

/// Two lower-case hexadecimal digits.
fn hexadecimal(byte: u8) -> [u8; 2] {
    [byte >> 4, byte & 15].map(|digit| b"0123456789abcdef"[usize::from(digit)])
}

/// The 20 decimal digits of a number.
fn decimal(mut number: u64) -> [u8; 20] {
    let mut digits = [b'0'; 20];
    for digit in digits.iter_mut().rev() {
        if number == 0 {
            break;
        }
        *digit += (number % 10) as u8;
        number /= 10;
    }
    digits
}

/// The name of a codec, if it fits a header.
pub(super) fn name_of(codec: &dyn Codec) -> Result<&'static str, SealError> {
    let codec = codec.name();
    is_name(codec).then_some(codec).ok_or(SealError::CodecName { codec })
}

/// The bytes of the name of a codec in a header, padded with spaces.
const NAME: usize = 8;

fn is_name(codec: &str) -> bool {
    let of_name = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (1..=NAME).contains(&codec.len()) && codec.bytes().all(of_name)
}

/// The bytes of the id of a removed shard.
pub(super) const ID_LINE: usize = 21;

pub(super) fn id_line(shard: ShardId) -> [u8; ID_LINE] {
    let mut line = [b'\n'; ID_LINE];
    line[..20].copy_from_slice(&decimal(shard.0));
    line
}

/// The id in a line; `None` unless it is what rendering the id gives.
pub(super) fn id_of(line: &[u8]) -> Option<ShardId> {
    let digits = std::str::from_utf8(line).ok()?.strip_suffix('\n')?;
    number_of(digits).filter(|_| line.len() == ID_LINE).map(ShardId)
}
