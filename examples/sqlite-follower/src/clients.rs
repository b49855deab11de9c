//! Clients that write on the leader and read their own writes on the follower.
//!
//! Each database has some clients, and each client has one request at a time:
//! 1. It writes a row on the leader. The answer is the number written and a token: the shard, and
//!    the place in its log where that transaction ends.
//! 2. It sends the token to the follower, which waits until that place is applied and reads the
//!    row.
//! 3. The number read must be the number written. Anything else ends the run.
//!
//! Requests are spread over the run like the kills. If the leader is killed before it answers, the
//! client writes again. If the follower is killed, the client sends its token to the next follower.
//! A late answer of a killed process has an outdated request number and is ignored.

use std::collections::BTreeMap;

use thiserror::Error;

use crate::events::{Event, Order};
use crate::position::Mark;
use crate::wal::LogPoint;

/// Enough that some client waits whenever the follower is killed.
const CLIENTS_PER_DATABASE: u64 = 4;

/// Counts of what the clients read in one run.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Reads that returned what was written, by shard.
    pub(crate) by_shard: BTreeMap<u64, u64>,
    /// Reads that had to wait for the follower.
    pub(crate) waited: u64,
    /// Reads that a second follower answered, since the first was killed.
    pub(crate) asked_again: u64,
}

/// A client did not read what it had written.
#[derive(Debug, Error)]
#[error(
    "stale read on shard {shard}: client {client} wrote {written} with the token {} (frame {} of \
     the log {:08x}-{:08x}), but read {} in the replica at {}",
    Mark(*seqno), token.frame, token.salts[0], token.salts[1],
    found.map_or("nothing".to_owned(), |f| f.to_string()), Mark(*at)
)]
pub(crate) struct StaleRead {
    shard: u64,
    client: u64,
    written: u64,
    token: LogPoint,
    seqno: u64,
    found: Option<u64>,
    at: u64,
}

/// All clients of a run.
#[derive(Debug)]
pub(crate) struct Clients {
    all: Vec<Client>,
    /// The number of reads requested for the run.
    reads: u64,
    /// The number of the last request.
    requests: u64,
    seen: Seen,
}

#[derive(Debug)]
struct Client {
    shard: u64,
    /// The number of the client's next read among the reads of all clients.
    turn: u64,
    state: State,
    asked_again: bool,
}

/// A write or a read, with its pending request, if any.
#[derive(Debug, Clone, Copy)]
enum State {
    Write { request: Option<u64> },
    Read { request: Option<u64>, written: u64, token: LogPoint },
}

impl Clients {
    pub(crate) fn new(databases: u64, reads: u64) -> Clients {
        let state = State::Write { request: None };
        let client =
            |turn| Client { shard: turn % databases.max(1), turn, state, asked_again: false };
        let all = (0..databases * CLIENTS_PER_DATABASE).map(client).collect();
        Clients { all, reads, requests: 0, seen: Seen::default() }
    }

    pub(crate) fn are_done(&self) -> bool {
        self.all.iter().all(|c| c.turn >= self.reads)
    }

    pub(crate) fn seen(&self) -> &Seen {
        &self.seen
    }

    /// The requests that are due when the fraction `over` of the run is over.
    pub(crate) fn due(&mut self, over: f64) -> Vec<Order> {
        let mut orders = Vec::new();
        for (number, client) in (0..).zip(&mut self.all) {
            if client.turn >= self.reads || fraction(client.turn, self.reads) > over {
                continue;
            }
            let (shard, next) = (client.shard, self.requests + 1);
            match &mut client.state {
                State::Write { request: request @ None } => {
                    *request = Some(next);
                    orders.push(Order::Write { shard, client: number, request: next });
                }
                State::Read { request: request @ None, token, .. } => {
                    *request = Some(next);
                    let token = *token;
                    orders.push(Order::Read { shard, client: number, request: next, token });
                }
                _ => continue,
            }
            self.requests = next;
        }
        orders
    }

