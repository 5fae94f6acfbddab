//! Whose job is squeezed, what is refused, and random queues against what the policy promises.

use mosel_sdk::test::{self, Queue, Table, host};
use mosel_sdk::{Decision, Policy, PolicyError, Quality, Snapshot};

use crate::{MOST_TENANTS, TenantWeights, tenant};

fn decide(settings: &str, snapshot: &Snapshot) -> (Decision, Snapshot) {
    let decision = test::decide::<TenantWeights>(settings, snapshot).expect("it always answers");
    let after = test::adopt(snapshot, &decision).expect("it proposes nothing the server refuses");
    (decision, after)
}

/// One job of each of these tenants, alike, and time for all but one to stay as they are.
fn alike(tenants: &[&str]) -> Snapshot {
    let mut queue = Queue::new();
    let table = queue.table(&[(10, 0.6), (50, 0.8)]);
    for name in tenants {
        queue.job(table, 1000, 0.5);
        queue.jobs.last_mut().expect("just added").tenant = tenant(name);
    }
    queue.jobs.last_mut().expect("there is one").deadline = 50 * tenants.len() as u64 - 40;
    queue.snapshot()
}

/// The tenant whose job is squeezed under these settings.
fn squeezed<'a>(settings: &str, tenants: &[&'a str]) -> &'a str {
    let (_, after) = decide(settings, &alike(tenants));
    let fast: Vec<usize> = (0..tenants.len()).filter(|&row| after.jobs[row].current == 0).collect();
    let [row] = fast[..] else { panic!("rows {fast:?} were squeezed, not one") };
    tenants[row]
}

#[test]
fn the_cheapest_tenant_is_squeezed_wherever_its_job_is() {
    let settings = r#"{"weights": {"acme": 3, "free": 0.5}}"#;
    assert_eq!(squeezed(settings, &["acme", "free", "globex"]), "free");
    assert_eq!(squeezed(settings, &["acme", "globex", "free"]), "free");
    assert_eq!(squeezed(settings, &["acme", "globex", "acme"]), "globex");
}

#[test]
fn everybody_else_has_the_default() {
    let settings = r#"{"weights": {"acme": 3, "free": 0.5}, "default": 0.1}"#;
    assert_eq!(squeezed(settings, &["free", "globex", "acme"]), "globex");
    assert_eq!(squeezed(settings, &["free", "", "acme"]), "");
}

#[test]
fn without_weights_the_first_of_equals_is_squeezed() {
    assert_eq!(squeezed("{}", &["acme", "free"]), "acme");
}

#[test]
fn a_jobs_own_weight_and_size_count_too() {
    let mut before = alike(&["acme", "free"]);
    before.jobs[1].weight = 7.0;
    let settings = r#"{"weights": {"acme": 3, "free": 0.5}}"#;
    assert_eq!(decide(settings, &before).1.chosen(), [0, 1]);
    before.jobs[0].requests = 2;
    assert_eq!(decide(settings, &before).1.chosen(), [1, 0]);
}

#[test]
fn the_time_that_is_gained_counts() {
    let mut queue = Queue::new();
    let slow = queue.table(&[(10, 0.6), (110, 0.8)]);
    let quick = queue.table(&[(10, 0.7), (30, 0.8)]);
    queue.job(quick, 1000, 0.5);
    queue.job(slow, 130, 0.5);
    let (_, after) = decide("{}", &queue.snapshot());
    assert_eq!(after.chosen(), [1, 0], "0.2 lost for 100 us is less than 0.1 for 20");
}

#[test]
fn nobody_is_squeezed_for_a_job_that_cannot_be_saved() {
    let mut before = alike(&["acme", "free"]);
    before.jobs[1].deadline = 15;
    let (decision, after) = decide("{}", &before);
    assert_eq!((after.chosen(), decision.quality), (before.chosen(), Quality::BestEffort));
}

