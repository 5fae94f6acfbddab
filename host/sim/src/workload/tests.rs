//! The file: what reads, what is refused and in which words, what comes back.

use std::fs;

use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::*;

const TEXT: &str = r#"
duration_s = 120

[arrivals]
kind = "poisson"
load = 1

[jobs]
requests = { uniform = [4, 16] }
slack = { uniform = [6, 18.0] }
floor = { uniform = [0.0, 0.3] }
"#;

/// [`TEXT`] with one piece of it replaced.
fn with(piece: &str, other: &str) -> String {
    assert_eq!(TEXT.matches(piece).count(), 1, "{piece} must be in the text once");
    TEXT.replace(piece, other)
}

fn refusal(text: &str) -> String {
    Workload::parse(text).expect_err(text).to_string()
}

#[test]
fn the_shortest_file_is_the_default_workload() {
    assert_eq!(Workload::parse(TEXT), Ok(Workload::default()));
}

#[test]
fn every_field_reads() {
    let text = r#"
        duration_s = 60.5
        [arrivals]
        kind = "step"
        from_s = 20
        until_s = 30.5
        factor = 3
        jobs_per_s = 12.5
        [jobs]
        requests = { choices = [[8, 0.5], [16, 1]] }
        deadline_ms = { log_normal = { median = 80, sigma = 0.6, least = 10, most = 640 } }
        min_accuracy = { fixed = 0.7 }
        weight = { uniform = [1, 2] }
        tenants = [["alice", 3], ["bob", 1.5]]
        on_late = "drop"
    "#;
    let expected = Workload {
        duration_s: 60.5,
        arrivals: Arrivals {
            rate: Rate::JobsPerS(12.5),
            kind: Kind::Step { from_s: 20.0, until_s: 30.5, factor: 3.0 },
        },
        jobs: Jobs {
            requests: Distribution::Choices(vec![(8, 0.5), (16, 1.0)]),
            deadline: Deadline::Millis(Distribution::LogNormal { median: 80.0, sigma: 0.6, least: 10.0, most: 640.0 }),
            floor: Floor::Accuracy(Distribution::Fixed(0.7)),
            weight: Distribution::Uniform([1.0, 2.0]),
            tenants: vec![("alice".into(), 3.0), ("bob".into(), 1.5)],
            on_late: OnLate::Drop,
        },
    };
    assert_eq!(Workload::parse(text), Ok(expected));
}

#[test]
fn every_kind_of_arrivals_reads() {
    let kind = |fields: &str| Workload::parse(&with("kind = \"poisson\"", fields)).unwrap().arrivals.kind;
    assert_eq!(kind("kind = \"gamma\"\ncv = 2"), Kind::Gamma { cv: 2.0 });
    let bursts = kind("kind = \"bursts\"\nratio = 5\nquiet_s = 10\nburst_s = 2.5");
    assert_eq!(bursts, Kind::Bursts { ratio: 5.0, quiet_s: 10.0, burst_s: 2.5 });
    assert_eq!(kind("kind = \"wave\"\nperiod_s = 60\ndepth = 1"), Kind::Wave { period_s: 60.0, depth: 1.0 });
    let trace = kind("kind = \"trace\"\nfile = \"a.csv\"\nform = \"azure\"");
    assert_eq!(trace, Kind::Trace(TraceFile::new("a.csv", Form::Azure)));
}

