//! Policies on a running server: push, use, shadow, rollback, list, show.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use comfy_table::Table;
use mosel_eval::connect::connection;
use mosel_eval::policy_file;
use serde_json::{Value, json};

use mosel_client::connection::{Answer, Connection, escaped};

/// Which server, and how to print what it says.
#[derive(Debug, Args)]
pub(super) struct ServerArgs {
    /// The server
    #[arg(long, value_name = "URL", env = "MOSEL_SERVER", default_value = "http://127.0.0.1:7070")]
    server: String,
    /// File with an admin's token. Without one: what MOSEL_TOKEN holds, else the token that a server of this user on this
    /// machine made for itself
    #[arg(long, value_name = "FILE", env = "MOSEL_ADMIN_TOKEN_FILE")]
    token_file: Option<PathBuf>,
    /// What the server says, as it says it
    #[arg(long)]
    json: bool,
}

/// Sends a component.
#[derive(Debug, Args)]
pub(super) struct PushArgs {
    /// What it is called on the server
    name: String,
    /// The component
    file: PathBuf,
    #[command(flatten)]
    server: ServerArgs,
}

/// Lets a policy decide.
#[derive(Debug, Args)]
pub(super) struct UseArgs {
    /// Which, by its name on the server
    name: String,
    /// Its settings: JSON, or @FILE
    #[arg(long, value_name = "JSON")]
    settings: Option<String>,
    #[command(flatten)]
    server: ServerArgs,
}

/// Runs a policy beside the one in place.
#[derive(Debug, Args)]
pub(super) struct ShadowArgs {
    /// Which, by its name on the server; without it: what was seen of the one in the shadow
    name: Option<String>,
    /// Its settings: JSON, or @FILE
    #[arg(long, value_name = "JSON", requires = "name")]
    settings: Option<String>,
    /// Ask nobody in the shadow any more
    #[arg(long, conflicts_with_all = ["name", "settings"])]
    off: bool,
    #[command(flatten)]
    server: ServerArgs,
}

const POLICY: &str = "/v1/policy";
const SHADOW: &str = "/v1/policy/shadow";

