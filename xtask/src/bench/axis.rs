//! Logarithmic axes: their ranges, ticks and labels.

use std::ops::Range;

/// An axis.
#[derive(Debug, PartialEq)]
pub(super) struct Axis {
    pub(super) range: Range<f64>,
    pub(super) ticks: Vec<f64>,
}

/// The maximal number of ticks of an axis of sizes, so that their labels do not overlap.
const SIZES: usize = 9;

/// The maximal ratio of the ends of an axis with ticks between the powers of ten.
const FINE: f64 = 1000.0;

/// An axis with ticks at the measured sizes; `None` if there are none, or one is 0.
pub(super) fn of_sizes(sizes: impl Iterator<Item = f64>) -> Option<Axis> {
    let mut sizes: Vec<f64> = sizes.collect();
    sizes.sort_by(f64::total_cmp);
    sizes.dedup();
    // Slightly wider than the sizes, so that no marker is on the frame.
    let (least, most) = (*sizes.first().filter(|least| **least > 0.0)?, *sizes.last()?);
    let room = (most / least).powf(0.03).max(1.2);
    let ticks = sizes.iter().copied().step_by(sizes.len().div_ceil(SIZES)).collect();
    Some(Axis { range: least / room..most * room, ticks })
}

/// An axis with round times as ends and ticks; `None` if there are no times.
pub(super) fn of_times(times: impl Iterator<Item = f64>) -> Option<Axis> {
    let ends = times.map(|time| (time, time));
    let (least, most) = ends.reduce(|(least, most), (t, _)| (least.min(t), most.max(t)))?;
    let round = |factors: &'static [f64]| {
        (-6..=12).flat_map(move |power| factors.iter().map(move |f| f * 10_f64.powi(power)))
    };
    let fine = &[1.0, 2.0, 5.0];
    let start = round(fine).rfind(|time| *time < least)?;
    let end = round(fine).find(|time| *time > most)?;
    let factors: &[f64] = if end / start > FINE { &[1.0] } else { fine };
    let ticks = round(factors).filter(|time| (start..=end).contains(time)).collect();
    Some(Axis { range: start..end, ticks })
}

/// What an axis shows.
#[derive(Debug, Clone, Copy)]
pub(super) enum Unit {
    /// Nanoseconds.
    Time,
    Bytes,
    /// Percent of a core.
    Percent,
}

impl Unit {
    /// `10 us`, `5 MB` or `0.2 %`.
    pub(super) fn label(self, value: f64) -> String {
        match self {
            Unit::Time => time(value),
            Unit::Bytes => bytes(value),
            Unit::Percent => format!("{} %", (value * 1e6).round() / 1e6),
        }
    }
}

/// `1,048,576`.
pub(super) fn size(size: f64) -> String {
    let digits = format!("{size:.0}");
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `10 us`.
pub(super) fn time(nanoseconds: f64) -> String {
    let (unit, name) = match nanoseconds {
        ns if ns < 1e3 => (1.0, "ns"),
        ns if ns < 1e6 => (1e3, "us"),
        ns if ns < 1e9 => (1e6, "ms"),
        _ => (1e9, "s"),
    };
    // Powers of ten below one are not exact.
    let number = (nanoseconds / unit * 1e3).round() / 1e3;
    format!("{number} {name}")
}

/// `5 MB`.
pub(super) fn bytes(bytes: f64) -> String {
    let (unit, name) = match bytes {
        b if b < 1e3 => (1.0, "bytes"),
        b if b < 1e6 => (1e3, "kB"),
        b if b < 1e9 => (1e6, "MB"),
        _ => (1e9, "GB"),
    };
    format!("{} {name}", (bytes / unit * 1e3).round() / 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_labeled_in_a_fitting_unit() {
        let times = [0.5, 1.0, 200.0, 1e3, 1e4, 5e5, 1e6, 1e9, 2e10].map(time);
        let expected =
            ["0.5 ns", "1 ns", "200 ns", "1 us", "10 us", "500 us", "1 ms", "1 s", "20 s"];
        assert_eq!(times, expected);
    }

    #[test]
    fn bytes_and_percents_are_labeled_in_a_fitting_unit() {
        let bytes = [200.0, 1e3, 5e4, 2e6, 1e9].map(|bytes| Unit::Bytes.label(bytes));
        assert_eq!(bytes, ["200 bytes", "1 kB", "50 kB", "2 MB", "1 GB"]);
        let percents = [0.0001, 0.02, 1.0, 50.0].map(|percent| Unit::Percent.label(percent));
        assert_eq!(percents, ["0.0001 %", "0.02 %", "1 %", "50 %"]);
    }

    #[test]
    fn sizes_are_grouped_by_thousands() {
        let sizes = [1.0, 16.0, 256.0, 4096.0, 65_536.0, 1_048_576.0].map(size);
        assert_eq!(sizes, ["1", "16", "256", "4,096", "65,536", "1,048,576"]);
    }

    #[test]
    fn the_ends_and_ticks_of_an_axis_are_round_times() {
        let labels = |times: &[f64]| {
            let axis = of_times(times.iter().copied()).unwrap();
            assert!(times.iter().all(|time| axis.range.contains(time)));
            axis.ticks.into_iter().map(time).collect::<Vec<_>>()
        };
        assert_eq!(labels(&[3.0, 700.0, 4e5]), ["10 ns", "100 ns", "1 us", "10 us", "100 us"]);
        assert_eq!(labels(&[6e5, 3e6]), ["500 us", "1 ms", "2 ms", "5 ms"]);
        assert_eq!(labels(&[1e6]), ["500 us", "1 ms", "2 ms"]);
        assert_eq!(of_times([].into_iter()), None);
    }

    #[test]
    fn an_axis_has_ticks_at_measured_sizes_and_not_too_many() {
        let axis = of_sizes([256.0, 1.0, 16.0, 1.0].into_iter()).unwrap();
        assert_eq!(axis.ticks, [1.0, 16.0, 256.0]);
        assert!(axis.range.start < 1.0 && axis.range.end > 256.0);
        let many = of_sizes((1..=20).map(f64::from)).unwrap();
        assert!(many.ticks.len() <= SIZES, "{many:?}");
        assert_eq!(of_sizes([].into_iter()), None);
        assert_eq!(of_sizes([0.0, 1.0].into_iter()), None);
    }
}