#[test]
fn keys_that_nobody_knows_are_refused_wherever_they_stand() {
    for (piece, stranger) in [
        ("duration_s = 120", "duration_s = 120\nstranger = 1"),
        ("load = 1", "load = 1\nstranger = 1"),
        ("[jobs]", "[jobs]\nstranger = 1"),
        ("{ uniform = [4, 16] }", "{ stranger = [4, 16] }"),
        ("{ uniform = [4, 16] }", "{ log_normal = { median = 8, sigma = 1, least = 1, most = 9, stranger = 1 } }"),
        ("kind = \"poisson\"", "kind = \"trace\"\nfile = \"a\"\nform = \"counts\"\nstranger = 1"),
        ("kind = \"poisson\"", "kind = \"stranger\""),
        ("load = 1", "load = \"stranger\""),
    ] {
        let found = refusal(&with(piece, stranger));
        let words = found.lines().last().unwrap();
        assert!(words.contains("stranger"), "{found}");
    }
    // what is wrong with a field is said with its name
    let cv = refusal(&with("kind = \"poisson\"", "kind = \"gamma\"\ncv = \"two\""));
    assert!(cv.contains("expected f64") && cv.contains("in `cv`"), "{cv}");
    // a field of another kind is a stranger too
    let cv = refusal(&with("load = 1", "load = 1\ncv = 2"));
    assert!(cv.contains("unknown field `cv`"), "{cv}");
}

#[test]
fn fields_that_exclude_each_other_are_refused_together_and_missed_alone() {
    let check = |piece: &str, both: &str, words: &str| {
        let found = refusal(&with(piece, both));
        assert!(found.contains(&format!("expected exactly one of {words}, found both")), "{found}");
        let found = refusal(&with(piece, ""));
        assert!(found.contains(&format!("expected exactly one of {words}, found neither")), "{found}");
    };
    check("load = 1", "load = 1\njobs_per_s = 3", "load and jobs_per_s");
    let slack = "slack = { uniform = [6, 18.0] }";
    check(slack, &format!("{slack}\ndeadline_ms = {{ fixed = 9 }}"), "slack and deadline_ms");
    let floor = "floor = { uniform = [0.0, 0.3] }";
    check(floor, &format!("{floor}\nmin_accuracy = {{ fixed = 0.5 }}"), "floor and min_accuracy");
}

#[test]
fn missing_fields_are_named() {
    assert!(refusal(&with("duration_s = 120", "")).contains("missing field `duration_s`"));
    assert!(refusal(&with("kind = \"poisson\"", "")).contains("missing field `kind`"));
    assert!(refusal(&with("kind = \"poisson\"", "kind = \"gamma\"")).contains("missing field `cv`"));
    assert!(refusal(&with("kind = \"poisson\"", "kind = 3")).contains("expected kind to be a word"));
    assert!(refusal(&with("requests = { uniform = [4, 16] }", "")).contains("missing field `requests`"));
}

#[test]
fn numbers_out_of_their_range_are_refused_in_words() {
    for (piece, other, words) in [
        ("duration_s = 120", "duration_s = 0", "duration_s is 0, expected 0.001 to 604800"),
        ("duration_s = 120", "duration_s = inf", "duration_s is inf, expected 0.001 to 604800"),
        ("load = 1", "load = -1", "arrivals.load is -1, expected 0.001 to 1000"),
        ("load = 1", "load = nan", "arrivals.load is NaN, expected 0.001 to 1000"),
        ("load = 1", "jobs_per_s = 0", "arrivals.jobs_per_s is 0, expected 0.000001 to 1000000"),
        ("[4, 16]", "[0, 16]", "jobs.requests.uniform is 0, expected 1 to 65535"),
        ("[4, 16]", "[16, 4]", "jobs.requests.uniform is 16 to 4, expected the smaller number first"),
        ("[6, 18.0]", "[nan, 18]", "jobs.slack.uniform is NaN, expected 0.001 to 1000000"),
        ("[0.0, 0.3]", "[-0.1, 0.3]", "jobs.floor.uniform is -0.1, expected 0 to 1"),
        ("floor = { uniform = [0.0, 0.3] }", "min_accuracy = { fixed = 1.1 }", "jobs.min_accuracy.fixed is 1.1,"),
        ("slack = { uniform = [6, 18.0] }", "deadline_ms = { fixed = 0 }", "jobs.deadline_ms.fixed is 0, expected"),
        ("[jobs]", "[jobs]\nweight = { fixed = 0 }", "jobs.weight.fixed is 0, expected 0.001 to 1000"),
    ] {
        let found = refusal(&with(piece, other));
        assert!(found.contains(words), "{found}");
    }
}

