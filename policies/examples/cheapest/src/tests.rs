//! What every job gets by itself, what that gives away, and random queues against the rule word by word.

use mosel_sdk::test::{self, Answer, Queue, Table, host};
use mosel_sdk::{Capabilities, Policy, Quality, Snapshot};

use crate::Cheapest;

/// One request takes 4 ms on audio alone, 10 ms on both, and is right more often then.
const TOY: &str = "
    modalities video audio
    measure audio 1 4ms 137/200
    measure video+audio 1 10ms 157/200
";

/// What the policy makes of the first question that this day puts to it.
fn answer(day: &str) -> Answer {
    test::ask::<Cheapest>("{}", &test::scenario(&format!("{TOY}{day}")))
}

/// How this day goes under the policy.
fn log(day: &str) -> String {
    test::run::<Cheapest>("{}", &format!("{TOY}{day}"))
}

#[test]
fn everybody_gives_way_where_one_would_do() {
    let answer = answer(
        "at 0ms submit 1 deadline 500ms
         at 0ms submit 2 requests 2 deadline 500ms
         at 0ms submit 3 requests 2 deadline 500ms
         at 0ms submit 4 requests 2 deadline 65ms",
    );
    assert_eq!(answer.before.violators(), [2], "5 ms are missing");
    assert_eq!(answer.moved(), [(2, 2, 0), (3, 2, 0), (4, 2, 0)]);
    assert_eq!(
        answer.to_string(),
        "job 2: 0.785 -> 0.685, ends 18ms of 500ms\n\
         job 3: 0.785 -> 0.685, ends 26ms of 500ms\n\
         job 4: 0.785 -> 0.685, ends 34ms of 65ms\n"
    );
    assert_eq!(answer.decision.quality, Quality::Heuristic);
}

#[test]
fn every_job_keeps_its_own_floor() {
    let answer = answer(
        "at 0ms submit 1 deadline 500ms
         at 0ms submit 2 requests 4 deadline 500ms min_accuracy 0.7
         at 0ms submit 3 requests 4 deadline 500ms min_accuracy 0.785
         at 0ms submit 4 requests 4 deadline 100ms min_accuracy 0.6",
    );
    assert_eq!(
        answer.to_string(),
        "job 2: 0.785 -> 0.710, ends 32ms of 500ms\n\
         job 3: 0.785, ends 72ms of 500ms\n\
         job 4: 0.785 -> 0.685, ends 88ms of 100ms\n"
    );
}

#[test]
fn weights_and_tenants_count_for_nothing() {
    let question = "at 0ms submit 1 deadline 500ms
         at 0ms submit 2 requests 2 deadline 500ms priority 100 tenant acme
         at 0ms submit 3 requests 2 deadline 45ms";
    assert_eq!(answer(question).moved(), [(2, 2, 0), (3, 2, 0)]);
}

#[test]
fn a_job_that_nothing_saves_is_as_fast_as_can_be() {
    let mut queue = Queue::new();
    let table = queue.table(&[(10, 0.6), (20, 0.7), (50, 0.8)]);
    queue.job(table, 15, 0.65);
    queue.job(table, 100, 0.65);
    let answer = test::ask::<Cheapest>("{}", &queue.snapshot());
    assert_eq!(answer.after.chosen(), [1, 1]);
    assert_eq!(answer.violators(), [1]);
    assert_eq!(answer.decision.quality, Quality::BestEffort);
}

#[test]
fn late_jobs_are_as_fast_as_can_be_too() {
    let mut queue = Queue::new();
    let table = queue.table(&[(10, 0.6), (20, 0.7), (50, 0.8)]);
    queue.job(table, 100, 0.0);
    queue.job(table, 5, 0.65);
    queue.jobs[1].late = true;
    let answer = test::ask::<Cheapest>("{}", &queue.snapshot());
    assert_eq!(answer.after.chosen(), [0, 1]);
    assert_eq!(answer.decision.quality, Quality::Heuristic, "nobody else is late");
}

#[test]
fn a_job_keeps_what_is_faster_than_all_that_keep_its_floor() {
    let mut queue = Queue::new();
    let table = queue.table(&[(10, 0.6), (20, 0.7), (50, 0.8)]);
    queue.job(table, 500, 0.65);
    queue.job(table, 500, 0.9); // no strategy keeps this floor
    queue.jobs[0].current = 0;
    queue.jobs[1].current = 1;
    assert_eq!(test::ask::<Cheapest>("{}", &queue.snapshot()).moved(), []);
}

