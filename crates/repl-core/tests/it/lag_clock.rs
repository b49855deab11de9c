//! The lag in time is that of the first sample above the mark: never too long, and of bounded cost.

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use repl_core::{LagClock, SeqNo};

/// All samples, and the answer that they give.
#[derive(Default)]
struct Model(Vec<(SeqNo, u64)>);

impl Model {
    fn sample(&mut self, last: SeqNo, at: u64) {
        self.0.retain(|(seqno, _)| *seqno <= last);
        if self.0.last().is_none_or(|(seqno, _)| *seqno < last) {
            self.0.push((last, at));
        }
    }

    fn lag(&self, mark: SeqNo, now: u64) -> Option<u64> {
        self.0.last()?;
        let first_above = self.0.iter().find(|(seqno, _)| *seqno > mark);
        Some(first_above.map_or(0, |(_, at)| now - at))
    }
}

fn lag(clock: &LagClock, mark: SeqNo, now: u64) -> Option<u64> {
    let lag = clock.lag(mark, Duration::from_millis(now))?;
    Some(u64::try_from(lag.as_millis()).unwrap())
}

/// By how much a log grows, or to what share of its length it is cut; and after which time.
fn samples() -> impl Strategy<Value = Vec<(Option<u64>, u64)>> {
    vec((prop_oneof![9 => (0_u64..4).prop_map(Some), 1 => Just(None)], 0_u64..5000), 0..200)
}

proptest! {
    #[test]
    fn a_lag_is_that_of_the_first_sample_above_the_mark_and_shorter_only_once_samples_are_dropped(
        samples in samples(),
        max_samples in 8_usize..100,
        later in 0_u64..5000,
    ) {
        let (mut clock, mut model) = (LagClock::new(max_samples), Model::default());
        let (mut last, mut now, mut most) = (0, 0, 0);
        for (growth, wait) in samples {
            now += wait;
            last = growth.map_or(last / 2, |growth| last + growth);
            clock.sample(last, Duration::from_millis(now));
            model.sample(last, now);
            most = most.max(model.0.len());
        }
        now += later;
        let mut before = None;
        for mark in 0..=last {
            let (found, expected) = (lag(&clock, mark, now), model.lag(mark, now));
            if most <= max_samples {
                prop_assert_eq!(found, expected);
            }
            prop_assert!(found <= expected && found.is_some() == expected.is_some());
            prop_assert!(before.is_none() || found <= before, "a higher mark is not behind for longer");
            before = found;
        }
        if let Some((first, _)) = model.0.first() {
            prop_assert_eq!(lag(&clock, last, now), Some(0));
            if let Some(below) = first.checked_sub(1) {
                let kept = model.lag(below, now);
                prop_assert_eq!(lag(&clock, below, now), kept, "the first sample is kept");
            }
        }
    }
}

#[test]
fn a_clock_without_samples_knows_no_lag() {
    assert_eq!(lag(&LagClock::new(64), 0, 5), None);
}

#[test]
fn a_time_that_goes_back_counts_as_the_newest_before_it() {
    let mut clock = LagClock::new(64);
    clock.sample(1, Duration::from_millis(100));
    clock.sample(2, Duration::from_millis(50));
    assert_eq!([0, 1, 2].map(|mark| lag(&clock, mark, 120)), [Some(20), Some(20), Some(0)]);
    assert_eq!(lag(&clock, 0, 30), Some(0), "asked about a time before the samples");
}

#[test]
fn a_log_that_was_cut_is_ahead_only_of_marks_below_its_new_end() {
    let mut clock = LagClock::new(64);
    for (last, at) in [(5, 10), (8, 20), (6, 30), (9, 40)] {
        clock.sample(last, Duration::from_millis(at));
    }
    let lags = [4, 5, 6, 7, 8, 9].map(|mark| lag(&clock, mark, 50));
    assert_eq!(lags, [40, 20, 10, 10, 10, 0].map(Some));
}
