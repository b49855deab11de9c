//! A server in memory that loses answers, lets messages come late and forgets.

use std::future::pending;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

use repl_checkpoint::{
    Acquire, Generation, Held, Kept, Lease, RemoteFailure, RemoteSave, RemoteStore, StoreId,
};

use crate::support::STORE;

/// Clones are clients of one server.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    server: Arc<Mutex<Server>>,
    name: &'static str,
}

#[derive(Debug, Default)]
struct Server {
    data: Data,
    holders: u128,
    faults: Vec<Fault>,
    /// What was sent, and has not come yet.
    late: Vec<Message>,
    saves: usize,
}

/// What the server keeps; a copy is a backup of it.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Data {
    pub(crate) held: Option<Held>,
    pub(crate) kept: Vec<Kept>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Fault {
    Unavailable,
    /// It never comes.
    LostBefore,
    /// It takes effect.
    LostAfter,
    /// It comes when [`Client::deliver`] is called.
    Late,
    /// It takes effect, and no answer ever comes.
    Hangs,
    /// It takes effect twice, and the answer is that to the second.
    Twice,
}

#[derive(Debug, Clone)]
enum Message {
    Acquire(Acquire, &'static str),
    Save { lease: Lease, previous: Generation, kept: Kept },
}

impl Server {
    fn take(&mut self, message: &Message) -> Result<Held, RemoteFailure> {
        let held = self.data.held.clone();
        let refused = RemoteFailure::Refused(held.clone());
        match message {
            Message::Acquire(Acquire::TakeOver { at_least }, name) => {
                let enough = |held: &Held| {
                    at_least.is_none_or(|least| {
                        least.token <= held.lease.token && least.generation <= held.generation
                    })
                };
                if held.as_ref().map_or(at_least.is_some(), |held| !enough(held)) {
                    return Err(refused);
                }
                self.holders += 1;
                let token = held.as_ref().map_or(1, |held| held.lease.token + 1);
                self.data.held = Some(Held {
                    lease: Lease { holder: self.holders, token },
                    generation: held.map_or(0, |held| held.generation),
                    by: (*name).to_owned(),
                    since: SystemTime::UNIX_EPOCH + Duration::from_secs(token),
                });
            }
            Message::Acquire(Acquire::Renew { lease, token }, _) => match self.data.held.as_mut() {
                Some(held) if held.lease.holder == lease.holder && held.lease.token < *token => {
                    held.lease.token = *token;
                }
                _ => return Err(refused),
            },
            Message::Save { lease, previous, kept } => match self.data.held.as_mut() {
                Some(held) if held.lease == *lease && held.generation == *previous => {
                    held.generation = kept.generation;
                    self.data.kept.push(kept.clone());
                    self.saves += 1;
                }
                _ => return Err(refused),
            },
        }
        self.data.held.clone().ok_or(RemoteFailure::Refused(None))
    }
}

fn cause(why: &'static str) -> Arc<dyn std::error::Error + Send + Sync> {
    Arc::from(Box::<dyn std::error::Error + Send + Sync>::from(why))
}

impl Client {
    pub(crate) fn new(name: &'static str) -> Self {
        Client { server: Arc::default(), name }
    }

    /// Another client of the same server.
    pub(crate) fn named(&self, name: &'static str) -> Self {
        Client { server: Arc::clone(&self.server), name }
    }

    fn server(&self) -> MutexGuard<'_, Server> {
        self.server.lock().unwrap()
    }

    /// What happens to the next messages, in this order.
    pub(crate) fn plant(&self, faults: &[Fault]) {
        self.server().faults = faults.iter().rev().copied().collect();
    }

    /// Lets what is late come.
    pub(crate) fn deliver(&self) {
        let mut server = self.server();
        for message in std::mem::take(&mut server.late) {
            drop(server.take(&message));
        }
    }

    pub(crate) fn data(&self) -> Data {
        self.server().data.clone()
    }

    pub(crate) fn restore(&self, data: Data) {
        self.server().data = data;
    }

    /// The number of saves that took effect.
    pub(crate) fn saves(&self) -> usize {
        self.server().saves
    }

    async fn send(&self, message: Message) -> Result<Held, RemoteFailure> {
        let fault = self.server().faults.pop();
        match fault {
            None => self.server().take(&message),
            Some(Fault::Unavailable) => Err(RemoteFailure::Unavailable(cause("refused"))),
            Some(Fault::LostBefore) => Err(RemoteFailure::InDoubt(cause("cut"))),
            Some(Fault::LostAfter) => {
                drop(self.server().take(&message));
                Err(RemoteFailure::InDoubt(cause("cut")))
            }
            Some(Fault::Late) => {
                self.server().late.push(message);
                Err(RemoteFailure::InDoubt(cause("cut")))
            }
            Some(Fault::Hangs) => {
                drop(self.server().take(&message));
                pending().await
            }
            Some(Fault::Twice) => {
                drop(self.server().take(&message));
                self.server().take(&message)
            }
        }
    }
}

impl RemoteStore for Client {
    fn store_id(&self) -> StoreId {
        STORE
    }

    fn place(&self) -> String {
        "the server".to_owned()
    }

    async fn acquire(&mut self, acquire: Acquire) -> Result<Held, RemoteFailure> {
        self.send(Message::Acquire(acquire, self.name)).await
    }

    async fn save(&mut self, save: RemoteSave<'_>) -> Result<(), RemoteFailure> {
        let RemoteSave { lease, previous, generation, bytes } = save;
        let kept = Kept { generation, bytes: bytes.to_vec() };
        self.send(Message::Save { lease, previous, kept }).await.map(drop)
    }

    async fn load(&mut self, at_most: Generation) -> Result<Option<Kept>, RemoteFailure> {
        let data = self.data();
        let kept = data.kept.into_iter().filter(|kept| kept.generation <= at_most);
        Ok(kept.max_by_key(|kept| kept.generation))
    }
}
