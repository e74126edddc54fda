//! Promises of queues: order, what a transaction that is undone leaves, and what a start finds.

use proptest::prelude::*;

use super::*;
use crate::keyspace::Key;
use crate::store::limits::ALL_DATABASES;
use crate::store::{Databases, Seed};

const TRIGGER: &str = "t";
const NOW_MS: u64 = 1_700_000_000_000;
const LIMITS: Limits = Limits { max_len: 1000, max_bytes: 1_000_000, max_dead_letters: 2 };

/// Queues on a keyspace without a disk.
struct Rig {
    keyspace: Keyspace,
    queues: Queues,
    options: Asynchronous,
    now_ms: u64,
}

impl Rig {
    fn new(options: Asynchronous) -> Self {
        let keyspace = Keyspace::new(Seed::new(1), Databases::new(), &[0; ALL_DATABASES], 0);
        let mut rig = Self { keyspace, queues: Queues::default(), options, now_ms: NOW_MS };
        rig.pass(0);
        rig
    }

    fn pass(&mut self, time_ms: u64) {
        self.now_ms += time_ms;
        self.keyspace.begin(self.now_ms * 1000);
    }

    fn add(&mut self, key: &str, after: &str) -> Result<(), AddError> {
        self.add_within(key, after, Some(LIMITS))
    }

    fn add_within(&mut self, key: &str, after: &str, limits: Option<Limits>) -> Result<(), AddError> {
        let entry = Entry {
            event: "set".into(),
            database: 0,
            key: Key::new(key.as_bytes()),
            before: Some(format!("before {after}").into_bytes()),
            after: Some(after.into()),
            elements: Vec::new(),
        };
        self.queues.add(&mut self.keyspace, TRIGGER, &self.options, entry, limits)
    }

    fn start(&mut self) -> Option<Ticket> {
        self.queues.start(TRIGGER, self.options.concurrency, self.now_ms)
    }

    /// Starts a delivery: what it is about.
    #[track_caller]
    fn expect_start(&mut self, expected: &str) -> Ticket {
        let ticket = self.start().expect("a delivery may start");
        let (entry, _) = self.queues.look(&mut self.keyspace, &ticket).expect("resident").expect("queued");
        assert_eq!(String::from_utf8(entry.after.expect("a value")).expect("text"), expected);
        ticket
    }

    fn succeed(&mut self, ticket: &Ticket) -> bool {
        self.queues.succeed(&mut self.keyspace, ticket).expect("resident")
    }

    fn fail(&mut self, ticket: &Ticket) -> Fate {
        let Self { keyspace, queues, options, .. } = self;
        queues.fail(keyspace, ticket, options, "ERR no", LIMITS).expect("resident")
    }

    fn totals(&mut self) -> Totals {
        self.queues.totals_of(&mut self.keyspace, TRIGGER).expect("resident").0
    }

    /// Ends the transaction as the engine does.
    fn commit(&mut self) {
        self.queues.commit();
        self.keyspace.commit();
    }

    /// Forgets the index, as the end of the server does, and opens the queue again.
    fn restart(&mut self) {
        self.queues = Queues::default();
        self.queues.open(&mut self.keyspace, TRIGGER).expect("resident");
    }

    /// Rebuilds one slice of the index; `true` when there are more.
    fn read_on(&mut self) -> bool {
        self.queues.read_on(&mut self.keyspace, TRIGGER).expect("resident")
    }

    /// What a start makes of what is kept.
    fn restarted(mut self) -> Self {
        self.restart();
        while self.read_on() {}
        self
    }
}

#[test]
fn the_deliveries_of_a_key_are_made_one_at_a_time_in_their_order() {
    let mut rig = Rig::new(Asynchronous { concurrency: 3, ..Asynchronous::default() });
    for (key, after) in [("a", "1"), ("a", "2"), ("b", "3"), ("a", "4"), ("c", "5"), ("d", "6")] {
        rig.add(key, after).expect("room");
    }
    let [a, b, c] = ["1", "3", "5"].map(|after| rig.expect_start(after));
    assert!(rig.start().is_none(), "as many run as may");
    assert!(rig.succeed(&b));
    let d = rig.expect_start("6");
    assert!(rig.succeed(&c) && rig.succeed(&d));
    assert!(rig.start().is_none(), "a delivery of the other key runs");
    assert!(rig.succeed(&a));
    let a = rig.expect_start("2");
    assert!(rig.succeed(&a));
    assert!(!rig.succeed(&a), "once");
    rig.expect_start("4");
    assert_eq!(rig.totals().queued, 1);
}

