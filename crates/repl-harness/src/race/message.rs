//! Orders and answers as lines of text, from process to process.

use repl_checkpoint::{Lease, Witness};

use super::step::{Call, Order, Outcome, Seen, Step};

/// What begins every line of an answer: a test also prints lines of its own.
pub(super) const MARK: &str = "repl-harness-race ";

/// Numbers and words of a line, one by one.
pub(super) struct Words<'a>(std::str::SplitAsciiWhitespace<'a>);

impl<'a> Words<'a> {
    pub(super) fn of(line: &'a str) -> Self {
        Words(line.split_ascii_whitespace())
    }

    pub(super) fn word(&mut self) -> Option<&'a str> {
        self.0.next()
    }

    pub(super) fn number<N: std::str::FromStr>(&mut self) -> Option<N> {
        self.word()?.parse().ok()
    }

    pub(super) fn rest(self) -> String {
        self.0.collect::<Vec<_>>().join(" ")
    }

    fn lease(&mut self) -> Option<Lease> {
        Some(Lease { holder: self.number()?, token: self.number()? })
    }

    fn seen(&mut self) -> Option<Seen> {
        Some(Seen { lease: self.lease()?, generation: self.number()? })
    }

    pub(super) fn step(&mut self) -> Option<Step> {
        Some(match self.word()? {
            "takeover" => Step::TakeOver(None),
            "takeover-from" => {
                Step::TakeOver(Some(Witness { token: self.number()?, generation: self.number()? }))
            }
            "renew" => Step::Renew { lease: self.lease()?, token: self.number()? },
            "save" => Step::Save {
                lease: self.lease()?,
                previous: self.number()?,
                generation: self.number()?,
                content: self.number()?,
            },
            "save-mine" => Step::SaveMine { content: self.number()? },
            "load" => Step::Load { at_most: self.number()? },
            _ => return None,
        })
    }

    pub(super) fn order(&mut self) -> Option<Order> {
        let polls = match self.word()? {
            "-" => None,
            polls => Some(polls.parse().ok()?),
        };
        Some(Order { step: self.step()?, polls })
    }

    fn outcome(mut self) -> Option<Outcome> {
        Some(match self.word()? {
            "acquired" => Outcome::Acquired(self.seen()?),
            "saved" => Outcome::Saved,
            "loaded" => Outcome::Loaded(Some((self.number()?, Some(self.number()?)))),
            "loaded-other" => Outcome::Loaded(Some((self.number()?, None))),
            "loaded-none" => Outcome::Loaded(None),
            "refused" => Outcome::Refused(Some(self.seen()?)),
            "refused-none" => Outcome::Refused(None),
            "unavailable" => Outcome::Unavailable(self.rest()),
            "doubt" => Outcome::InDoubt(self.rest()),
            "dropped" => Outcome::Dropped,
            "panicked" => Outcome::Panicked(self.rest()),
            _ => return None,
        })
    }

    /// A call: its writer, the step and the outcome.
    pub(super) fn call(mut self) -> Option<Call> {
        let (writer, step) = (self.number()?, self.step()?);
        Some(Call { writer, step, outcome: self.outcome()? })
    }
}

pub(super) fn order(order: &Order) -> String {
    let polls = order.polls.map_or("-".to_owned(), |polls| polls.to_string());
    format!("{polls} {}", step(&order.step))
}

pub(super) fn call(call: &Call) -> String {
    format!("{} {} {}", call.writer, step(&call.step), outcome(&call.outcome))
}

fn step(step: &Step) -> String {
    match step {
        Step::TakeOver(None) => "takeover".to_owned(),
        Step::TakeOver(Some(Witness { token, generation })) => {
            format!("takeover-from {token} {generation}")
        }
        Step::Renew { lease, token } => format!("renew {} {} {token}", lease.holder, lease.token),
        Step::Save { lease, previous, generation, content } => {
            format!("save {} {} {previous} {generation} {content}", lease.holder, lease.token)
        }
        Step::SaveMine { content } => format!("save-mine {content}"),
        Step::Load { at_most } => format!("load {at_most}"),
    }
}

fn outcome(outcome: &Outcome) -> String {
    let seen = |seen: &Seen| {
        let Seen { lease, generation } = seen;
        format!("{} {} {generation}", lease.holder, lease.token)
    };
    match outcome {
        Outcome::Acquired(held) => format!("acquired {}", seen(held)),
        Outcome::Saved => "saved".to_owned(),
        Outcome::Loaded(Some((generation, Some(content)))) => {
            format!("loaded {generation} {content}")
        }
        Outcome::Loaded(Some((generation, None))) => format!("loaded-other {generation}"),
        Outcome::Loaded(None) => "loaded-none".to_owned(),
        Outcome::Refused(Some(found)) => format!("refused {}", seen(found)),
        Outcome::Refused(None) => "refused-none".to_owned(),
        Outcome::Unavailable(reason) => format!("unavailable {}", one_line(reason)),
        Outcome::InDoubt(reason) => format!("doubt {}", one_line(reason)),
        Outcome::Dropped => "dropped".to_owned(),
        Outcome::Panicked(message) => format!("panicked {}", one_line(message)),
    }
}

pub(super) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_is_read_as_it_was_written() {
        let lease = Lease { holder: u128::MAX, token: 7 };
        let seen = Seen { lease, generation: u64::MAX };
        let steps = [
            Step::TakeOver(None),
            Step::TakeOver(Some(Witness { token: 3, generation: 4 })),
            Step::Renew { lease, token: 9 },
            Step::Save { lease, previous: 1, generation: 2, content: u64::MAX },
            Step::SaveMine { content: 5 },
            Step::Load { at_most: 8 },
        ];
        let outcomes = [
            Outcome::Acquired(seen),
            Outcome::Saved,
            Outcome::Loaded(None),
            Outcome::Loaded(Some((3, None))),
            Outcome::Loaded(Some((3, Some(4)))),
            Outcome::Refused(None),
            Outcome::Refused(Some(seen)),
            Outcome::Unavailable("no route".to_owned()),
            Outcome::InDoubt("cut off".to_owned()),
            Outcome::Dropped,
            Outcome::Panicked("index 3".to_owned()),
        ];
        for step in steps {
            for polls in [None, Some(2)] {
                let one = Order { step, polls };
                assert_eq!(Words::of(&order(&one)).order(), Some(one));
            }
            for outcome in &outcomes {
                let one = Call { writer: 6, step, outcome: outcome.clone() };
                assert_eq!(Words::of(&call(&one)).call(), Some(one));
            }
        }
    }
}