/// What can be asked of a server.
enum ServerCall {
    Push(String, Vec<u8>),
    Put(&'static str, Value),
    Get(&'static str),
    Post(&'static str),
    Delete(&'static str),
}

pub(super) fn push(args: &PushArgs) -> Result<()> {
    let PushArgs { name, file, server } = args;
    let component = policy_file::read(file)?;
    let said = server.ask(ServerCall::Push(format!("/v1/policies/{}", escaped(name)), component))?;
    server.print(&said, |said| {
        println!("{} is on {}: {}", text(&said["name"]), server.server, text(&said["summary"]));
        println!("  version {}, {} bytes, sha256 {}", text(&said["version"]), said["bytes"], text(&said["hash"]));
        if let Some(active) = said["active"].as_str() {
            println!("  in place: {active}");
        }
    });
    Ok(())
}

pub(super) fn put_in_place(args: &UseArgs) -> Result<()> {
    let wanted = json!({ "name": args.name, "settings": policy_file::settings(args.settings.as_deref())? });
    let said = args.server.ask(ServerCall::Put(POLICY, wanted))?;
    args.server.print(&said, |said| println!("{}", installed_line(said)));
    Ok(())
}

pub(super) fn roll_back(server: &ServerArgs) -> Result<()> {
    let said = server.ask(ServerCall::Post("/v1/policy/rollback"))?;
    server.print(&said, |said| println!("{}", installed_line(said)));
    Ok(())
}

pub(super) fn show(server: &ServerArgs) -> Result<()> {
    let said = server.ask(ServerCall::Get(POLICY))?;
    server.print(&said, |said| println!("{}", installed_table(said)));
    Ok(())
}

pub(super) fn list(server: &ServerArgs) -> Result<()> {
    let said = server.ask(ServerCall::Get("/v1/policies"))?;
    server.print(&said, |said| println!("{}", policies_table(said)));
    Ok(())
}

pub(super) fn shadow(args: &ShadowArgs) -> Result<()> {
    let call = match &args.name {
        None if args.off => ServerCall::Delete(SHADOW),
        None => ServerCall::Get(SHADOW),
        Some(name) => ServerCall::Put(
            SHADOW,
            json!({ "name": name, "settings": policy_file::settings(args.settings.as_deref())? }),
        ),
    };
    let said = args.server.ask(call)?;
    args.server.print(&said, |said| println!("{}", watching(args, said)));
    Ok(())
}

fn watching(args: &ShadowArgs, said: &Value) -> String {
    match (&args.name, args.off) {
        (Some(_), _) => {
            format!("{} is asked whatever the policy in place is asked, and not obeyed", text(&said["name"]))
        }
        (None, true) => format!("no policy is in the shadow any more; what was seen:\n{}", shadow_report(said)),
        (None, false) => shadow_report(said),
    }
}

impl ServerArgs {
    /// The server's answer, or its own words for why not.
    fn ask(&self, call: ServerCall) -> Result<Value> {
        let connection = self.connection()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("starting tokio")?;
        let answer: Answer = runtime.block_on(async {
            match call {
                ServerCall::Push(path, component) => connection.put_component(&path, component.into()).await,
                ServerCall::Put(path, body) => connection.put(path, &body).await,
                ServerCall::Get(path) => connection.get(path).await,
                ServerCall::Post(path) => connection.post(path).await,
                ServerCall::Delete(path) => connection.delete(path).await,
            }
        })?;
        answer.success()
    }

    fn connection(&self) -> Result<Connection> {
        connection(&self.server, self.token_file.as_deref())
    }

    fn print(&self, said: &Value, people: impl FnOnce(&Value)) {
        if self.json { println!("{said}") } else { people(said) }
    }
}

fn installed_line(said: &Value) -> String {
    let settings = if empty(&said["settings"]) { String::new() } else { format!(" with {}", said["settings"]) };
    let state = said["state"].as_str().filter(|state| *state != "none");
    let state = state.map_or(String::new(), |state| format!("; its state was {state}"));
    format!("{} {} decides from now on{settings}{state}", text(&said["name"]), text(&said["version"]))
}

fn installed_table(said: &Value) -> Table {
    let stats = &said["stats"];
    let previous = &said["previous"];
    let mut table = crate::table::ruled();
    let rows = [
        ("policy", format!("{} {}", text(&said["name"]), text(&said["version"]))),
        ("", text(&said["summary"])),
        ("settings", text(&said["settings"])),
        ("sha256", text(&said["hash"])),
        ("generation", text(&said["generation"])),
        ("asked / adopted", format!("{} / {}", stats["calls"], stats["adopted"])),
        ("jobs moved", text(&stats["jobs_moved"])),
        ("decision, p50 / p99", pair(&stats["decision_ms"], "ms")),
        ("fuel, p50 / p99", pair(&stats["fuel"], "")),
        ("mean gap to its bound", percent(&stats["mean_gap"])),
        ("traps / time-outs", format!("{} / {}", stats["traps"], stats["timeouts"])),
        ("refused", counts(&stats["refused"])),
        ("fallbacks", text(&stats["fallbacks"])),
        ("last error", text(&stats["last_error"])),
        ("before it", format!("{} {}", text(&previous["name"]), settings_of(previous))),
        ("last rollback", rollback(&said["last_rollback"])),
        ("in the shadow", text(&said["shadow"]["name"])),
    ];
    for (name, value) in rows.into_iter().filter(|(_, value)| !value.trim().is_empty()) {
        table.add_row([name.to_owned(), value]);
    }
    table
}

fn policies_table(said: &Value) -> Table {
    let mut table = crate::table::ruled();
    table.set_header(["", "name", "version", "source", "bytes", "sha256", ""]);
    for policy in said["policies"].as_array().into_iter().flatten() {
        let role = match (policy["active"] == true, policy["shadow"] == true) {
            (true, _) => "decides",
            (_, true) => "shadow",
            _ => "",
        };
        let hash: String = text(&policy["hash"]).chars().take(12).collect();
        let words = if policy["error"].is_null() { &policy["summary"] } else { &policy["error"] };
        let cells = [&policy["name"], &policy["version"], &policy["source"], &policy["bytes"]].map(text);
        table.add_row([vec![role.to_owned()], cells.into(), vec![hash, text(words)]].concat());
    }
    table
}

fn shadow_report(said: &Value) -> String {
    let mut table = crate::table::ruled();
    table.set_header(["".to_owned(), format!("{}, in place", text(&said["against"]["name"])), text(&said["name"])]);
    let sides = [&said["active"], &said["shadow"]];
    let mut row = |name: &str, cell: &dyn Fn(&Value) -> String| {
        table.add_row([vec![name.to_owned()], sides.iter().map(|side| cell(side)).collect()].concat());
    };
    row("jobs predicted late", &|side| text(&side["violations"]));
    row("accuracy", &|side| text(&side["accuracy"]));
    row("no answer, or refused", &|side| text(&side["failed"]));
    row("decision, p50 / p99", &|side| pair(&side["decision_ms"], "ms"));
    let (compared, differed, dropped) = (&said["compared"], &said["differed"], &said["dropped"]);
    let counted = format!("{compared} snapshots compared, {differed} answered differently, {dropped} dropped");
    let error = text(&said["last_error"]);
    let error = if error.is_empty() { error } else { format!("\nlast error in the shadow: {error}") };
    format!("{table}\n{counted}\n{}{error}", text(&said["verdict"]))
}

fn rollback(said: &Value) -> String {
    if said.is_null() {
        return String::new();
    }
    let how = if said["automatic"] == true { "by itself" } else { "as asked" };
    format!("{how}, from {} to {}: {}", text(&said["from"]), text(&said["to"]), text(&said["reason"]))
}

/// Text without quotes, nothing for null, else JSON.
fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn settings_of(policy: &Value) -> String {
    if empty(&policy["settings"]) { String::new() } else { text(&policy["settings"]) }
}

fn empty(settings: &Value) -> bool {
    settings.as_object().is_none_or(serde_json::Map::is_empty)
}

fn pair(spread: &Value, unit: &str) -> String {
    match (&spread["p50"], &spread["p99"]) {
        (Value::Null, _) | (_, Value::Null) => String::new(),
        (p50, p99) => format!("{p50} / {p99} {unit}"),
    }
}

fn percent(share: &Value) -> String {
    share.as_f64().map_or(String::new(), |share| format!("{:.4} %", 100.0 * share))
}

fn counts(counts: &Value) -> String {
    let counts = counts.as_object().into_iter().flatten().map(|(kind, count)| format!("{count} {kind}"));
    counts.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_does_not_say_is_left_out() {
        let said = json!({
            "name": "greedy", "version": "0.1.0", "summary": "Squeezes", "settings": {}, "hash": "ab", "generation": 3,
            "stats": {
                "calls": 9, "adopted": 8, "jobs_moved": 20, "traps": 0, "timeouts": 0, "fallbacks": 1,
                "refused": { "below_floor": 1 }, "last_error": null, "decision_ms": { "p50": 0.1, "p99": 0.4 },
                "fuel": { "p50": null, "p99": null }, "mean_gap": null,
            },
        });
        let table = installed_table(&said).to_string();
        for shown in ["greedy 0.1.0", "9 / 8", "0.1 / 0.4 ms", "1 below_floor"] {
            assert!(table.contains(shown), "{shown}: {table}");
        }
        for absent in ["null", "fuel", "gap", "last rollback", "shadow", "last error"] {
            assert!(!table.contains(absent), "{absent}: {table}");
        }
    }
}