#[test]
fn a_failing_delivery_holds_up_its_key_alone_and_ends_as_a_dead_letter() {
    let mut rig = Rig::new(Asynchronous { tries: 3, backoff_ms: 100, ..Asynchronous::default() });
    rig.add("bad", "1").expect("room");
    rig.add("bad", "2").expect("room");
    rig.add("good", "3").expect("room");
    let bad = rig.expect_start("1");
    let Fate::Retried(due_ms) = rig.fail(&bad) else { panic!("it has tries left") };
    assert!((50..=100).contains(&(due_ms - rig.now_ms)));
    let good = rig.expect_start("3");
    assert!(rig.succeed(&good));
    assert!(rig.start().is_none(), "the key rests");
    assert_eq!(rig.queues.next_due_ms(TRIGGER, 1), Some(due_ms));
    rig.pass(due_ms - NOW_MS);
    let bad = rig.expect_start("1");
    assert!(matches!(rig.fail(&bad), Fate::Retried(_)));
    // How often it has failed is known after a start, too.
    let mut rig = rig.restarted();
    rig.pass(199);
    let bad = rig.expect_start("1");
    assert_eq!(rig.fail(&bad), Fate::Dead);
    rig.expect_start("2");
    let letters = rig.queues.dead_letters(&mut rig.keyspace, TRIGGER, None, 10).expect("resident");
    let letter = &letters[0];
    assert_eq!((letters.len(), letter.tries, &letter.error[..]), (1, 3, &b"ERR no"[..]));
    assert_eq!((letter.queued.ms, letter.entry.after.as_deref()), (NOW_MS, Some(&b"1"[..])));
    assert_eq!((rig.totals().queued, rig.totals().dead_letters), (1, 1));
}

#[test]
fn a_delivery_stays_when_there_is_no_room_among_the_dead_letters() {
    let mut rig = Rig::new(Asynchronous { tries: 1, ..Asynchronous::default() });
    for key in ["a", "b", "c"] {
        rig.add(key, key).expect("room");
        let ticket = rig.expect_start(key);
        let fate = rig.fail(&ticket);
        assert_eq!(fate == Fate::Dead, key != "c", "{fate:?}");
    }
    assert_eq!((rig.totals().queued, rig.totals().dead_letters), (1, 2));
    rig.pass(MAX_BACKOFF_MS);
    rig.expect_start("c");
}

#[test]
fn dead_letters_go_back_to_the_end_of_the_queue() {
    let mut rig = Rig::new(Asynchronous { tries: 1, ..Asynchronous::default() });
    for key in ["a", "b"] {
        rig.add(key, key).expect("room");
        let ticket = rig.expect_start(key);
        assert_eq!(rig.fail(&ticket), Fate::Dead);
    }
    rig.add("c", "c").expect("room");
    let letters = rig.queues.dead_letters(&mut rig.keyspace, TRIGGER, None, 1).expect("resident");
    let Rig { keyspace, queues, options, .. } = &mut rig;
    let narrow = Limits { max_len: 1, ..LIMITS };
    assert!(matches!(queues.revive(keyspace, TRIGGER, options, &letters, narrow), Err(AddError::Full(_))));
    queues.revive(keyspace, TRIGGER, options, &letters, LIMITS).expect("room");
    assert_eq!((rig.totals().queued, rig.totals().dead_letters), (2, 1));
    let c = rig.expect_start("c");
    assert!(rig.succeed(&c));
    rig.expect_start("a");
}

#[test]
fn a_full_queue_says_what_is_missing() {
    let mut rig = Rig::new(Asynchronous::default());
    let limits = Limits { max_len: 3, max_bytes: 400, ..LIMITS };
    rig.add_within("a", "1", Some(limits)).expect("room");
    rig.commit();
    let mut shortage = None;
    for key in ["b", "c", "d"] {
        if let Err(AddError::Full(found)) = rig.add_within(key, "1", Some(limits)) {
            shortage = Some(found);
        }
    }
    let shortage = shortage.expect("three are all that fit");
    assert_eq!((shortage.entries, shortage.is_hopeless(limits)), (3, false));
    assert!(!rig.queues.has_room(&shortage, limits));
    rig.add_within("d", "1", None).expect("it cannot be refused");
    // One that is alone always fits.
    let long = "x".repeat(1000);
    assert!(matches!(rig.add_within("e", &long, Some(limits)), Err(AddError::Full(_))));
    let mut rig = Rig::new(Asynchronous::default());
    rig.add_within("e", &long, Some(limits)).expect("room");
    assert!(
        matches!(rig.add_within("f", "1", Some(limits)), Err(AddError::Full(found)) if found.is_hopeless(limits))
    );
}

