//! Reads exactly what the JSON codec writes.

use repl_core::{EpochStart, Incarnation, LogId, SeqRange, ShardId};

use crate::checkpoint::ShardCheckpoint;
use crate::codec::CodecError;

pub(super) fn read(
    bytes: &[u8],
    row: &mut dyn FnMut(ShardCheckpoint),
) -> Result<Incarnation, CodecError> {
    let mut r = Reader { bytes, at: 0 };
    document(&mut r, row).map_err(|expected| {
        CodecError::new(format!("byte {} of the payload: expected {expected}", r.at))
    })
}

/// What the reader expected at the byte that it stopped at.
type Expected = &'static str;

fn document(
    r: &mut Reader<'_>,
    row: &mut dyn FnMut(ShardCheckpoint),
) -> Result<Incarnation, Expected> {
    r.literal(r#"{"next_incarnation":"#)?;
    let next_incarnation = Incarnation(r.number()?);
    r.literal(r#","shards":["#)?;
    if !r.skip("]}") {
        loop {
            r.literal("\n")?;
            row(shard(r)?);
            if !r.skip(",") {
                break;
            }
        }
        r.literal("]}")?;
    }
    if r.at < r.bytes.len() {
        return Err("the end of the document");
    }
    Ok(next_incarnation)
}

fn shard(r: &mut Reader<'_>) -> Result<ShardCheckpoint, Expected> {
    r.literal(r#"{"shard":"#)?;
    let shard = ShardId(r.number()?);
    let log = if r.skip(r#","log":""#) { r.log()? } else { LogId::UNNAMED };
    let incarnation = if r.skip(r#","incarnation":"#) { r.number_above_0()? } else { 0 };
    r.literal(r#","mark":"#)?;
    let mark = r.number()?;
    let completed = if r.skip(r#","completed":["#) { r.pairs(range)? } else { Box::default() };
    let epochs = if r.skip(r#","epochs":["#) {
        r.pairs(|epoch, first| Ok(EpochStart { epoch, first }))?
    } else {
        Box::default()
    };
    r.literal("}")?;
    Ok(ShardCheckpoint {
        shard,
        log,
        incarnation: Incarnation(incarnation),
        mark,
        completed,
        epochs,
    })
}

fn range(first: u64, last: u64) -> Result<SeqRange, Expected> {
    let range = SeqRange::new(first, last);
    let is_kept = (range.first(), range.last()) == (first, last);
    if is_kept { Ok(range) } else { Err("a range that is not inverted") }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn rest(&self) -> &[u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    #[inline]
    fn skip(&mut self, text: &'static str) -> bool {
        let found = self.rest().starts_with(text.as_bytes());
        self.at += if found { text.len() } else { 0 };
        found
    }

    #[inline]
    fn literal(&mut self, text: &'static str) -> Result<(), Expected> {
        if self.skip(text) { Ok(()) } else { Err(text) }
    }

    /// A number as it is written: no sign, no leading zero, at most `u64::MAX`.
    #[inline]
    fn number(&mut self) -> Result<u64, Expected> {
        let rest = self.rest();
        let mut value = 0_u64;
        let mut digits = 0;
        while let Some(digit) = rest.get(digits).map(|b| b.wrapping_sub(b'0')).filter(|d| *d < 10) {
            // 19 digits always fit; the 20th may not, and a 21st never does.
            value = if digits < 19 {
                value * 10 + u64::from(digit)
            } else {
                let tens = value.checked_mul(10).ok_or("a number below 2^64")?;
                tens.checked_add(u64::from(digit)).ok_or("a number below 2^64")?
            };
            digits += 1;
        }
        if digits == 0 || (digits > 1 && rest[0] == b'0') {
            return Err("a number without leading zeros");
        }
        self.at += digits;
        Ok(value)
    }

    /// A number that would have been left out if it were 0.
    fn number_above_0(&mut self) -> Result<u64, Expected> {
        match self.number()? {
            0 => Err("a number above 0"),
            number => Ok(number),
        }
    }

    /// 32 lower-case hexadecimal digits and the closing quote, not all 0.
    fn log(&mut self) -> Result<LogId, Expected> {
        let expected = "32 lower-case hexadecimal digits, not all 0";
        let digits = self.rest().first_chunk::<32>().ok_or(expected)?;
        let mut value = 0_u128;
        for digit in digits {
            let digit = match digit {
                b'0'..=b'9' => digit - b'0',
                b'a'..=b'f' => digit - b'a' + 10,
                _ => return Err(expected),
            };
            value = value << 4 | u128::from(digit);
        }
        if value == 0 {
            return Err(expected);
        }
        self.at += digits.len();
        self.literal("\"")?;
        Ok(LogId(value))
    }

    /// `[a,b],[c,d]]`: at least one pair, as none would have been left out.
    fn pairs<T>(
        &mut self,
        of: impl Fn(u64, u64) -> Result<T, Expected>,
    ) -> Result<Box<[T]>, Expected> {
        let mut pairs = Vec::new();
        loop {
            self.literal("[")?;
            let first = self.number()?;
            self.literal(",")?;
            let second = self.number()?;
            self.literal("]")?;
            pairs.push(of(first, second)?);
            if !self.skip(",") {
                break;
            }
        }
        self.literal("]")?;
        Ok(pairs.into())
    }
}