#[test]
fn arrivals_out_of_their_range_are_refused_in_words() {
    for (fields, words) in [
        ("kind = \"gamma\"\ncv = 0", "arrivals.cv is 0, expected 0.01 to 100"),
        ("kind = \"bursts\"\nratio = 0.5\nquiet_s = 1\nburst_s = 1", "arrivals.ratio is 0.5, expected 1 to 10000"),
        ("kind = \"bursts\"\nratio = 2\nquiet_s = 0\nburst_s = 1", "arrivals.quiet_s is 0, expected 0.0012 to"),
        ("kind = \"bursts\"\nratio = 2\nquiet_s = 1\nburst_s = inf", "arrivals.burst_s is inf, expected 0.0012 to"),
        ("kind = \"wave\"\nperiod_s = 0.001\ndepth = 1", "arrivals.period_s is 0.001, expected 0.012 to"),
        ("kind = \"wave\"\nperiod_s = 60\ndepth = 1.5", "arrivals.depth is 1.5, expected 0 to 1"),
        ("kind = \"step\"\nfrom_s = -1\nuntil_s = 30\nfactor = 2", "arrivals.from_s is -1, expected 0 to 120"),
        ("kind = \"step\"\nfrom_s = 20\nuntil_s = 121\nfactor = 2", "arrivals.until_s is 121, expected 20 to 120"),
        ("kind = \"step\"\nfrom_s = 20\nuntil_s = 20\nfactor = 2", "arrivals.until_s is 20, expected more than from_s"),
        ("kind = \"step\"\nfrom_s = 20\nuntil_s = 30\nfactor = -2", "arrivals.factor is -2, expected 0 to 10000"),
        ("kind = \"step\"\nfrom_s = 0\nuntil_s = 120\nfactor = 0", "arrivals.factor is 0 for the whole duration"),
        ("kind = \"trace\"\nfile = \"\"\nform = \"counts\"", "arrivals.file is 0 bytes long"),
    ] {
        let found = refusal(&with("kind = \"poisson\"", fields));
        assert!(found.contains(words), "{found}");
    }
}

#[test]
fn distributions_that_make_no_sense_are_refused_in_words() {
    for (requests, words) in [
        ("choices = []", "jobs.requests.choices is 0 pairs long, expected 1 to 1000 pairs"),
        ("choices = [[8, 0], [4, 0.0]]", "jobs.requests.choices is without any share above 0"),
        ("choices = [[8, 1], [4, -1]]", "jobs.requests.choices, the share of 4, is -1, expected 0 to"),
        ("choices = [[8, inf]]", "jobs.requests.choices, the share of 8, is inf"),
        ("choices = [[0, 1]]", "jobs.requests.choices is 0, expected 1 to 65535"),
        ("log_normal = { median = 8, sigma = 1, least = 9, most = 7 }", "is 9 to 7, expected the smaller number first"),
        ("log_normal = { median = 8, sigma = 1, least = 1, most = 7 }", "log_normal.median is 8, expected 1 to 7"),
        ("log_normal = { median = 8, sigma = 0, least = 1, most = 9 }", "log_normal.sigma is 0, expected 0.01 to 5"),
        ("log_normal = { median = 8, sigma = 1, least = 0, most = 9 }", "log_normal.least is 0, expected 1 to 65535"),
        ("fixed = 8.5", "expected u32"),
        ("uniform = [1, 2, 3]", "invalid length 3, expected a list of exactly two"),
        ("uniform = [1]", "invalid length 1, expected a list of exactly two"),
        ("choices = [[1, 2, 3]]", "invalid length 3, expected a list of exactly two"),
    ] {
        let found = refusal(&with("uniform = [4, 16]", requests));
        assert!(found.contains(words), "{found}");
    }
}