#[test]
fn only_the_latest_state_of_a_key_is_delivered_with_the_oldest_value_before() {
    let mut rig = Rig::new(Asynchronous { coalesce: true, backoff_ms: 60_000, ..Asynchronous::default() });
    for (key, after) in [("a", "1"), ("b", "2"), ("a", "3"), ("a", "4")] {
        rig.add(key, after).expect("room");
    }
    assert_eq!(rig.totals().queued, 2);
    let a = rig.expect_start("4");
    let (entry, _) = rig.queues.look(&mut rig.keyspace, &a).expect("resident").expect("queued");
    assert_eq!(entry.before.as_deref(), Some(&b"before 1"[..]));
    // What is being delivered is not replaced.
    rig.add("a", "5").expect("room");
    rig.add("a", "6").expect("room");
    assert_eq!(rig.totals().queued, 3);
    assert!(rig.succeed(&a));
    let b = rig.expect_start("2");
    assert!(matches!(rig.fail(&b), Fate::Retried(_)));
    let a = rig.expect_start("6");
    assert!(rig.succeed(&a));
    // A new state is tried at once.
    rig.add("b", "7").expect("room");
    let b = rig.expect_start("7");
    let (_, attempts) = rig.queues.look(&mut rig.keyspace, &b).expect("resident").expect("queued");
    assert_eq!(attempts, Attempts::default());
    assert!(rig.succeed(&b));
    assert_eq!(rig.totals(), Totals::default());
}

#[test]
fn what_is_added_while_the_index_is_made_is_found_by_it() {
    let mut rig = Rig::new(Asynchronous { concurrency: 1000, ..Asynchronous::default() });
    let limits = Limits { max_len: u64::MAX, max_bytes: u64::MAX, ..LIMITS };
    for number in 0..2 * MAX_READ_AT_ONCE {
        rig.add_within(&format!("{}", number % 10), "x", Some(limits)).expect("room");
    }
    rig.restart();
    assert!(rig.read_on());
    let savepoint = (rig.keyspace.savepoint(), rig.queues.mark());
    rig.add_within("undone", "x", None).expect("room");
    rig.queues.rollback(savepoint.1);
    rig.keyspace.rollback(savepoint.0);
    rig.add_within("late", "x", None).expect("room");
    assert!(rig.start().is_none(), "not before it is complete");
    while rig.read_on() {}
    let mut count = 0;
    while let Some(ticket) = rig.start() {
        assert!(rig.succeed(&ticket));
        count += 1;
    }
    assert_eq!((count, rig.totals()), (2 * MAX_READ_AT_ONCE + 1, Totals::default()));
}

#[test]
fn a_state_that_arrives_while_the_index_is_rebuilt_is_delivered_once() {
    let mut rig = Rig::new(Asynchronous { coalesce: true, ..Asynchronous::default() });
    for number in 0..2 * MAX_READ_AT_ONCE {
        rig.add(&number.to_string(), "early").expect("room");
    }
    rig.restart();
    assert!(rig.read_on());
    rig.add("0", "late").expect("room");
    while rig.read_on() {}
    let mut delivered = 0;
    while let Some(ticket) = rig.start() {
        assert!(rig.succeed(&ticket));
        delivered += 1;
    }
    assert_eq!((delivered, rig.totals()), (2 * MAX_READ_AT_ONCE + 1, Totals::default()));
}

#[test]
fn an_abandoned_delivery_makes_way_for_the_next_one() {
    let mut rig = Rig::new(Asynchronous { concurrency: 1, ..Asynchronous::default() });
    rig.add("a", "1").expect("room");
    rig.add("a", "2").expect("room");
    let lost = rig.expect_start("1");
    stored::remove(&mut rig.keyspace, TRIGGER, lost.id).expect("resident");
    assert_eq!(rig.queues.look(&mut rig.keyspace, &lost), Ok(None));
    rig.queues.abandon(&lost);
    rig.expect_start("2");
}

