//! `mosel models`: the models that this machine has, and adding one's own.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use comfy_table::{Table, presets};
use mosel_models::assets::Assets;
use mosel_models::installed::{InstalledModel, InstalledModels};
use mosel_models::{ProfileFile, zoo};
use serde_json::{Map, Value, json};

/// What `mosel models` takes; nothing lists them.
#[derive(Debug, Args)]
pub(crate) struct ModelsArgs {
    #[command(subcommand)]
    what: Option<What>,
    /// A line of JSON a model instead of a table
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Take a copy of a model in: a folder with a model.toml, or a published checkpoint
    Add(AddArgs),
    /// Delete a model that was added
    Remove {
        /// Its name
        name: String,
    },
}

#[derive(Debug, Args)]
struct AddArgs {
    /// A folder with model.toml and TorchScript networks (models/export writes one)
    #[arg(required_unless_present = "from")]
    folder: Option<PathBuf>,
    /// A folder with a published checkpoint of TVLT, ViLT or TBN (config.json and weights); it is called as the folder is
    #[arg(long, value_name = "DIR", conflicts_with = "folder")]
    from: Option<PathBuf>,
}

impl ModelsArgs {
    /// It runs models: a model that is added is run once. So does reading a published checkpoint, when it is listed.
    pub(crate) fn computes(&self) -> bool {
        match self.what {
            None => InstalledModels::standard().has_checkpoints(),
            Some(What::Add(_)) => true,
            Some(What::Remove { .. }) => false,
        }
    }
}

/// `mosel models`.
pub(crate) fn run(args: &ModelsArgs) -> Result<()> {
    let installed = InstalledModels::standard();
    match &args.what {
        None => list(&installed, args.json),
        Some(What::Add(add)) => {
            let folder = add.folder.as_ref().or(add.from.as_ref()).context("expected a folder")?;
            let added = installed.add(folder)?;
            let name = added.name();
            println!("{name} is in {}; `mosel profile {name}` measures it", installed.folder().join(name).display());
            Ok(())
        }
        Some(What::Remove { name }) => {
            installed.remove(name)?;
            println!("{name} is removed");
            Ok(())
        }
    }
}

/// A model as it is listed.
struct Row {
    name: String,
    from: &'static str,
    modalities: Vec<String>,
    /// Its weights are there.
    trained: bool,
    /// Numbers in its weight files, towers included; `None` if they cannot be counted.
    params: Option<u64>,
    profile: Option<ProfileFile>,
    /// Why it cannot be served.
    trouble: Option<String>,
}

fn list(installed: &InstalledModels, json: bool) -> Result<()> {
    let zoo = zoo::ALL.iter().map(|&task| Row::of(&InstalledModel::Zoo(task), "zoo"));
    let added = installed.list()?.into_iter().map(|(name, known)| match known {
        Ok(known) => Row::of(&known, "added"),
        Err(error) => Row::broken(name, &error),
    });
    let rows: Vec<Row> = zoo.chain(added).collect();
    if json {
        rows.iter().for_each(|row| println!("{}", row.json()));
    } else {
        println!("{}", table(&rows));
    }
    Ok(())
}

impl Row {
    fn of(known: &InstalledModel, from: &'static str) -> Row {
        let spec = known.spec();
        let profile = known.profile_on("cpu");
        let trouble = spec.as_ref().err().or(profile.as_ref().err()).map(|error| format!("{error:#}"));
        let modalities = match known {
            InstalledModel::Zoo(task) => task.modality_names(),
            _ => spec
                .as_ref()
                .map(|spec| spec.modality_names().into_iter().map(String::from).collect())
                .unwrap_or_default(),
        };
        Row {
            name: known.name().into(),
            from,
            modalities,
            trained: spec.is_ok(),
            params: known.parameters(&Assets::standard()).ok(),
            profile: profile.ok(),
            trouble,
        }
    }

    fn broken(name: String, error: &anyhow::Error) -> Row {
        let trouble = Some(format!("{error:#}"));
        Row { name, from: "added", modalities: Vec::new(), trained: false, params: None, profile: None, trouble }
    }

    fn json(&self) -> Value {
        let accuracy: Option<Map<String, Value>> = self.profile.as_ref().map(|profile| {
            let of = |selection: &mosel_models::profile_file::SelectionRecord| {
                let accuracy = selection.accuracy;
                let value = json!({
                    "mean": accuracy.mean, "low": accuracy.low, "high": accuracy.high, "samples": accuracy.samples,
                });
                (selection.label(), value)
            };
            profile.selections.iter().map(of).collect()
        });
        json!({
            "name": self.name, "from": self.from, "modalities": self.modalities, "trained": self.trained,
            "params": self.params, "accuracy": accuracy, "profile": self.profile.as_ref().map(ProfileFile::id),
            "trouble": self.trouble,
        })
    }

    /// The accuracy of every selection in full precision.
    fn accuracies(&self) -> String {
        let Some(profile) = &self.profile else { return self.trouble.clone().unwrap_or_default() };
        let full = profile.selections.iter().filter(|selection| selection.precision == "fp32");
        let words = full.map(|selection| format!("{} {:.3}", selection.label(), selection.accuracy.mean));
        words.collect::<Vec<_>>().join("\n")
    }
}

fn table(rows: &[Row]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    table.set_header(["model", "from", "modalities", "parameters", "accuracy (full precision)"]);
    for row in rows {
        let params = row.params.map_or("-".into(), |params| match params {
            0..1_000_000 => format!("{:.0} k", params as f64 / 1e3),
            _ => format!("{:.1} M", params as f64 / 1e6),
        });
        table.add_row([&row.name, row.from, &row.modalities.join(", "), &params, &row.accuracies()]);
    }
    table
}
