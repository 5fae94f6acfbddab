//! Every kind of chart, drawn from made-up numbers: `cargo run -p mosel-chart --example gallery [FOLDER] > gallery.html`.
//!
//! With a folder, every figure is written there as a file of its own too.

use mosel_chart::bars::{self, Bar, Group};
use mosel_chart::distributions::{self, Distribution};
use mosel_chart::gantt::{self, Deadline, Plan};
use mosel_chart::lines::{Panel, Point, Position, Reference, Row, Series, Sharing, Spread};
use mosel_chart::report::{self, Section, Table};
use mosel_chart::{Axis, Bars, Distributions, Gantt, Lines, Numbers, Report, Scale};

fn main() -> std::io::Result<()> {
    let figures = [
        ("loads", loads().svg()),
        ("one", one().svg()),
        ("rows", rows().svg()),
        ("extreme", extreme().svg()),
        ("selections", selections(1).svg()),
        ("selections3", selections(3).svg()),
        ("distributions", completions(2).svg()),
        ("distributions1", completions(1).svg()),
        ("plans", plans().svg()),
    ];
    if let Some(folder) = std::env::args().nth(1) {
        for (name, svg) in &figures {
            std::fs::write(format!("{folder}/{name}.svg"), svg)?;
        }
    }
    print!("{}", report(&figures).html());
    Ok(())
}

/// Numbers that look random and are the same every time.
struct Noise(u64);

impl Noise {
    /// Evenly from 0 to 1.
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }
}

const POLICIES: [&str; 7] =
    ["exact", "ilp", "greedy", "squeeze", "fair-share", "earliest-deadline", "highest-accuracy"];
const LOADS: [f64; 6] = [0.25, 0.5, 1.0, 2.0, 4.0, 8.0];

fn percent(label: &str) -> Axis {
    Axis { label: label.into(), numbers: Numbers::Percent, reach: Some((0.0, 1.0)), ..Axis::default() }
}

fn load() -> Axis {
    Axis { label: "offered load (multiple of capacity)".into(), scale: Scale::Log2, ..Axis::default() }
}

fn series(name: &str, knee: f64, noise: &mut Noise) -> Series {
    let point = |load: f64| {
        let y = 1.0 / (1.0 + (load / knee).powi(3)) * (1.0 - 0.004 * noise.next());
        let half = 0.03 * (1.0 - y) + 0.003;
        Point { x: load, y, interval: Some(((y - half).max(0.0), (y + half).min(1.0))) }
    };
    Series { name: name.into(), points: LOADS.map(point).to_vec(), dashed: name == "highest-accuracy" }
}

fn loads_panel(title: &str, seed: u64) -> Panel {
    let mut noise = Noise(seed);
    let knees = [5.0, 4.98, 4.6, 4.4, 4.4, 2.2, 1.1].map(|knee| knee / (1.0 + seed as f64 / 20.0));
    let series = POLICIES.iter().zip(knees).map(|(name, knee)| series(name, knee, &mut noise)).collect();
    let capacity = Reference { text: "capacity".into(), at: Position::X(1.0) };
    Panel { title: title.into(), series, references: vec![capacity] }
}

fn loads() -> Lines {
    let row = |model: &str, seed| {
        let panel = |(number, trace): (u64, &str)| loads_panel(&format!("{model}, {trace}"), seed + number);
        let traces = [(0, "steady"), (1, "bursty"), (2, "diurnal")];
        Row { y: percent("deadlines met"), panels: traces.map(panel).to_vec() }
    };
    Lines {
        title: "Deadlines met by load (synthetic)".into(),
        description: "Made-up numbers: seven policies at six loads.".into(),
        x: load(),
        rows: vec![row("emoji", 1), row("audio-visual", 9)],
        ..Lines::default()
    }
}

fn one() -> Lines {
    let mut noise = Noise(5);
    let mut series: Vec<Series> = POLICIES.iter().map(|name| series(name, 40.0, &mut noise)).collect();
    series[6] = self::series("highest-accuracy", 1.4, &mut noise);
    series[5].points[3].y = f64::NAN;
    let floor = Reference { text: "floor asked".into(), at: Position::Y(0.8) };
    let panel = Panel { title: "Five lines that end together, one with a gap".into(), series, references: vec![floor] };
    Lines {
        title: "One panel (synthetic)".into(),
        x: load(),
        rows: vec![Row {
            y: Axis { reach: None, ..percent("share of jobs served at or above their floor") },
            panels: vec![panel],
        }],
        spread: Spread::Whiskers,
        ..Lines::default()
    }
}

