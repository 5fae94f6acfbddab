//! The report's first page: what is compared, and what the words mean.

use mosel_chart::report::{Report, Section, Table};
use mosel_sim::Workload;

use super::experiment::{POLICIES, StudiedModel};
use super::headline::{Headline, last_line};

pub(super) fn report(command: &str, machine: &str, date: &str, base: &Workload, sections: Vec<Section>) -> Report {
    Report {
        title: "Mosel: the evaluation, reproduced".into(),
        intro: vec![
            format!("Made by `{command}` on {date}, {machine}."),
            "Everything but Figure 1, and what says live, is simulated: the server's own scheduling core and its policies, in WebAssembly, in virtual \
             time, on devices whose latencies are drawn from the measured profiles. Policies' time is their fuel. The same \
             command gives the same figures."
                .into(),
            format!("The jobs: {}", base.jobs.describe()),
        ],
        sections,
    }
}

pub(super) fn definitions() -> Section {
    let words = [
        ("load", "requests offered over what one lane serves if every job runs on its most accurate strategy"),
        ("throughput", "requests of jobs that finished while jobs arrived, a second"),
        ("goodput", "the same, of jobs that met deadline and floor only"),
        ("violations", "jobs late, dropped, refused or failed, over jobs that came"),
        ("completion", "from a job's arrival to its finish, waiting included; of jobs that were served"),
        (
            "accuracy",
            "request-weighted mean of the profiled accuracies of what jobs really ran on; of jobs that were served",
        ),
        ("served as asked", "requests of jobs that met deadline and floor, over all requests that came"),
        ("late jobs", "run after all that can still be in time; they count in throughput and completion"),
    ];
    let of = |(word, meaning): &(&str, &str)| ((*word).to_owned(), (*meaning).to_owned());
    Section {
        heading: "Words and policies".into(),
        definitions: words.iter().chain(POLICIES).map(of).collect(),
        ..Section::default()
    }
}

pub(super) fn headline(models: &[StudiedModel], rows: &[Headline]) -> Section {
    let columns: Vec<Vec<(String, String)>> = rows.iter().map(Headline::lines).collect();
    let lines = (0..columns.first().map_or(0, Vec::len)).map(|line| {
        let name = columns[0][line].0.clone();
        std::iter::once(name).chain(columns.iter().map(|column| column[line].1.clone())).collect()
    });
    let header =
        std::iter::once("highest-accuracy / exact".to_owned()).chain(models.iter().map(|model| model.name.clone()));
    Section {
        heading: "Headline".into(),
        paragraphs: vec![last_line(rows)],
        tables: vec![Table {
            caption:
                "Calm traffic, simulated. How much is to be gained depends on the model: on how much cheaper its cheap \
                      modalities are, and on the floors."
                    .into(),
            header: header.collect(),
            rows: lines.collect(),
        }],
        ..Section::default()
    }
}
