//! One value for each key of a run, kept once where all are the same.

use std::ops::Range;

/// Values by place. The run knows how many there are: `len` below.
#[derive(Debug, Clone, Default)]
pub(super) struct Column<T> {
    /// Every value, while there is no list of them.
    same: T,
    each: Option<Vec<T>>,
}

impl<T: Copy + Eq> Column<T> {
    #[inline]
    pub(super) fn get(&self, i: usize) -> T {
        self.each.as_ref().map_or(self.same, |values| values[i])
    }

    #[inline]
    pub(super) fn insert(&mut self, len: usize, i: usize, value: T) {
        if !self.is_all(len, value) {
            self.each(len).insert(i, value);
        }
    }

    pub(super) fn set(&mut self, len: usize, i: usize, value: T) {
        if self.get(i) != value {
            self.each(len)[i] = value;
        }
    }

    pub(super) fn remove(&mut self, i: usize) {
        if let Some(values) = &mut self.each {
            values.remove(i);
        }
    }

    /// Adds some values of another column behind the `len` of this one.
    pub(super) fn extend(&mut self, len: usize, other: &Self, range: Range<usize>) {
        match &other.each {
            Some(values) => self.each(len).extend_from_slice(&values[range]),
            None if range.is_empty() || self.is_all(len, other.same) => {}
            None => self.each(len).resize(len + range.len(), other.same),
        }
    }

    /// Splits off the values from place `i` on.
    pub(super) fn split_off(&mut self, i: usize) -> Self {
        Column { same: self.same, each: self.each.as_mut().map(|values| values.split_off(i)) }
    }

    /// Gives back memory that is not in use, and the list if all values are the same.
    pub(super) fn shrink(&mut self) {
        let Some(values) = &mut self.each else { return };
        match values.split_first() {
            Some((first, rest)) if rest.iter().all(|value| value == first) => {
                *self = Column { same: *first, each: None };
            }
            _ => values.shrink_to_fit(),
        }
    }

    /// Whether all values are this one. Of none, all are from then on.
    #[inline]
    fn is_all(&mut self, len: usize, value: T) -> bool {
        if len == 0 && self.each.is_none() {
            self.same = value;
        }
        self.each.is_none() && self.same == value
    }

    /// The values, one by one from then on.
    fn each(&mut self, len: usize) -> &mut Vec<T> {
        self.each.get_or_insert_with(|| vec![self.same; len])
    }
}
