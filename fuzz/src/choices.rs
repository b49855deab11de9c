//! What the fuzzer decides, read from its bytes.

/// Bytes that are used up as choices are made; zeros once they have run out.
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

    /// Below `end`, which is above 0 and at most 256.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::from(self.byte()) % end
    }

    /// Once in `of` times, and never when the bytes have run out.
    pub(crate) fn rarely(&mut self, of: usize) -> bool {
        self.below(of) == of - 1
    }

    /// A place in what is `length` long; 0 where that is nothing.
    pub(crate) fn place(&mut self, length: usize) -> usize {
        let place = usize::from(self.byte()) << 8 | usize::from(self.byte());
        place.checked_rem(length).unwrap_or(0)
    }

    /// Small and large numbers, and those at the edges of 2^53 and 2^64.
    pub(crate) fn number(&mut self) -> u64 {
        match self.below(8) {
            0..=3 => u64::from(self.byte()),
            4 => 1 << self.below(64),
            5 => (1 << 53) + u64::from(self.byte()),
            6 => u64::MAX - u64::from(self.byte()),
            _ => u64::from_le_bytes(std::array::from_fn(|_| self.byte())),
        }
    }

    /// At most 255 bytes, as many as a first one says.
    pub(crate) fn bytes(&mut self) -> &'a [u8] {
        let length = usize::from(self.byte()).min(self.rest.len());
        let (bytes, rest) = self.rest.split_at(length);
        self.rest = rest;
        bytes
    }
}
