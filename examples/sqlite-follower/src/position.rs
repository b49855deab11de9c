//! Positions in the sequence of a database's logs, and their seqnos.
//!
//! The log of a database restarts repeatedly in the same file, and frames are counted anew each
//! time. So a seqno holds two numbers: in its high 32 bits the number of the log, counted from 1
//! since the base copy, and in its low 32 bits the frame in that log. The log number is never 0, so
//! a seqno is never 0, which means "nothing applied". Salts are no part of the seqno, as they do not
//! rise. The frame number alone would fall at a restart.

use std::fmt;

use repl_core::SeqNo;
use serde::{Deserialize, Serialize};

use crate::wal::{LogPoint, WalHeader};

/// A place in the sequence of a database's logs since the base copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Position {
    /// The number of the log since the base copy, from 1.
    pub(crate) log: u32,
    /// The place in that log.
    pub(crate) at: LogPoint,
}

impl Position {
    /// The place where a base copy was taken.
    pub(crate) fn of_base_copy(at: LogPoint) -> Position {
        Position { log: 1, at }
    }

    /// A later place in the same log.
    pub(crate) fn moved_to(self, at: LogPoint) -> Position {
        debug_assert_eq!(self.at.salts, at.salts);
        Position { at, ..self }
    }

    /// The start of the next log; `None` after 2^32 - 1 logs.
    pub(crate) fn in_next_log(self, header: &WalHeader) -> Option<Position> {
        let log = self.log.checked_add(1)?;
        Some(Position { log, at: header.start() })
    }

    pub(crate) fn seqno(self) -> SeqNo {
        u64::from(self.log) << 32 | u64::from(self.at.frame)
    }

    /// The seqno of another place in the same sequence of logs, or 0 if its log ended before the
    /// base copy, which holds all of it.
    ///
    /// Each restart raises the first salt by one, so the salts give the distance in logs.
    pub(crate) fn seqno_of(self, place: LogPoint) -> SeqNo {
        let logs = place.salts[0].wrapping_sub(self.at.salts[0]).cast_signed();
        match self.log.checked_add_signed(logs) {
            Some(log) if log > 0 => Position { log, at: place }.seqno(),
            _ => 0,
        }
    }
}

/// Displays a seqno as `log.frame`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mark(pub(crate) SeqNo);

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0 >> 32, self.0 & u64::from(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seqnos_rise_with_the_frame_and_the_log_and_are_never_zero() {
        let at =
            |log, frame| Position { log, at: LogPoint { salts: [9, 9], frame, checksum: [0, 0] } };
        assert!(at(1, 0).seqno() > 0);
        assert!(at(1, 1).seqno() > at(1, 0).seqno());
        assert!(at(2, 0).seqno() > at(1, u32::MAX).seqno());
        assert_eq!(Mark(at(3, 17).seqno()).to_string(), "3.17");
    }

    #[test]
    fn the_seqno_of_a_place_is_the_same_computed_from_any_position() {
        let first = u32::MAX - 1; // wraps on the way
        let at = |log: u32, frame| {
            let salts = [first.wrapping_add(log), log.wrapping_mul(77)];
            Position { log, at: LogPoint { salts, frame, checksum: [frame, 0] } }
        };
        for from in [at(1, 9), at(2, 0), at(5, 300)] {
            for to in [at(1, 12), at(2, 1), at(3, 4000), at(5, 299), at(6, 2)] {
                assert_eq!(from.seqno_of(to.at), to.seqno(), "{to:?} from {from:?}");
            }
            assert_eq!(from.seqno_of(at(0, 50).at), 0, "before the base copy");
        }
    }
}
