//! A store on a server in memory, which other processes reach over loopback, with planted faults.

pub(crate) mod client;
pub(crate) mod data;

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use self::data::Records;

/// The promise that the store breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    Nothing,
    /// A save reads and compares, then writes without a condition.
    LosesUpdates,
    IgnoresConditions,
    /// Leases are compared with what this process has seen, and not on the server.
    FencesInItsProcess,
    /// Reads show what was there some milliseconds ago.
    IsVisibleLate,
    /// Every fifth takeover gets the token that is there.
    SameTokenTwice,
    /// A save looks at the holder, and not at the token.
    IgnoresTokens,
    KeepsOnlyTheNewest,
    CutsBytes,
    RefusesWithoutRecord,
    /// No save is ever accepted.
    RefusesSaves,
    /// A save is said to be in doubt, and never is there.
    LosesAnswers,
    /// Now and then all writers lose the answers to some takeovers and renewals: no promise is broken.
    LosesAnswersAtTimes,
    /// One call gets no answer.
    Hangs,
    Panics,
    /// The process of the client ends.
    Ends,
    RenewalMakesRecord,
    SaveMakesRecord,
    /// After a call that was dropped, the answer to it is taken for that to the next call.
    MixesAnswersUp,
    SharesRecords,
    IgnoresWitness,
    KeepsSavesOfRefused,
}

impl Fault {
    pub(crate) const ALL: [Fault; 22] = [
        Fault::Nothing,
        Fault::LosesUpdates,
        Fault::IgnoresConditions,
        Fault::FencesInItsProcess,
        Fault::IsVisibleLate,
        Fault::SameTokenTwice,
        Fault::IgnoresTokens,
        Fault::KeepsOnlyTheNewest,
        Fault::CutsBytes,
        Fault::RefusesWithoutRecord,
        Fault::RefusesSaves,
        Fault::LosesAnswers,
        Fault::LosesAnswersAtTimes,
        Fault::Hangs,
        Fault::Panics,
        Fault::Ends,
        Fault::RenewalMakesRecord,
        Fault::SaveMakesRecord,
        Fault::MixesAnswersUp,
        Fault::SharesRecords,
        Fault::IgnoresWitness,
        Fault::KeepsSavesOfRefused,
    ];
}

/// Runs as long as the test binary, for clients that were given its URL.
pub(crate) struct Server {
    address: String,
    fault: Fault,
}

impl Server {
    pub(crate) fn start(fault: Fault) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let records = Arc::new(Mutex::new(Records::new(fault)));
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let records = Arc::clone(&records);
                thread::spawn(move || serve(stream, fault, &records));
            }
        });
        Server { address, fault }
    }

    /// The address and the fault: a client may have a part in it.
    pub(crate) fn url(&self) -> String {
        format!("{} {:?}", self.address, self.fault)
    }
}

fn serve(mut stream: TcpStream, fault: Fault, records: &Mutex<Records>) {
    stream.set_nodelay(true).unwrap();
    let lines = BufReader::new(stream.try_clone().unwrap()).lines();
    for line in lines.map_while(Result::ok) {
        let (number, answer) = {
            let mut records = records.lock().unwrap();
            (records.count(), records.answer(&line))
        };
        if fault == Fault::Hangs && number == 500 {
            thread::sleep(Duration::from_secs(3600));
        }
        if stream.write_all(format!("{answer}\n").as_bytes()).is_err() {
            return;
        }
    }
}