/// A step of a random history.
#[derive(Clone, Copy, Debug)]
enum Step {
    Add(u8),
    Start,
    Succeed(u8),
    Fail(u8),
    Pass(u8),
    Restart,
    ReadOn,
    Drop,
}

fn steps() -> impl Strategy<Value = Vec<(Vec<Step>, bool)>> {
    let step = prop_oneof![
        6 => (0..5_u8).prop_map(Step::Add),
        4 => Just(Step::Start),
        3 => any::<u8>().prop_map(Step::Succeed),
        1 => any::<u8>().prop_map(Step::Fail),
        1 => any::<u8>().prop_map(Step::Pass),
    ];
    let step =
        prop_oneof![60 => step, 4 => Just(Step::ReadOn), 1 => Just(Step::Restart), 1 => Just(Step::Drop)];
    prop::collection::vec((prop::collection::vec(step, 1..6), any::<bool>()), 1..40)
}

/// What can be seen of the index of a queue.
fn image(queues: &Queues) -> Option<(Index, usize, u64, usize)> {
    queues
        .by_trigger
        .get(TRIGGER)
        .map(|queue| (queue.index.clone(), queue.len, queue.bytes, queue.dead_letters))
}

proptest! {
    /// Transactions that are undone leave no trace, and what is kept makes the same queue again.
    #[test]
    fn undo_and_restart_agree_with_the_history(history in steps(), coalesce: bool) {
        let options = Asynchronous { concurrency: 3, tries: 2, backoff_ms: 50, coalesce, ..Asynchronous::default() };
        let mut rig = Rig::new(options);
        let mut running: Vec<Ticket> = Vec::new();
        for (transaction, is_undone) in history {
            rig.pass(1);
            // Only these are parts of transactions.
            let (inside, outside): (Vec<Step>, Vec<Step>) = transaction
                .into_iter()
                .partition(|step| matches!(step, Step::Add(_) | Step::Succeed(_) | Step::Drop));
            for step in outside {
                match step {
                    Step::Start => running.extend(rig.start()),
                    Step::Pass(time_ms) => rig.pass(time_ms.into()),
                    Step::Restart => {
                        rig.restart();
                        running.clear();
                    }
                    Step::ReadOn => drop(rig.read_on()),
                    Step::Fail(which) if !running.is_empty() => {
                        let ticket = running.swap_remove(usize::from(which) % running.len());
                        rig.fail(&ticket);
                        rig.commit();
                    }
                    _ => {}
                }
            }
            let (before, still_running) = (image(&rig.queues), running.clone());
            let (savepoint, mark) = (rig.keyspace.savepoint(), rig.queues.mark());
            for (number, step) in inside.into_iter().enumerate() {
                match step {
                    Step::Add(key) => rig.add(&key.to_string(), &number.to_string()).expect("room"),
                    Step::Succeed(which) if !running.is_empty() => {
                        let ticket = running.swap_remove(usize::from(which) % running.len());
                        prop_assert!(rig.succeed(&ticket));
                    }
                    Step::Drop => {
                        rig.queues.drop_queue(&mut rig.keyspace, TRIGGER).expect("resident");
                        running.clear();
                    }
                    _ => {}
                }
            }
            if is_undone {
                rig.queues.rollback(mark);
                rig.keyspace.rollback(savepoint);
                running = still_running;
                if before.is_some() {
                    prop_assert_eq!(image(&rig.queues), before);
                }
            } else {
                rig.keyspace.release(savepoint);
            }
            rig.commit();
        }
        while rig.read_on() {}
        let (totals, mut after) = (rig.totals(), Vec::new());
        let mut rig = rig.restarted();
        prop_assert_eq!(rig.totals(), Totals { running: 0, ..totals });
        rig.pass(MAX_BACKOFF_MS);
        rig.options.concurrency = 1000;
        while let Some(ticket) = rig.start() {
            after.push(ticket.id);
            prop_assert!(rig.succeed(&ticket));
        }
        prop_assert_eq!(after.len(), totals.queued);
        prop_assert_eq!(rig.totals(), Totals { dead_letters: totals.dead_letters, ..Totals::default() });
    }
}
