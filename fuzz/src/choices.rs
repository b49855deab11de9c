//! Choices derived from the fuzzer's bytes.

/// Bytes consumed by choices, followed by endless zeros.
pub(crate) struct Choices<'a> {
    rest: &'a [u8],
}

impl<'a> Choices<'a> {
    pub(crate) fn of(data: &'a [u8]) -> Self {
        Choices { rest: data }
    }

    pub(crate) fn byte(&mut self) -> u8 {
        let Some((byte, rest)) = self.rest.split_first() else { return 0 };
        self.rest = rest;
        *byte
    }

    /// A number below `end`, which is from 1 to 256.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::from(self.byte()) % end
    }

    /// True once in `of` times, and never after the end of the bytes.
    pub(crate) fn rarely(&mut self, of: usize) -> bool {
        self.below(of) == of - 1
    }

    /// The bytes with up to four adjacent ones changed, and where. A 32-bit checksum detects it.
    pub(crate) fn burst(&mut self, bytes: &mut [u8]) -> usize {
        let at = self.place(bytes.len().saturating_sub(3));
        let changes = [self.byte().max(1), self.byte(), self.byte(), self.byte()];
        bytes[at..].iter_mut().zip(changes).for_each(|(byte, change)| *byte ^= change);
        at
    }

    /// An index below `length`, or 0 if `length` is 0.
    pub(crate) fn place(&mut self, length: usize) -> usize {
        let place = usize::from(self.byte()) << 8 | usize::from(self.byte());
        place.checked_rem(length).unwrap_or(0)
    }

    /// A small or large number, or one close to 2^53 or 2^64.
    pub(crate) fn number(&mut self) -> u64 {
        match self.below(8) {
            0..=3 => u64::from(self.byte()),
            4 => 1 << self.below(64),
            5 => (1 << 53) + u64::from(self.byte()),
            6 => u64::MAX - u64::from(self.byte()),
            _ => u64::from_le_bytes(std::array::from_fn(|_| self.byte())),
        }
    }

    /// Up to 255 bytes, as many as the byte before them states.
    pub(crate) fn bytes(&mut self) -> &'a [u8] {
        let length = usize::from(self.byte()).min(self.rest.len());
        let (bytes, rest) = self.rest.split_at(length);
        self.rest = rest;
        bytes
    }
}
