//! What the server keeps, and its answers.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::Fault;

/// How late reads are, where they are late.
const LATE: Duration = Duration::from_millis(4);

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Row {
    pub(crate) holder: u128,
    pub(crate) token: u64,
    pub(crate) generation: u64,
}

#[derive(Debug, Clone, Default)]
struct Data {
    row: Option<Row>,
    kept: Vec<(u64, String)>,
}

pub(crate) struct Records {
    fault: Fault,
    /// Each with all that it ever was.
    all: HashMap<String, Vec<(Instant, Data)>>,
    calls: u64,
    takeovers: u64,
    holders: u128,
}

impl Records {
    pub(crate) fn new(fault: Fault) -> Self {
        Records { fault, all: HashMap::new(), calls: 0, takeovers: 0, holders: 0 }
    }

    pub(crate) fn count(&mut self) -> u64 {
        self.calls += 1;
        self.calls
    }

    pub(crate) fn answer(&mut self, line: &str) -> String {
        let words: Vec<&str> = line.split(' ').collect();
        let number = |index: usize| words[index].parse::<u64>().unwrap();
        let record = if self.fault == Fault::SharesRecords { "0" } else { words[1] };
        let seen = self.seen(record);
        let mut data = self.now(record);
        let is_done = match words[0] {
            "take" => self.take(&mut data, None),
            "take-from" => self.take(&mut data, Some((number(2), number(3)))),
            "renew" => self.renew(&mut data, words[2].parse().unwrap(), number(3)),
            "save" => {
                let new = (number(5), words[6].to_owned());
                self.save(&mut data, words[2].parse().unwrap(), number(3), number(4), new)
            }
            "put" => {
                data.row = data.row.map(|row| Row { generation: number(2), ..row });
                self.keep(&mut data, (number(2), words[3].to_owned()));
                true
            }
            "load" => {
                let kept = seen.kept.iter().rev().find(|(generation, _)| *generation <= number(2));
                return kept.map_or("none".to_owned(), |(n, bytes)| format!("kept {n} {bytes}"));
            }
            _ => return format!("is {}", shown(seen.row)), // "read"
        };
        if !is_done {
            let is_untold = self.fault == Fault::RefusesWithoutRecord;
            if self.fault == Fault::KeepsSavesOfRefused {
                self.all.entry(record.to_owned()).or_default().push((Instant::now(), data.clone()));
            }
            let now = if self.fault == Fault::IsVisibleLate { seen } else { data };
            return format!("refused {}", shown(now.row.filter(|_| !is_untold)));
        }
        let answer = format!("is {}", shown(data.row));
        self.all.entry(record.to_owned()).or_default().push((Instant::now(), data));
        answer
    }

    fn now(&self, record: &str) -> Data {
        let versions = self.all.get(record);
        versions.and_then(|versions| Some(versions.last()?.1.clone())).unwrap_or_default()
    }

    /// What a read shows.
    fn seen(&self, record: &str) -> Data {
        let Some(versions) = self.all.get(record) else { return Data::default() };
        let late = if self.fault == Fault::IsVisibleLate { LATE } else { Duration::ZERO };
        let is_seen = |(at, _): &&(Instant, Data)| at.elapsed() >= late;
        versions.iter().rev().find(is_seen).unwrap_or(&versions[0]).1.clone()
    }

    fn take(&mut self, data: &mut Data, least: Option<(u64, u64)>) -> bool {
        let is_below =
            |row: Row, (token, generation)| row.token < token || row.generation < generation;
        let is_judged = !matches!(self.fault, Fault::IgnoresConditions | Fault::IgnoresWitness);
        if is_judged && least.is_some_and(|least| data.row.is_none_or(|row| is_below(row, least))) {
            return false;
        }
        self.takeovers += 1;
        self.holders += 1;
        let more =
            u64::from(self.fault != Fault::SameTokenTwice || !self.takeovers.is_multiple_of(5));
        let row = data.row.unwrap_or(Row { holder: 0, token: 0, generation: 0 });
        data.row = Some(Row { holder: self.holders, token: row.token + more, ..row });
        true
    }

    fn renew(&mut self, data: &mut Data, holder: u128, token: u64) -> bool {
        if data.row.is_none() && self.fault == Fault::RenewalMakesRecord {
            data.row = Some(Row { holder, token: 0, generation: 0 });
        }
        let Some(row) = &mut data.row else { return false };
        let is_lower = row.holder == holder && row.token < token;
        if !is_lower && self.fault != Fault::IgnoresConditions {
            return false;
        }
        row.token = token;
        true
    }

    fn save(
        &mut self,
        data: &mut Data,
        holder: u128,
        token: u64,
        previous: u64,
        new: (u64, String),
    ) -> bool {
        let mut row = data.row;
        if row.is_none() && self.fault == Fault::SaveMakesRecord {
            row = Some(Row { holder, token, generation: previous });
        }
        let Some(row) = row else { return false };
        let is_held = match self.fault {
            Fault::FencesInItsProcess | Fault::IgnoresConditions => true,
            Fault::IgnoresTokens => row.holder == holder,
            Fault::RefusesSaves => false,
            _ => row.holder == holder && row.token == token,
        };
        let is_next = self.fault == Fault::IgnoresConditions || row.generation == previous;
        if !is_held || !is_next {
            if self.fault == Fault::KeepsSavesOfRefused {
                data.kept.push(new);
            }
            return false;
        }
        data.row = Some(Row { generation: new.0, ..row });
        self.keep(data, new);
        true
    }

    fn keep(&self, data: &mut Data, new: (u64, String)) {
        data.kept.push(new);
        let most = if self.fault == Fault::KeepsOnlyTheNewest { 1 } else { 3 };
        let more = data.kept.len().saturating_sub(most);
        data.kept.drain(..more);
    }
}

fn shown(row: Option<Row>) -> String {
    row.map_or("none".to_owned(), |row| format!("{} {} {}", row.holder, row.token, row.generation))
}