fn rows() -> Lines {
    let mut noise = Noise(17);
    let axis = |label: &str, scale| Axis { label: label.into(), scale, ..Axis::default() };
    let mut panel = |title: &str, unit: f64| {
        let series = POLICIES[..4].iter().enumerate().map(|(number, name)| {
            let point = |step: u32| {
                let x = f64::from(step) / 4.0;
                Point::new(x, unit * (1.0 + number as f64 / 9.0) * (1.0 + x * x) * (1.0 + 0.1 * noise.next()))
            };
            Series { name: (*name).into(), points: (0..60).map(point).collect(), dashed: false }
        });
        Panel {
            title: title.into(),
            series: series.collect(),
            references: vec![
                Reference { text: "swap to greedy".into(), at: Position::X(5.0) },
                Reference { text: "swap back".into(), at: Position::X(5.5) },
                Reference { text: "end".into(), at: Position::X(14.5) },
            ],
        }
    };
    Lines {
        title: "Two quantities (synthetic)".into(),
        x: axis("time (s)", Scale::Linear),
        rows: vec![
            Row { y: axis("waiting jobs", Scale::Linear), panels: vec![panel("small", 3.0), panel("large", 40_000.0)] },
            Row {
                y: axis("completion p99 (ms)", Scale::Log10),
                panels: vec![panel("small", 0.2), panel("large", 70.0)],
            },
        ],
        sharing: Sharing::Panel,
        ..Lines::default()
    }
}

fn extreme() -> Lines {
    let panel = |title: &str, points: &[(f64, f64)]| Panel {
        title: title.into(),
        series: vec![Series {
            name: "a name that is much too long to be written out at the end of a line".into(),
            points: points.iter().map(|&(x, y)| Point::new(x, y)).collect(),
            dashed: false,
        }],
        references: Vec::new(),
    };
    Lines {
        title: "Extremes (synthetic)".into(),
        x: Axis { label: "x".into(), ..Axis::default() },
        rows: vec![Row {
            y: Axis { label: "some quantity <with> & without a unit".into(), ..Axis::default() },
            panels: vec![
                panel("Huge", &[(0.0, 1.2e12), (1.0, 3.1e12), (2.0, 2.2e12)]),
                panel("Tiny", &[(0.0, 1.2e-8), (1.0, 3.1e-8)]),
                panel("One point", &[(1.0, 3.0)]),
                panel("Nothing", &[]),
            ],
        }],
        sharing: Sharing::Panel,
        ..Lines::default()
    }
}

/// Figure 1: what every selection of a model's modalities costs and is worth.
fn selections(columns: usize) -> Bars {
    let models: [(&str, &[&str]); 3] = [
        ("emoji", &["text", "image", "text+image"]),
        (
            "audio-visual emotion",
            &["audio", "video", "text", "audio+text", "audio+video", "video+text", "audio+video+text"],
        ),
        ("one", &["all"]),
    ];
    let panel = |title: &str, label: &str, numbers, value: &dyn Fn(usize, usize) -> (f64, f64)| {
        let group = |(model, (name, selections)): (usize, &(&str, &[&str]))| {
            let bar = |(place, name): (usize, &&str)| {
                let (value, half) = value(model, place);
                let interval = (half > 0.0).then_some((value - half, value + half));
                Bar { name: (*name).into(), value, interval }
            };
            Group { name: (*name).into(), bars: selections.iter().enumerate().map(bar).collect() }
        };
        let groups = models.iter().enumerate().map(group).collect();
        bars::Panel { title: title.into(), label: label.into(), numbers, groups }
    };
    let latency = |model, place| ((1.7 + model as f64 * 9.3) * 1.6f64.powi(place as i32), 0.2 * (place + 1) as f64);
    let memory =
        |model, place| if (model, place) == (1, 2) { (f64::NAN, 0.0) } else { ((model + 1) as f64 * 1234.5, 0.0) };
    let accuracy = |_, place| (1.0 - 0.3 / (place + 1) as f64, 0.02);
    Bars {
        title: "Selections (synthetic)".into(),
        description: "Made-up numbers: time, memory and accuracy of every selection of three models.".into(),
        columns,
        panels: vec![
            panel("Median time of a batch of 8", "time (ms)", Numbers::Plain, &latency),
            panel("Peak memory of a batch of 8", "memory (MB)", Numbers::Plain, &memory),
            panel("Accuracy, held out, with 95 % interval", "accuracy", Numbers::Percent, &accuracy),
        ],
    }
}

