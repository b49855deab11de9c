//! Where the cells of a leaf are.

use std::ops::Range;

use crate::slabs::{Place, SLAB};

/// The places of cells, in the order of their shards.
#[derive(Clone)]
pub(super) enum Cells {
    /// This many side by side, beginning here.
    Row(Place, usize),
    Each(Vec<Place>),
}

impl Default for Cells {
    fn default() -> Self {
        Cells::Each(Vec::new())
    }
}

impl Cells {
    pub(super) fn of(places: Vec<Place>) -> Self {
        match places.first() {
            Some(first) if (0..).zip(&places).all(|(i, place)| is_after(*first, i, *place)) => {
                Cells::Row(*first, places.len())
            }
            _ => Cells::Each(places),
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Cells::Row(_, len) => *len,
            Cells::Each(places) => places.len(),
        }
    }

    pub(super) fn place(&self, i: usize) -> Place {
        match self {
            Cells::Row(first, _) => first.plus(i),
            Cells::Each(places) => places[i],
        }
    }

    pub(super) fn places(&self) -> impl Iterator<Item = Place> {
        (0..self.len()).map(|i| self.place(i))
    }

    pub(super) fn add_to(&self, range: Range<usize>, places: &mut Vec<Place>) {
        match self {
            Cells::Row(first, _) => places.extend(range.map(|i| first.plus(i))),
            Cells::Each(all) => places.extend_from_slice(&all[range]),
        }
    }

    pub(super) fn insert(&mut self, i: usize, place: Place) {
        match self {
            Cells::Row(first, len) if i == *len && is_after(*first, i, place) => *len += 1,
            Cells::Each(places) if places.is_empty() => *self = Cells::Row(place, 1),
            _ => self.change_each(|places| places.insert(i, place)),
        }
    }

    pub(super) fn set(&mut self, i: usize, place: Place) {
        self.change_each(|places| places[i] = place);
    }

    pub(super) fn remove(&mut self, i: usize) {
        match self {
            Cells::Row(_, len) if i > 0 && i + 1 == *len => *len -= 1,
            _ => self.change_each(|places| {
                places.remove(i);
            }),
        }
    }

    /// Splits off the places from place `i` on.
    pub(super) fn split_off(&mut self, i: usize) -> Self {
        match self {
            Cells::Row(first, len) => {
                let rest = Cells::Row(first.plus(i), *len - i);
                *len = i;
                rest
            }
            Cells::Each(places) => {
                let rest = Cells::of(places.split_off(i));
                places.shrink_to_fit();
                rest
            }
        }
    }

    /// Changes the list of all places.
    fn change_each(&mut self, change: impl FnOnce(&mut Vec<Place>)) {
        match self {
            Cells::Each(places) => change(places),
            Cells::Row(..) => {
                let mut places = self.places().collect();
                change(&mut places);
                *self = Cells::Each(places);
            }
        }
    }
}

/// Whether a place is that many places after the first one, in the same slab.
fn is_after(first: Place, i: usize, place: Place) -> bool {
    first.index() + i < SLAB && place == first.plus(i)
}
