//! Clients that write on the leader and read their own writes on the follower.
//!
//! Each client has one request at a time. The leader answers a write with the number written and a
//! token, with which the client must read that number on the follower. README.md says how.

use std::collections::BTreeMap;

use example_support::{Error, fraction};
use serde::Serialize;

use crate::events::{Event, Order};
use crate::positions::Mark;
use crate::wal::LogPoint;

/// Enough that some client waits whenever the follower is killed.
const CLIENTS_PER_DATABASE: u64 = 4;

/// Counts of what the clients read in one run.
#[expect(clippy::struct_field_names, reason = "the names in the report")]
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Seen {
    /// Reads that returned what was written, in total and by shard.
    pub(crate) read_your_writes: u64,
    pub(crate) read_your_writes_by_shard: BTreeMap<u64, u64>,
    /// Those that had to wait for the follower.
    pub(crate) read_your_writes_waited: u64,
    /// Those that a second follower answered, since the first was killed.
    pub(crate) read_your_writes_asked_again: u64,
}

/// All clients of a run.
#[derive(Debug)]
pub(crate) struct Clients {
    all: Vec<Client>,
    /// The number of reads requested for the run.
    reads: u64,
    pub(crate) seen: Seen,
}

#[derive(Debug)]
struct Client {
    shard: u64,
    /// The number of the client's next read among the reads of all clients.
    turn: u64,
    /// The number written and the token, before the read.
    written: Option<(u64, LogPoint)>,
    /// Whether a request is not answered yet.
    asks: bool,
    asked_again: bool,
}

impl Clients {
    pub(crate) fn new(databases: u64, reads: u64) -> Clients {
        let client = |turn| {
            let shard = turn % databases.max(1);
            Client { shard, turn, written: None, asks: false, asked_again: false }
        };
        let all = (0..databases * CLIENTS_PER_DATABASE).map(client).collect();
        Clients { all, reads, seen: Seen::default() }
    }

    pub(crate) fn are_done(&self) -> bool {
        self.all.iter().all(|c| c.turn >= self.reads)
    }

    /// The requests that are due when the fraction `over` of the run is over.
    pub(crate) fn due(&mut self, over: f64) -> Vec<Order> {
        let mut orders = Vec::new();
        for (number, client) in (0..).zip(&mut self.all) {
            let is_over = client.turn >= self.reads || fraction(client.turn, self.reads) > over;
            if is_over || client.asks {
                continue;
            }
            client.asks = true;
            let shard = client.shard;
            orders.push(match client.written {
                None => Order::Write { shard, client: number },
                Some((_, token)) => Order::Read { shard, client: number, token },
            });
        }
        orders
    }

    /// Handles the answers among the events. A stale read is an error.
    pub(crate) fn note(&mut self, event: Event) -> Result<(), Error> {
        let count = self.all.len() as u64;
        let index = |number| usize::try_from(number).unwrap_or(usize::MAX);
        match event {
            Event::Written { client, written, end } => {
                if let Some(client) = self.all.get_mut(index(client)) {
                    (client.written, client.asks) = (Some((written, end)), false);
                }
            }
            Event::Answered { client: number, seqno, at, found, waited } => {
                let Some(client) = self.all.get_mut(index(number)) else { return Ok(()) };
                let Some((written, token)) = client.written.take() else { return Ok(()) };
                let shard = client.shard;
                if found != Some(written) {
                    let found = found.map_or("nothing".to_owned(), |found| found.to_string());
                    let (seqno, at, [first, second]) = (Mark(seqno), Mark(at), token.salts);
                    return Err(format!(
                        "stale read on shard {shard}: client {number} wrote {written} with the \
                         token {seqno} (frame {} of the log {first:08x}-{second:08x}), but read \
                         {found} in the replica at {at}",
                        token.frame
                    )
                    .into());
                }
                let seen = &mut self.seen;
                seen.read_your_writes += 1;
                *seen.read_your_writes_by_shard.entry(shard).or_default() += 1;
                seen.read_your_writes_waited += u64::from(waited);
                seen.read_your_writes_asked_again += u64::from(client.asked_again);
                client.turn += count;
                (client.asks, client.asked_again) = (false, false);
            }
            _ => {}
        }
        Ok(())
    }

