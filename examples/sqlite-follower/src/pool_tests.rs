use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::*;

const LONG: Duration = Duration::from_secs(20);

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + LONG;
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}");
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_task_is_never_with_two_threads_and_its_turns_are_in_order() {
    let inside: Arc<Vec<AtomicBool>> = Arc::new((0..5).map(|_| AtomicBool::new(false)).collect());
    let turns: Arc<Vec<AtomicU64>> = Arc::new((0..5).map(|_| AtomicU64::new(0)).collect());
    let threads = Arc::new(Mutex::new(BTreeSet::new()));
    let (within, counted, seen) = (Arc::clone(&inside), Arc::clone(&turns), Arc::clone(&threads));
    let mut pool = Pool::start(3, (0..5).map(|id| (id, 0)).collect(), move |(id, turn)| {
        assert!(!within[id].swap(true, Ordering::SeqCst), "two threads have task {id}");
        assert_eq!(counted[id].fetch_add(1, Ordering::SeqCst), turn, "out of order");
        seen.lock().unwrap().insert(format!("{:?}", thread::current().id()));
        thread::sleep(Duration::from_micros(50));
        within[id].store(false, Ordering::SeqCst);
        if turn == 199 { Turn::Ended } else { Turn::Again((id, turn + 1), Duration::ZERO) }
    });
    until("it never ended", || pool.has_ended().unwrap());
    assert!(turns.iter().all(|t| t.load(Ordering::SeqCst) == 200), "{turns:?}");
    assert_eq!(threads.lock().unwrap().len(), 3);
}

#[test]
fn no_task_starves_behind_those_that_are_always_busy() {
    const TASKS: usize = 7;
    let order = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&order);
    let mut pool = Pool::start(1, (0..TASKS).collect(), move |id| {
        let mut order = told.lock().unwrap();
        order.push(id);
        if order.len() > TASKS * 50 { Turn::Ended } else { Turn::Again(id, Duration::ZERO) }
    });
    until("it never ended", || pool.has_ended().unwrap());
    for round in order.lock().unwrap().chunks_exact(TASKS) {
        let served: BTreeSet<_> = round.iter().collect();
        assert_eq!(served.len(), TASKS, "{round:?}");
    }
}

#[test]
fn one_long_turn_leaves_the_others_to_the_other_threads() {
    let (hold, turns) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicU64::new(0)));
    let (holds, counted) = (Arc::clone(&hold), Arc::clone(&turns));
    let mut pool = Pool::start(2, vec![0, 1, 2], move |id| {
        if id == 0 {
            until("it was never let go", || !holds.load(Ordering::SeqCst));
            return Turn::Ended;
        }
        counted.fetch_add(1, Ordering::SeqCst);
        let ends = !holds.load(Ordering::SeqCst);
        if ends { Turn::Ended } else { Turn::Again(id, Duration::from_millis(1)) }
    });
    until("the others had no turns", || turns.load(Ordering::SeqCst) > 20);
    assert!(!pool.has_ended().unwrap());
    hold.store(false, Ordering::SeqCst);
    until("it never ended", || pool.has_ended().unwrap());
}

/// How long this thread has been on a processor, where the system says so.
fn busy() -> Option<Duration> {
    let said = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    said.split(' ').next()?.parse().ok().map(Duration::from_nanos)
}

#[test]
fn while_all_tasks_rest_there_are_no_turns_and_the_threads_sleep() {
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
    until("it never ended", || pool.has_ended().unwrap());
    // At most one turn in each rest, and one more at either end.
    let rests = began.elapsed().as_millis() / 20 + 2;
    let turns = u128::from(turns.load(Ordering::SeqCst));
    assert!(turns > 4 && turns <= 4 * rests, "{turns} turns in {rests} rests");
    let longest = *longest.lock().unwrap();
    assert!(longest < began.elapsed() / 10, "{longest:?} on a processor");
}

#[test]
fn a_thread_that_panicked_is_missed() {
    let mut pool = Pool::start(2, vec![false, true], |panics| {
        assert!(!panics, "as it is meant to");
        Turn::Again(panics, Duration::from_millis(1))
    });
    until("it was never missed", || pool.has_ended().is_err());
}
