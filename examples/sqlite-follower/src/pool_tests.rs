use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::*;

const LONG: Duration = Duration::from_secs(20);

fn wait_until(failure: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + LONG;
    while !condition() {
        assert!(Instant::now() < deadline, "{failure}");
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn no_two_threads_run_a_task_at_once_and_its_turns_are_in_order() {
    let inside: Arc<Vec<AtomicBool>> = Arc::new((0..5).map(|_| AtomicBool::new(false)).collect());
    let turns: Arc<Vec<AtomicU64>> = Arc::new((0..5).map(|_| AtomicU64::new(0)).collect());
    let threads = Arc::new(Mutex::new(BTreeSet::new()));
    let (within, counted, seen) = (Arc::clone(&inside), Arc::clone(&turns), Arc::clone(&threads));
    let mut pool = Pool::start(3, (0..5).map(|id| (id, 0)).collect(), move |(id, turn)| {
        assert!(!within[id].swap(true, Ordering::SeqCst), "two threads run task {id}");
        assert_eq!(counted[id].fetch_add(1, Ordering::SeqCst), turn, "out of order");
        seen.lock().unwrap().insert(format!("{:?}", thread::current().id()));
        thread::sleep(Duration::from_micros(50));
        within[id].store(false, Ordering::SeqCst);
        if turn == 199 { Turn::Ended } else { Turn::Again((id, turn + 1), Duration::ZERO) }
    });
    wait_until("it never ended", || pool.has_ended().unwrap());
    assert!(turns.iter().all(|t| t.load(Ordering::SeqCst) == 200), "{turns:?}");
    assert_eq!(threads.lock().unwrap().len(), 3);
}

#[test]
fn busy_tasks_starve_no_other() {
    const TASKS: usize = 7;
    let order = Arc::new(Mutex::new(Vec::new()));
    let pushed = Arc::clone(&order);
    let mut pool = Pool::start(1, (0..TASKS).collect(), move |id| {
        let mut order = pushed.lock().unwrap();
        order.push(id);
        if order.len() > TASKS * 50 { Turn::Ended } else { Turn::Again(id, Duration::ZERO) }
    });
    wait_until("it never ended", || pool.has_ended().unwrap());
    for round in order.lock().unwrap().chunks_exact(TASKS) {
        let served: BTreeSet<_> = round.iter().collect();
        assert_eq!(served.len(), TASKS, "{round:?}");
    }
}

#[test]
fn during_a_long_turn_other_threads_run_the_other_tasks() {
    let (hold, turns) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicU64::new(0)));
    let (holds, counted) = (Arc::clone(&hold), Arc::clone(&turns));
    let mut pool = Pool::start(2, vec![0, 1, 2], move |id| {
        if id == 0 {
            wait_until("it was never released", || !holds.load(Ordering::SeqCst));
            return Turn::Ended;
        }
        counted.fetch_add(1, Ordering::SeqCst);
        let ends = !holds.load(Ordering::SeqCst);
        if ends { Turn::Ended } else { Turn::Again(id, Duration::from_millis(1)) }
    });
    wait_until("the others had no turns", || turns.load(Ordering::SeqCst) > 20);
    assert!(!pool.has_ended().unwrap());
    hold.store(false, Ordering::SeqCst);
    wait_until("it never ended", || pool.has_ended().unwrap());
}

/// The CPU time of this thread, if the system reports it.
fn busy() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split(' ').next()?.parse().ok().map(Duration::from_nanos)
}

#[test]
fn while_no_task_is_due_the_threads_sleep() {
    let (turns, end) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let longest = Arc::new(Mutex::new(Duration::ZERO));
    let (counted, ends, by) = (Arc::clone(&turns), Arc::clone(&end), Arc::clone(&longest));
    let began = Instant::now();
    let mut pool = Pool::start(3, vec![(); 4], move |()| {
        counted.fetch_add(1, Ordering::SeqCst);
        let mut longest = by.lock().unwrap();
        *longest = busy().map_or(*longest, |b| b.max(*longest));
        let ends = ends.load(Ordering::SeqCst);
        if ends { Turn::Ended } else { Turn::Again((), Duration::from_millis(20)) }
    });
    thread::sleep(Duration::from_millis(600));
    end.store(true, Ordering::SeqCst);
    wait_until("it never ended", || pool.has_ended().unwrap());
    // At most one turn per rest, and one more at either end.
    let rests = began.elapsed().as_millis() / 20 + 2;
    let turns = u128::from(turns.load(Ordering::SeqCst));
    assert!(turns > 4 && turns <= 4 * rests, "{turns} turns in {rests} rests");
    let longest = *longest.lock().unwrap();
    assert!(longest < began.elapsed() / 10, "{longest:?} of CPU time");
}

#[test]
fn a_panicking_thread_is_reported() {
    let mut pool = Pool::start(2, vec![false, true], |panics| {
        assert!(!panics, "a panic on purpose");
        Turn::Again(panics, Duration::from_millis(1))
    });
    wait_until("the panic was never reported", || pool.has_ended().is_err());
}