#[test]
fn tenants_have_the_numbers_the_server_gives_them() {
    assert_eq!(tenant("a"), 0xaf63_dc4c_8601_ec8c);
    assert_eq!(tenant("foobar"), 0x8594_4171_f739_67e8);
}

fn refusal(settings: &str) -> String {
    match test::decide::<TenantWeights>(settings, &alike(&["acme"])) {
        Err(PolicyError::BadConfig(reason)) => reason,
        other => panic!("{settings} was not refused: {other:?}"),
    }
}

#[test]
fn weights_that_make_no_sense_are_refused_by_name() {
    let refused = r#"the weight of "acme" must be a positive number, not 0"#;
    assert_eq!(refusal(r#"{"weights": {"acme": 0}}"#), refused);
    assert_eq!(refusal(r#"{"default": -1}"#), "default must be a positive number, not -1");
    assert!(refusal(r#"{"weights": {"acme": 1e999}}"#).contains("out of range"));
    assert!(refusal(r#"{"weights": {"": 2}}"#).contains("has no name"));
    assert!(refusal(r#"{"weight": {}}"#).contains("weight"));
}

fn named(tenants: usize) -> String {
    let weights: Vec<String> = (0..tenants).map(|at| format!(r#""tenant {at}": 2"#)).collect();
    format!(r#"{{"weights": {{{}}}}}"#, weights.join(", "))
}

#[test]
fn as_many_tenants_as_are_allowed_are_taken() {
    assert!(test::decide::<TenantWeights>(&named(MOST_TENANTS), &alike(&["acme"])).is_ok());
}

#[test]
fn one_tenant_more_is_refused() {
    assert_eq!(refusal(&named(MOST_TENANTS + 1)), "at most 1000 tenants can have weights, not 1001");
}

#[test]
fn the_schema_tells_the_bounds_that_hold() {
    let schema: serde_json::Value = serde_json::from_str(&TenantWeights::describe().config_schema).unwrap();
    assert_eq!(schema["properties"]["weights"]["maxProperties"], MOST_TENANTS);
    assert_eq!(schema["properties"]["default"]["default"], 1);
}

#[test]
fn random_queues_get_what_is_promised() {
    for seed in 0..2000 {
        let before = random_queue(seed);
        let (decision, after) = decide(r#"{"weights": {"acme": 3, "free": 0.5}}"#, &before);
        let fastest: Vec<u32> = (0..before.jobs.len()).map(|row| fastest(&before, row)).collect();
        let hopeless = before.violators_with(&fastest);
        assert_eq!(after.violators(), hopeless, "seed {seed}: exactly the jobs that nothing saves stay violators");
        assert_eq!(decision.quality == Quality::BestEffort, !hopeless.is_empty(), "seed {seed}");
        for (job, now) in before.jobs.iter().zip(&after.jobs) {
            assert!(now.current <= job.current, "seed {seed}: job {} became slower", job.id);
            assert!(!job.late || now.current == job.current, "seed {seed}: late job {} was touched", job.id);
        }
    }
}

fn fastest(snapshot: &Snapshot, row: usize) -> u32 {
    let job = &snapshot.jobs[row];
    let legal = (0..=job.current).find(|&strategy| !job.late && snapshot.legal(row, strategy));
    legal.unwrap_or(job.current)
}

/// Up to 20 jobs of three tenants and nobody, from slack to hopeless. The seed says it all.
fn random_queue(seed: u64) -> Snapshot {
    host::begin(seed, 0, 0, 0);
    let mut queue = Queue::new();
    queue.time_factor = 0.5 + below(100) as f64 / 100.0;
    let tables: Vec<Table> = (0..3).map(|_| random_table(&mut queue)).collect();
    let mut due = 0;
    for _ in 0..1 + below(20) {
        due += below(110);
        queue.job(tables[below(3) as usize], (due + below(150)).saturating_sub(40), below(100) as f64 / 100.0);
    }
    for job in &mut queue.jobs {
        job.tenant = [0, tenant("acme"), tenant("free"), tenant("globex")][below(4) as usize];
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
