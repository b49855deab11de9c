//! One value for each key of a run, kept once where all are the same.

use std::ops::Range;

/// Values by place. The run knows how many there are: `len` below.
#[derive(Debug, Clone, Default)]
pub(super) struct Column<T> {
    /// One for each place; or only one, which all places have.
    values: Vec<T>,
    /// All bits, or none where there is only one value. So a read needs no branch.
    mask: usize,
}

impl<T: Copy + Eq> Column<T> {
    #[inline]
    pub(super) fn get(&self, i: usize) -> &T {
        &self.values[i & self.mask]
    }

    /// Adds a value behind the `len` that are here.
    #[inline]
    pub(super) fn push(&mut self, len: usize, value: T) {
        if !self.is_all(len, value) {
            self.each(len).push(value);
        }
    }

    pub(super) fn insert(&mut self, len: usize, i: usize, value: T) {
        if !self.is_all(len, value) {
            self.each(len).insert(i, value);
        }
    }

    pub(super) fn set(&mut self, len: usize, i: usize, value: T) {
        if *self.get(i) != value {
            self.each(len)[i] = value;
        }
    }

    pub(super) fn remove(&mut self, i: usize) {
        if !self.is_one() {
            self.values.remove(i);
        }
    }

    /// Adds some values of another column behind the `len` of this one.
    pub(super) fn extend(&mut self, len: usize, other: &Self, range: Range<usize>) {
        if !other.is_one() {
            self.each(len).extend_from_slice(&other.values[range]);
        } else if !range.is_empty() && !self.is_all(len, other.values[0]) {
            self.each(len).resize(len + range.len(), other.values[0]);
        }
    }

    /// Splits off the values from place `i` on.
    pub(super) fn split_off(&mut self, i: usize) -> Self {
        let values = if self.is_one() { self.values.clone() } else { self.values.split_off(i) };
        Column { values, mask: self.mask }
    }

    /// Gives back memory that is not in use. Keeps only one value if all are the same.
    pub(super) fn shrink(&mut self) {
        if self.values.windows(2).all(|two| two[0] == two[1]) {
            self.values.truncate(1);
            self.mask = 0;
        }
        self.values.shrink_to_fit();
    }

    /// Whether there is one value for all places.
    pub(super) fn is_one(&self) -> bool {
        self.mask == 0
    }

    /// Whether all values are this one. Of none, all are from then on.
    #[inline]
    fn is_all(&mut self, len: usize, value: T) -> bool {
        if len == 0 && self.is_one() {
            self.values = vec![value];
        }
        self.is_one() && self.values[0] == value
    }

    /// The values, one for each place from then on.
    fn each(&mut self, len: usize) -> &mut Vec<T> {
        if self.is_one() {
            // Where there is no place, there may be no value.
            self.values = self.values.first().map_or(Vec::new(), |value| vec![*value; len]);
            self.mask = usize::MAX;
        }
        &mut self.values
    }
}