#[test]
fn tenants_need_names_and_shares() {
    let refused = |tenants: &str| refusal(&with("[jobs]", &format!("[jobs]\ntenants = {tenants}")));
    assert!(refused(r#"[["", 1]]"#).contains(r#"a name in jobs.tenants is "", expected 1 to 64 bytes"#));
    assert!(refused(r#"[["a b", 1]]"#).contains(r#"a name in jobs.tenants is "a b", expected 1 to 64 bytes"#));
    assert!(refused(r#"[["a", 1], ["a", 2]]"#).contains(r#"is "a" again, expected every name once"#));
    assert!(refused(r#"[["a", 1, "b"]]"#).contains("invalid length 3, expected a list of exactly two"));
    assert!(refused(r#"[["a", 0]]"#).contains("jobs.tenants is without any share above 0"));
    assert!(refused(r#"[["a", nan]]"#).contains("jobs.tenants, the share of a, is NaN"));
}

#[test]
fn a_trace_is_read_from_beside_the_workload() {
    let folder = tempfile::tempdir().unwrap();
    let text = with("kind = \"poisson\"", "kind = \"trace\"\nfile = \"traces/one.txt\"\nform = \"counts\"");
    let path = folder.path().join("day.toml");
    fs::write(&path, &text).unwrap();
    let missing = Workload::read(&path).unwrap_err().to_string();
    assert!(missing.starts_with("reading ") && missing.contains("one.txt"), "{missing}");

    fs::create_dir(folder.path().join("traces")).unwrap();
    fs::write(folder.path().join("traces/one.txt"), "5\nfive\n").unwrap();
    let wrong = Workload::read(&path).unwrap_err().to_string();
    assert_eq!(wrong, "the trace traces/one.txt: expected a whole number in line 2, found \"five\"");

    fs::write(folder.path().join("traces/one.txt"), "5\n7\n").unwrap();
    let workload = Workload::read(&path).unwrap();
    let mut parsed = Workload::parse(&workload.to_toml()).unwrap();
    assert_ne!(parsed, workload);
    parsed.read_trace(folder.path()).unwrap();
    assert_eq!(parsed, workload);
}

#[test]
fn a_file_that_is_too_long_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("day.toml");
    let filler = "#".repeat(MOST_BYTES as usize - TEXT.len());
    fs::write(&path, format!("{TEXT}{filler}")).unwrap();
    assert_eq!(Workload::read(&path), Ok(Workload::default()));
    fs::write(&path, format!("{TEXT}{filler}#")).unwrap();
    let refused = Workload::read(&path).unwrap_err().to_string();
    assert!(refused.ends_with("it is longer than 1048576 bytes, which is the most that is read"), "{refused}");
}

fn check_words(text: &str, expected: &Expect) {
    expected.assert_eq(&Workload::parse(text).unwrap().describe());
}

#[test]
fn a_workload_is_described_in_two_sentences() {
    check_words(
        TEXT,
        &expect![
            "120 s of Poisson arrivals at 1 times the capacity on the most accurate strategies. A job has 4 to 16 requests, a deadline after 6 to 18 times its own time and a floor 0 to 0.3 of the way from its fastest strategy's accuracy to its best."
        ],
    );
    let other = with("kind = \"poisson\"", "kind = \"trace\"\nfile = \"traces/one.txt\"\nform = \"counts\"")
        .replace("load = 1", "jobs_per_s = 2.5")
        .replace("uniform = [4, 16]", "choices = [[8, 1], [16, 3]]")
        .replace("slack = { uniform = [6, 18.0] }", "deadline_ms = { fixed = 250 }\nweight = { uniform = [1, 2] }")
        .replace("floor = { uniform = [0.0, 0.3] }", "min_accuracy = { fixed = 0.7 }\ntenants = [[\"a\", 1]]");
    check_words(
        &other,
        &expect![
            "120 s of arrivals of the trace one.txt at 2.5 jobs/s. A job has 8 (25 %) or 16 (75 %) requests, a deadline after 250 ms and a floor at an accuracy of 0.7; weights are 1 to 2; tenants: 1."
        ],
    );
}

fn distributions(least: f64, most: f64) -> impl Strategy<Value = Distribution<f64>> {
    let ends = [least..=most, least..=most].prop_map(|[a, b]| [a.min(b), a.max(b)]);
    prop_oneof![
        (least..=most).prop_map(Distribution::Fixed),
        ends.clone().prop_map(Distribution::Uniform),
        prop::collection::vec((least..=most, 0.1..10.0), 1..4).prop_map(Distribution::Choices),
        (ends, 0.01..5.0)
            .prop_map(|([least, most], sigma)| { Distribution::LogNormal { median: most, sigma, least, most } }),
    ]
}

fn sizes() -> impl Strategy<Value = Distribution<u32>> {
    prop_oneof![
        (1u32..=65_535).prop_map(Distribution::Fixed),
        (1u32..100, 100u32..1000).prop_map(|(least, most)| Distribution::Uniform([least, most])),
        prop::collection::vec((1u32..100, 0.1..10.0), 1..4).prop_map(Distribution::Choices),
        (1.0..100.0, 0.01..5.0).prop_map(|(median, sigma)| Distribution::LogNormal {
            median,
            sigma,
            least: 1,
            most: 100
        }),
    ]
}

fn kinds() -> impl Strategy<Value = Kind> {
    let form = prop_oneof![Just(Form::Counts), Just(Form::Azure)];
    prop_oneof![
        Just(Kind::Poisson {}),
        (0.01..100.0).prop_map(|cv| Kind::Gamma { cv }),
        (1.0..100.0, 1.0..100.0, 1.0..100.0).prop_map(|(ratio, quiet_s, burst_s)| Kind::Bursts {
            ratio,
            quiet_s,
            burst_s
        }),
        (1.0..100.0, 0.0..=1.0).prop_map(|(period_s, depth)| Kind::Wave { period_s, depth }),
        (0.0..5.0, 5.1..10.0, 0.1..10.0).prop_map(|(from_s, until_s, factor)| Kind::Step { from_s, until_s, factor }),
        ("[a-z./\"\\\\ ]{1,20}", form).prop_map(|(file, form)| Kind::Trace(TraceFile::new(file, form))),
    ]
}

fn workloads() -> impl Strategy<Value = Workload> {
    let rate = prop_oneof![(0.001..1000.0).prop_map(Rate::Load), (0.001..1e6).prop_map(Rate::JobsPerS)];
    let arrivals = (rate, kinds()).prop_map(|(rate, kind)| Arrivals { rate, kind });
    let deadline = prop_oneof![
        distributions(0.001, 1e6).prop_map(Deadline::Slack),
        distributions(0.001, 1e6).prop_map(Deadline::Millis),
    ];
    let floor = prop_oneof![
        distributions(0.001, 1.0).prop_map(Floor::Share),
        distributions(0.001, 1.0).prop_map(Floor::Accuracy),
    ];
    let tenants = prop::collection::btree_map("[a-zé\"\\\\]{1,8}", 0.1..10.0, 0..3)
        .prop_map(|tenants| tenants.into_iter().collect::<Vec<_>>());
    let on_late = prop_oneof![Just(OnLate::Run), Just(OnLate::Drop)];
    let jobs = (sizes(), deadline, floor, distributions(0.001, 1000.0), tenants, on_late).prop_map(
        |(requests, deadline, floor, weight, tenants, on_late)| Jobs {
            requests,
            deadline,
            floor,
            weight,
            tenants,
            on_late,
        },
    );
    (10.0..10_000.0, arrivals, jobs).prop_map(|(duration_s, arrivals, jobs)| Workload { duration_s, arrivals, jobs })
}

proptest! {
    #[test]
    fn a_workload_reads_back_as_it_was_written(workload in workloads()) {
        prop_assert_eq!(Workload::parse(&workload.to_toml()), Ok(workload));
    }
}