#[test]
fn who_comes_while_a_cheap_job_waits_is_made_cheap_at_once() {
    let log = log("at 0ms submit 1 requests 3 deadline 500ms
         at 0ms submit 2 requests 2 deadline 40ms
         at 1ms submit 3 requests 2 deadline 500ms");
    assert!(log.contains("1ms ask about 1,2,3\n1ms adopt [3]\n"), "{log}");
    assert!(log.contains("34ms Served 3: 2 audio"), "466 ms were left: {log}");
}

#[test]
fn no_question_is_put_while_all_are_on_their_best_and_on_time() {
    let log = log("at 0ms submit 1 requests 2 deadline 500ms
         at 0ms submit 2 requests 2 deadline 500ms");
    assert!(!log.contains("ask about"), "{log}");
    assert_eq!(log.matches(": 2 video+audio").count(), 2, "{log}");
}

#[test]
fn it_wants_to_be_asked_when_no_deadline_is_in_danger() {
    assert_eq!(Cheapest::describe().capabilities, Capabilities::EAGER);
}

#[test]
fn random_queues_get_what_the_rule_says_word_by_word() {
    let (mut met, mut missed, mut late) = (0, 0, 0);
    for seed in 0..3000 {
        let before = random_queue(seed);
        let Answer { decision, after, .. } = test::ask::<Cheapest>("{}", &before);
        assert_eq!(decision.order, [0; 0], "seed {seed}");
        assert_eq!(decision.quality == Quality::BestEffort, !after.violators().is_empty(), "seed {seed}");
        for row in 0..before.jobs.len() {
            let (job, now) = (&before.jobs[row], after.jobs[row].current);
            assert!(now <= job.current, "seed {seed}: row {row} became slower");
            let meets = cheapest_in_time(&before, &after, row).filter(|_| !job.late);
            match meets {
                Some(cheapest) => assert_eq!(now, cheapest.min(job.current), "seed {seed}: row {row} can be on time"),
                None => assert_eq!(now, at_least_as_fast(&before, row), "seed {seed}: row {row} cannot be on time"),
            }
            late += u32::from(job.late);
            met += u32::from(meets.is_some());
            missed += u32::from(meets.is_none() && !job.late);
        }
    }
    assert!(met > 1000 && missed > 300 && late > 300, "{met}, {missed} and {late}: the test shows little");
}

/// Every strategy of a row is tried, cheapest first, behind what the rows before it got.
fn cheapest_in_time(before: &Snapshot, after: &Snapshot, row: usize) -> Option<u32> {
    let on_time = |strategy: &u32| {
        let mut chosen = after.chosen();
        chosen[row] = *strategy;
        before.finishes_with(&chosen)[row] <= before.jobs[row].deadline
    };
    let mut legal = (0..before.strategies(row).len() as u32).filter(|&strategy| before.legal(row, strategy));
    legal.find(on_time)
}

/// What a row has, unless a legal strategy is faster than that: then the fastest.
fn at_least_as_fast(snapshot: &Snapshot, row: usize) -> u32 {
    let current = snapshot.jobs[row].current;
    (0..current).find(|&strategy| snapshot.legal(row, strategy)).unwrap_or(current)
}

/// Up to 12 jobs, from slack to hopeless. The seed says it all.
fn random_queue(seed: u64) -> Snapshot {
    host::begin(seed, 0, 0, 0);
    let mut queue = Queue::new();
    queue.start = below(50);
    queue.time_factor = 0.5 + below(100) as f64 / 100.0;
    let tables: Vec<Table> = (0..3).map(|_| random_table(&mut queue)).collect();
    let jobs = 1 + below(12);
    for _ in 0..jobs {
        let deadline = queue.start + 40 + below(150 * jobs);
        queue.job(tables[below(3) as usize], deadline, below(100) as f64 / 100.0);
    }
    for job in &mut queue.jobs {
        job.late = below(12) == 0;
        job.current -= below(u64::from(job.current) + 1) as u32 / 3;
    }
    queue.snapshot()
}

fn random_table(queue: &mut Queue) -> Table {
    let (mut latency, mut accuracy) = (1 + below(40), 0.3);
    let mut table = Vec::new();
    for _ in 0..1 + below(8) {
        table.push((latency, accuracy));
        latency += 1 + below(40);
        accuracy += (1 + below(12)) as f64 / 200.0;
    }
    queue.table(&table)
}

fn below(end: u64) -> u64 {
    mosel_sdk::random_below(end as usize) as u64
}