/// How long jobs took, and how accurate they were.
fn completions(columns: usize) -> Distributions {
    let mut noise = Noise(3);
    let mut panel = |title: &str, x: Axis, draw: &dyn Fn(f64, f64) -> f64| {
        let distributions = POLICIES.iter().enumerate().map(|(number, name)| {
            let count = [5000, 800, 12, 1, 0, 300, 31][number];
            let samples = (0..count).map(|_| draw(number as f64, noise.next() * noise.next())).collect();
            Distribution { name: (*name).into(), samples }
        });
        let reference = distributions::Reference { text: "asked".into(), at: draw(1.0, 0.3) };
        distributions::Panel {
            title: title.into(),
            x,
            distributions: distributions.collect(),
            references: vec![reference],
        }
    };
    let time = Axis { label: "completion (ms)".into(), scale: Scale::Log10, ..Axis::default() };
    Distributions {
        title: "Completions (synthetic)".into(),
        description: "Made-up numbers: completion times and accuracies of seven policies.".into(),
        columns,
        panels: vec![
            panel("Completion", time, &|number, drawn| (1.0 + number) * 3.0 * (4.0 * drawn).exp()),
            panel("Accuracy of a job", percent("accuracy"), &|number, drawn| {
                ((1.0 - drawn * (0.3 + number / 20.0)) * 16.0).round() / 16.0
            }),
        ],
    }
}

/// Figure 2: three jobs on one device, under several plans.
fn plans() -> Gantt {
    let row = |name: &str, bars: &[(f64, f64, &str)], deadline: f64, note: &str| gantt::Row {
        name: name.into(),
        bars: bars
            .iter()
            .map(|&(start, end, kind)| gantt::Bar { start, end, text: format!("{kind} ×8"), kind: kind.into() })
            .collect(),
        deadline: Some(deadline),
        note: note.into(),
    };
    let deadlines = vec![
        Deadline { at: 0.0, text: "all arrive".into() },
        Deadline { at: 140.0, text: "job 1 is due".into() },
        Deadline { at: 150.0, text: "job 2 is due".into() },
    ];
    Gantt {
        title: "Three plans (synthetic)".into(),
        description: "Made-up numbers: three jobs under three plans.".into(),
        x: Axis { label: "time (ms)".into(), ..Axis::default() },
        plans: vec![
            Plan {
                title: "All modalities, in order of arrival".into(),
                verdict: "two of three jobs are late; mean accuracy 95.1 %".into(),
                good: Some(false),
                rows: vec![
                    row("job 1", &[(0.0, 90.0, "text+image")], 140.0, "on time, 95.1 %"),
                    row("job 2", &[(90.0, 180.0, "text+image")], 150.0, "30 ms late, 95.1 %"),
                    row(
                        "job 3",
                        &[(180.0, 270.0, "text+image")],
                        170.0,
                        "100 ms late, 95.1 %, and a note that needs two lines",
                    ),
                ],
                deadlines: deadlines.clone(),
            },
            Plan {
                title: "Mixed within jobs".into(),
                verdict: "all on time; mean accuracy 91.0 %".into(),
                good: Some(true),
                rows: vec![
                    row("job 1", &[(0.0, 20.0, "text"), (80.0, 110.0, "text+image")], 140.0, "on time, 93.0 %"),
                    row("job 2", &[(20.0, 50.0, "image"), (110.0, 149.0, "text+image")], 150.0, "on time, 92.1 %"),
                    row(
                        "job 3",
                        &[(50.0, 80.0, "image"), (149.0, 151.0, "text"), (151.0, 169.0, "image")],
                        170.0,
                        "on time, 88.0 %",
                    ),
                ],
                deadlines,
            },
            Plan {
                title: "By lane, some at the same time".into(),
                rows: vec![gantt::Row {
                    name: "device 0".into(),
                    bars: vec![
                        gantt::Bar { start: 0.0, end: 100.0, text: "job 1".into(), kind: String::new() },
                        gantt::Bar { start: 50.0, end: 120.0, text: "job 2 & <3>".into(), kind: "image".into() },
                        gantt::Bar { start: f64::NAN, end: 120.0, text: "never".into(), kind: "image".into() },
                    ],
                    ..gantt::Row::default()
                }],
                ..Plan::default()
            },
        ],
    }
}

/// The page of all figures.
fn report(figures: &[(&str, String)]) -> Report {
    let section = |(name, svg): &(&str, String)| Section {
        heading: format!("Gallery: {name}"),
        paragraphs: vec!["All numbers here are made up; nothing was measured.".into()],
        figures: vec![report::Figure { svg: svg.clone(), caption: format!("What {name} looks like (synthetic).") }],
        definitions: vec![(
            "deadline met".into(),
            "A job whose last answer was there by its deadline, its floor kept.".into(),
        )],
        tables: vec![Table {
            caption: "Some numbers (synthetic)".into(),
            header: ["policy", "deadlines met", "completion p99", "note"].map(String::from).to_vec(),
            rows: vec![
                ["exact", "99.97 %", "12.3 ms", "bounds <its> search & says so"].map(String::from).to_vec(),
                ["greedy", "98.1 %", "1,234 ms", ""].map(String::from).to_vec(),
            ],
        }],
    };
    Report {
        title: "Gallery of charts, from made-up numbers".into(),
        intro: vec!["Every kind of chart that a report may hold.".into()],
        sections: figures.iter().map(section).collect(),
    }
}
