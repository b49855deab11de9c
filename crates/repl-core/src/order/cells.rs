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

#[cfg(all(test, not(loom_models)))]
mod tests {
    use super::*;

    fn row(slab: usize, range: Range<usize>) -> Vec<Place> {
        range.map(|index| Place::new(slab, index)).collect()
    }

    fn places(cells: &Cells) -> Vec<Place> {
        cells.places().collect()
    }

    fn is_row(cells: &Cells) -> bool {
        matches!(cells, Cells::Row(..))
    }

    #[test]
    fn a_row_stays_one_as_it_grows_and_shrinks_at_its_end() {
        let mut cells = Cells::default();
        (5..9).for_each(|index| cells.insert(index - 5, Place::new(1, index)));
        assert!(is_row(&cells));
        assert_eq!(places(&cells), row(1, 5..9));
        cells.remove(3);
        assert!(is_row(&cells));
        assert_eq!(places(&cells), row(1, 5..8));
        let rest = cells.split_off(1);
        assert!(is_row(&cells) && is_row(&rest));
        assert_eq!((places(&cells), places(&rest)), (row(1, 5..6), row(1, 6..8)));
        let mut both = Vec::new();
        rest.add_to(1..2, &mut both);
        cells.add_to(0..1, &mut both);
        assert_eq!(both, [Place::new(1, 7), Place::new(1, 5)]);
    }

    #[test]
    fn a_row_begins_anew_after_its_last_place_is_removed() {
        let mut cells = Cells::of(row(1, 500..504));
        assert!(is_row(&cells));
        (0..4).for_each(|_| cells.remove(0));
        assert!(places(&cells).is_empty());
        let mut cells = Cells::of(row(1, 5..6));
        cells.remove(0);
        cells.insert(0, Place::new(2, 7));
        assert!(is_row(&cells));
        assert_eq!(places(&cells), row(2, 7..8));
    }

    #[test]
    fn a_row_ends_with_its_slab_and_where_a_cell_is_elsewhere() {
        let mut last = Cells::of(row(1, SLAB - 2..SLAB));
        last.insert(2, Place::new(2, 0));
        assert_eq!(places(&last), [row(1, SLAB - 2..SLAB), row(2, 0..1)].concat());
        let mut first = Cells::of(row(1, 5..7));
        first.insert(0, Place::new(1, 7));
        assert_eq!(places(&first), [row(1, 7..8), row(1, 5..7)].concat());
        let mut moved = Cells::of(row(1, 5..7));
        moved.set(0, Place::new(3, 3));
        moved.remove(1);
        assert_eq!(places(&moved), row(3, 3..4));
        let rest = Cells::of([row(2, 0..2), row(4, 1..3)].concat()).split_off(2);
        assert!(is_row(&rest));
        assert_eq!(places(&rest), row(4, 1..3));
    }
}
