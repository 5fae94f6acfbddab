//! `mosel reference`: the pages of the documentation that are made from the code. `tests/all/reference.rs` holds the
//! files to them.

use std::fmt::Write as _;

use clap::builder::StyledStr;
use clap::{Arg, Args, Command, ValueEnum};
use mosel_server::reference;
use serde_json::Value;

/// Prints a page, as Markdown.
#[derive(Debug, Args)]
pub(crate) struct ReferenceArgs {
    /// Which
    page: Page,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Page {
    /// docs/reference/cli.md
    Cli,
    /// docs/operating/configuration.md
    Configuration,
    /// docs/applications/errors.md
    Errors,
    /// docs/operating/metrics.md
    Metrics,
}

/// `mosel reference`; the program's own definition is given.
pub(crate) fn run(args: &ReferenceArgs, program: &Command) {
    let page = match args.page {
        Page::Cli => cli(program),
        Page::Configuration => configuration(),
        Page::Errors => errors(),
        Page::Metrics => metrics(),
    };
    let name = args.page.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned());
    print!(
        "<!-- Made from the code by `mosel reference {name}`; `UPDATE_EXPECT=1 cargo test --release -p mosel reference` \
         writes it anew. -->\n\n{page}"
    );
}

/// Every command with its arguments.
fn cli(program: &Command) -> String {
    let mut program = program.clone().bin_name("mosel");
    program.build();
    let mut page = String::from(
        "# Command line\n\n`mosel COMMAND --help` says the same. Every command takes `--help`; `mosel --version` says which \
         version it is.\nSentences about what happened go to standard error, results to standard output. The exit status is 0 \
         if all went well, 1 if not, 2 if the command line is not understood.\n",
    );
    let mut contents = String::new();
    let mut commands = String::new();
    describe(&program, &mut contents, &mut commands);
    let _ = write!(page, "\n| command | |\n|---|---|\n{contents}{commands}");
    page
}

/// A command's children, each with an entry in the contents and a section of its own.
fn describe(parent: &Command, contents: &mut String, sections: &mut String) {
    for command in parent.get_subcommands().filter(|command| !command.is_hide_set() && command.get_name() != "help") {
        let name = command.get_bin_name().unwrap_or_default();
        let about = one_line(command.get_about());
        let _ = writeln!(contents, "| [`{name}`](#{}) | {} |", name.replace(' ', "-"), cell(&about));
        let _ = write!(sections, "\n## {name}\n\n{}\n", sentence(&about));
        let usage = command.clone().render_usage().to_string();
        let _ = write!(sections, "\n```text\n{}\n```\n", usage.trim_start_matches("Usage: "));
        let arguments: Vec<&Arg> = command.get_arguments().filter(|argument| is_shown(argument)).collect();
        if !arguments.is_empty() {
            let _ = write!(sections, "\n| argument | |\n|---|---|\n");
            arguments.iter().for_each(|argument| sections.push_str(&row(argument)));
        }
        describe(command, contents, sections);
    }
}

fn is_shown(argument: &Arg) -> bool {
    !argument.is_hide_set() && !matches!(argument.get_id().as_str(), "help" | "version")
}

fn row(argument: &Arg) -> String {
    let mut words = sentence(&one_line(argument.get_long_help().or(argument.get_help())));
    if argument.get_action().takes_values() {
        let possible = argument.get_possible_values();
        let possible: Vec<String> = possible.iter().map(|value| format!("`{}`", value.get_name())).collect();
        if !possible.is_empty() {
            let _ = write!(words, " One of {}.", possible.join(", "));
        }
        let defaults: Vec<_> = argument.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
        if !defaults.is_empty() {
            let _ = write!(words, " Default: `{}`.", defaults.join(","));
        }
    }
    if let Some(variable) = argument.get_env() {
        let _ = write!(words, " Environment: `{}`.", variable.to_string_lossy());
    }
    format!("| `{}` | {} |\n", cell(&argument.to_string()), cell(&words))
}

fn one_line(text: Option<&StyledStr>) -> String {
    text.map_or_else(String::new, |text| text.to_string().split_whitespace().collect::<Vec<_>>().join(" "))
}

fn sentence(text: &str) -> String {
    if text.is_empty() || text.ends_with('.') { text.to_owned() } else { format!("{text}.") }
}

/// Every key, section by section.
fn configuration() -> String {
    let mut page = String::from(
        "# Configuration\n\n`mosel serve --config FILE` reads a TOML file (`MOSEL_CONFIG` names one too), then the environment: \
         `MOSEL_QUEUE__MAX_JOBS=100`\nis `max_jobs = 100` in the section `[queue]`. Flags of `mosel serve` come last. `mosel serve \
         --print-config` prints what is in effect.\nAn unknown key, or a value outside its range, is refused at the start.\n",
    );
    let mut section = None;
    for key in reference::config_keys() {
        let (of, name) = key.name.rsplit_once('.').unwrap_or(("", &key.name));
        if section.as_deref() != Some(of) {
            let heading = if of.is_empty() { "Without a section".to_owned() } else { format!("[{of}]") };
            let _ = write!(page, "\n## {heading}\n\n| key | type, default, environment | meaning |\n|---|---|---|\n");
            section = Some(of.to_owned());
        }
        let range = key.range.map_or_else(String::new, |(least, most)| format!(" from {least} to {most}"));
        let default = match &key.default {
            Value::Null => "not set".to_owned(),
            Value::String(words) if words.contains(' ') => words.clone(),
            value => format!("`{value}`"),
        };
        let variable = format!("MOSEL_{}", key.name.replace('.', "__").to_uppercase());
        let meaning = cell(&sentence(&key.text));
        let _ = writeln!(page, "| `{name}` | {}{range}; {default}; `{variable}` | {meaning} |", key.kind);
    }
    page
}

/// Every error code.
fn errors() -> String {
    let mut page = String::from(
        "# Error codes\n\nAn error is JSON with a stable `code` for programs and a `message` for people: what was expected and what \
         was got.\n\n```json\n{\"error\":{\"code\":\"missing_field\",\"message\":\"...\"}}\n```\n\nA code never changes its meaning. \
         Treat one that you do not know by its status.\n\n| code | status | meaning |\n|---|---|---|\n",
    );
    for code in reference::error_codes() {
        let status = code.status();
        let _ = writeln!(page, "| `{}` | {} | {} |", code.word(), status.as_u16(), cell(code.explanation()));
    }
    page
}

/// Every family of numbers.
fn metrics() -> String {
    let mut page = String::from(
        "# Metrics\n\n`GET /metrics` is Prometheus text (OpenMetrics). A counter's samples end in `_total`, a histogram's in `_bucket`, \
         `_sum` and `_count`.\n\n| name | type | labels | meaning |\n|---|---|---|---|\n",
    );
    for family in reference::metrics() {
        let labels: Vec<String> = family.labels.iter().map(|label| format!("`{label}`")).collect();
        let meaning = cell(&sentence(&family.help));
        let _ = writeln!(page, "| `{}` | {} | {} | {meaning} |", family.name, family.kind, labels.join(", "));
    }
    page
}

/// What stands in a table may hold no bar.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}