    /// Makes unanswered writes due again, once all answers of the last leader are noted.
    pub(crate) fn leader_died(&mut self) {
        self.all.iter_mut().filter(|c| c.written.is_none()).for_each(|c| c.asks = false);
    }

    /// Makes unanswered reads due again, once all answers of the last follower are noted.
    pub(crate) fn follower_died(&mut self) {
        for client in self.all.iter_mut().filter(|c| c.written.is_some()) {
            client.asked_again |= client.asks;
            client.asks = false;
        }
    }

    /// Makes every client write again: after a power cut its token may be void.
    pub(crate) fn writes_were_lost(&mut self) {
        for client in &mut self.all {
            *client = Client { written: None, asks: false, asked_again: false, ..*client };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: LogPoint = LogPoint { salts: [7, 8], frame: 30, checksum: [1, 2] };

    /// The answer of a leader, or of a follower that reads `found`.
    fn answer(order: &Order, found: Option<u64>) -> Event {
        match *order {
            Order::Write { client, .. } => Event::Written { client, written: 41, end: TOKEN },
            Order::Read { client, .. } => {
                let (seqno, at) = ((1 << 32) + 30, (1 << 32) + 31);
                Event::Answered { client, seqno, at, found, waited: true }
            }
            Order::Finish => panic!("no client sends this"),
        }
    }

    #[test]
    fn every_read_is_made_once_and_evenly_over_the_shards() {
        let mut clients = Clients::new(4, 1000);
        while !clients.are_done() {
            let orders = clients.due(1.0);
            assert!(!orders.is_empty());
            for order in orders {
                clients.note(answer(&order, Some(41))).unwrap();
            }
        }
        let seen = clients.seen;
        assert_eq!((seen.read_your_writes, seen.read_your_writes_waited), (1000, 1000));
        assert_eq!(seen.read_your_writes_asked_again, 0);
        let by_shard = seen.read_your_writes_by_shard;
        assert_eq!((by_shard.len(), by_shard.values().sum::<u64>()), (4, 1000));
        assert!(by_shard.values().all(|n| (240..=260).contains(n)), "{by_shard:?}");
    }

    #[test]
    fn no_read_is_made_before_it_is_due() {
        let mut clients = Clients::new(1, 100);
        assert_eq!(clients.due(0.0).len(), 1);
        assert_eq!(clients.due(0.02).len(), 2);
        assert_eq!(clients.due(1.0).len(), 1, "one request per client");
        assert!(Clients::new(1, 0).are_done());
    }

    #[test]
    fn any_number_but_the_one_written_is_a_stale_read() {
        for found in [None, Some(40), Some(42)] {
            let mut clients = Clients::new(1, 1);
            let write = clients.due(1.0).remove(0);
            clients.note(answer(&write, None)).unwrap();
            let read = clients.due(1.0).remove(0);
            let stale = clients.note(answer(&read, found)).unwrap_err().to_string();
            let read_as = found.map_or("nothing".into(), |f| f.to_string());
            for word in ["shard 0", "client 0", "wrote 41", "token 1.30", "at 1.31", &read_as] {
                assert!(stale.contains(word), "{word:?} is not in {stale}");
            }
            assert!(!clients.are_done());
        }
    }

    #[test]
    fn unanswered_requests_are_repeated_and_after_a_power_cut_a_client_writes_again() {
        let mut clients = Clients::new(1, 1);
        let write = clients.due(1.0);
        assert_eq!(clients.due(1.0), [], "the write is not answered yet");
        clients.leader_died();
        assert_eq!(clients.due(1.0), write);
        clients.note(answer(&write[0], None)).unwrap();

        let read = clients.due(1.0);
        clients.leader_died();
        assert_eq!(clients.due(1.0), [], "the read is not answered yet");
        clients.follower_died();
        assert_eq!(clients.due(1.0), read);
        clients.writes_were_lost();
        assert_eq!(clients.due(1.0), write);
        clients.note(answer(&write[0], None)).unwrap();
        clients.due(1.0);
        clients.follower_died();
        let read = clients.due(1.0).remove(0);
        clients.note(answer(&read, Some(41))).unwrap();
        assert!(clients.are_done());
        assert_eq!(clients.seen.read_your_writes_asked_again, 1);
    }
}