    /// Handles the answers among the events.
    pub(crate) fn note(&mut self, event: Event) -> Result<(), StaleRead> {
        let count = self.all.len() as u64;
        let of = |client| usize::try_from(client).unwrap_or(usize::MAX);
        match event {
            Event::Written { client, request, written, end } => {
                if let Some(client) = self.all.get_mut(of(client))
                    && matches!(client.state, State::Write { request: Some(r) } if r == request)
                {
                    client.state = State::Read { request: None, written, token: end };
                }
            }
            Event::Answered { client: number, request, seqno, at, found, waited } => {
                let Some(client) = self.all.get_mut(of(number)) else { return Ok(()) };
                let shard = client.shard;
                let State::Read { request: Some(r), written, token } = client.state else {
                    return Ok(());
                };
                if r != request {
                    return Ok(());
                }
                if found != Some(written) {
                    let client = number;
                    return Err(StaleRead { shard, client, written, token, seqno, found, at });
                }
                *self.seen.by_shard.entry(shard).or_default() += 1;
                self.seen.waited += u64::from(waited);
                self.seen.asked_again += u64::from(client.asked_again);
                client.turn += count;
                client.asked_again = false;
                client.state = State::Write { request: None };
            }
            _ => {}
        }
        Ok(())
    }

    /// Makes unanswered writes due again, for the next leader.
    pub(crate) fn leader_died(&mut self) {
        for client in &mut self.all {
            if let State::Write { request } = &mut client.state {
                *request = None;
            }
        }
    }

    /// Makes unanswered reads due again, for the next follower.
    pub(crate) fn follower_died(&mut self) {
        for client in &mut self.all {
            if let State::Read { request, .. } = &mut client.state {
                client.asked_again |= request.take().is_some();
            }
        }
    }

    /// Makes every client write again: after a power cut its token may be void.
    pub(crate) fn writes_were_lost(&mut self) {
        for client in &mut self.all {
            client.state = State::Write { request: None };
            client.asked_again = false;
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "small numbers")]
fn fraction(part: u64, whole: u64) -> f64 {
    part as f64 / whole as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: LogPoint = LogPoint { salts: [7, 8], frame: 30, checksum: [1, 2] };

    /// The answer of a leader, or of a follower that reads `found`.
    fn answer(order: &Order, found: Option<u64>) -> Event {
        match *order {
            Order::Write { client, request, .. } => {
                Event::Written { client, request, written: 41, end: TOKEN }
            }
            Order::Read { client, request, .. } => {
                let (seqno, at) = ((1 << 32) + 30, (1 << 32) + 31);
                Event::Answered { client, request, seqno, at, found, waited: true }
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
        let Seen { by_shard, waited, asked_again } = clients.seen();
        assert_eq!(by_shard.values().sum::<u64>(), 1000);
        assert_eq!((by_shard.len(), *waited, *asked_again), (4, 1000, 0));
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
    fn unanswered_requests_are_repeated_and_late_answers_ignored() {
        let mut clients = Clients::new(1, 1);
        let late_write = clients.due(1.0).remove(0);
        clients.leader_died();
        let write = clients.due(1.0).remove(0);
        assert_ne!(late_write, write);
        clients.note(answer(&late_write, None)).unwrap();
        assert_eq!(clients.due(1.0), [], "the write is not answered yet");
        clients.note(answer(&write, None)).unwrap();

        let late_read = clients.due(1.0).remove(0);
        clients.follower_died();
        let read = clients.due(1.0).remove(0);
        clients.note(answer(&late_read, Some(40))).unwrap();
        clients.note(answer(&read, Some(41))).unwrap();
        assert!(clients.are_done());
        assert_eq!((clients.seen().waited, clients.seen().asked_again), (1, 1));
    }

    #[test]
    fn after_a_power_cut_a_client_writes_again() {
        let mut clients = Clients::new(1, 1);
        let write = clients.due(1.0).remove(0);
        clients.note(answer(&write, None)).unwrap();
        clients.writes_were_lost();
        assert!(matches!(clients.due(1.0).remove(0), Order::Write { .. }));
    }
}
