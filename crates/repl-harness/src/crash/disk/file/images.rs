//! The contents that a power cut may leave of a file of many sectors, part by part.

use std::collections::BTreeMap;

use super::{Content, FileNode};

/// The states of each sector: garbage, durable, and every written version, the last one at the end.
/// A settled sector has one state.
type Options = Vec<Vec<Vec<u8>>>;

impl FileNode {
    /// One content at random. `below` returns a number below its argument.
    pub(crate) fn draw_after_power_cut(&self, below: &mut dyn FnMut(usize) -> usize) -> Content {
        let sizes = self.sizes();
        let options = self.all_options(sizes[below(sizes.len())]);
        let drawn = options.iter().map(|options| options[below(options.len())].as_slice());
        Content::new(drawn.collect::<Vec<_>>().concat())
    }

    /// One content of each verdict, with the number of contents that share it.
    ///
    /// The reader must treat each part of the file separately: it may tell two contents apart only
    /// if it tells one of their parts apart. Parts end before the sectors `ends`.
    ///
    /// The reader is given every state of each part twice: within the last written bytes, and alone
    /// among zeros. States that differ in either are combined with those of the other parts. At a
    /// length between the old and the new, a part is old, new or garbage, or new except for one
    /// sector.
    pub(crate) fn distinguishable(
        &self,
        ends: &[usize],
        verdict: &dyn Fn(&[u8]) -> u128,
    ) -> Vec<(Content, u64)> {
        let mut apart: BTreeMap<u128, (Vec<u8>, u64)> = BTreeMap::new();
        for size in self.sizes() {
            let options = self.all_options(size);
            let whole = size == self.durable.len() || size == self.reach;
            let mut contents: Vec<(Vec<u8>, u64)> = vec![(Vec::with_capacity(size), 1)];
            let mut start = 0;
            for end in ends.iter().map(|end| *end.min(&options.len())) {
                let part = Part { options: &options, start, end, size, whole };
                let classes = part.classes(verdict);
                contents = contents
                    .iter()
                    .flat_map(|(before, count)| {
                        classes.iter().map(move |(part, members): &(Vec<u8>, u64)| {
                            ([before.as_slice(), part].concat(), count.saturating_mul(*members))
                        })
                    })
                    .collect();
                start = end;
            }
            // Contents that were left out count as one that was not.
            let all = product(&options);
            let tried =
                contents.iter().fold(0, |tried: u64, (_, count)| tried.saturating_add(*count));
            if let Some((_, count)) = contents.first_mut() {
                *count += all.saturating_sub(tried);
            }
            for (content, count) in contents {
                apart.entry(verdict(&content)).or_insert((content, 0)).1 += count;
            }
        }
        apart.into_values().map(|(bytes, count)| (Content::new(bytes), count)).collect()
    }

    /// The distinct states of each sector in a file of this length.
    fn all_options(&self, size: usize) -> Options {
        let of = |k: usize| {
            let length = self.sector.min(size - k * self.sector);
            let mut options: Vec<Vec<u8>> = Vec::new();
            let mut all = self.options(k);
            let second = 1.min(all.len().saturating_sub(1));
            all.swap(0, second);
            for mut option in all {
                option.truncate(length);
                options.retain(|other| *other != option);
                options.push(option);
            }
            options
        };
        (0..size.div_ceil(self.sector)).map(of).collect()
    }
}

fn product(options: &Options) -> u64 {
    options.iter().fold(1, |all: u64, options| all.saturating_mul(options.len() as u64))
}

/// Some sectors of a file of one length.
struct Part<'a> {
    options: &'a Options,
    start: usize,
    end: usize,
    size: usize,
    /// Whether every combination is tried.
    whole: bool,
}

impl Part<'_> {
    /// One combination of each class that the reader tells apart, with the size of the class.
    fn classes(&self, verdict: &dyn Fn(&[u8]) -> u128) -> Vec<(Vec<u8>, u64)> {
        let all = self.combinations();
        if all.len() == 1 {
            return all.into_iter().map(|bytes| (bytes, 1)).collect();
        }
        let last = |options: &[Vec<Vec<u8>>]| -> Vec<u8> {
            options.iter().filter_map(|options| options.last()).flatten().copied().collect()
        };
        let (before, after) = (last(&self.options[..self.start]), last(&self.options[self.end..]));
        let mut classes: BTreeMap<(u128, u128), (Vec<u8>, u64)> = BTreeMap::new();
        let mut alone = vec![0; self.size];
        for part in all {
            let within = [before.as_slice(), &part, &after].concat();
            alone[before.len()..before.len() + part.len()].copy_from_slice(&part);
            let class = (verdict(&within), verdict(&alone));
            classes.entry(class).or_insert((part, 0)).1 += 1;
        }
        classes.into_values().collect()
    }

    fn combinations(&self) -> Vec<Vec<u8>> {
        let options = &self.options[self.start..self.end];
        if self.whole {
            let mut all = vec![Vec::new()];
            for options in options {
                let with = |before: &Vec<u8>| {
                    let with = |option: &Vec<u8>| [before.as_slice(), option].concat();
                    options.iter().map(with).collect::<Vec<_>>()
                };
                all = all.iter().flat_map(with).collect();
            }
            return all;
        }
        let of = |choose: &dyn Fn(usize, usize) -> usize| -> Vec<u8> {
            let sectors = options.iter().enumerate();
            sectors.flat_map(|(k, o)| o[choose(k, o.len() - 1)].clone()).collect()
        };
        let mut some = vec![of(&|_, last| last), of(&|_, last| last.min(1)), of(&|_, _| 0)];
        for (apart, others) in options.iter().enumerate() {
            for choice in 0..others.len().saturating_sub(1) {
                some.push(of(&|k, last| if k == apart { choice } else { last }));
            }
        }
        some.sort_unstable();
        some.dedup();
        some
    }
}
