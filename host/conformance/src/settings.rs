//! What it says of itself, and which settings it takes.

use mosel_core::PolicyError;
use mosel_sandbox::{ConfigureError, RunningPolicy};
use serde_json::{Map, Value};

use crate::check_run::CheckRun;
use crate::{Check, Outcome, queues};

/// No policy has a setting of this name.
const UNKNOWN: &str = "no-policy-has-this-setting";
/// Texts that are not settings.
const BROKEN: [&str; 5] = ["{", "{]", "settings", "[1, 2]", "{\"a\": \u{1}}"];

pub(crate) fn description(run: &mut CheckRun) {
    let description = run.loaded.description();
    let mut wrong = Vec::new();
    if description.name.trim().is_empty() {
        wrong.push("it has no name".to_owned());
    }
    if description.version.trim().is_empty() {
        wrong.push("it has no version".to_owned());
    }
    if let Err(reason) = schema(&description.settings_schema) {
        wrong.push(format!("its settings' schema is no JSON object: {reason}"));
    }
    let words = format!("{} {}: {}", description.name, description.version, description.summary);
    match wrong[..] {
        [] => run.say(Check::Description, Outcome::Pass, words),
        _ => run.say(Check::Description, Outcome::Fail, wrong.join("; ")),
    }
}

/// Starts the policy as the operator would; without that there is nothing more to check.
pub(crate) fn given(run: &mut CheckRun) -> bool {
    match start(run, run.settings) {
        Ok(_) => run.say(Check::Settings, Outcome::Pass, format!("it starts with {}", run.settings)),
        Err(error) => {
            run.say(Check::Settings, Outcome::Fail, format!("it does not start with {}: {error}", run.settings));
            return false;
        }
    }
    true
}

pub(crate) fn others(run: &mut CheckRun) {
    defaults(run);
    unknown(run);
    broken(run);
}

fn defaults(run: &mut CheckRun) {
    let schema = schema(&run.loaded.description().settings_schema).unwrap_or_default();
    let stated = stated_defaults(&schema);
    for settings in ["{}".to_owned(), Value::Object(stated.clone()).to_string()] {
        match start(run, &settings) {
            Ok(_) => {}
            Err(ConfigureError::BadSettings(reason)) => {
                let words = format!("it cannot be used without settings; of {settings} it says: {reason}");
                return run.say(Check::Defaults, Outcome::Warn, words);
            }
            Err(ConfigureError::Failed(error)) => {
                return run.say(Check::Defaults, Outcome::Fail, format!("with {settings}: {error}"));
            }
        }
    }
    let words = match stated.len() {
        0 => "it starts with {}".to_owned(),
        count => format!("it starts with {{}} and with the {count} defaults of its schema"),
    };
    run.say(Check::Defaults, Outcome::Pass, words);
}

fn unknown(run: &mut CheckRun) {
    let mut settings: Map<String, Value> = serde_json::from_str(run.settings).unwrap_or_default();
    settings.insert(UNKNOWN.into(), Value::Bool(true));
    let (outcome, words) = match start(run, &Value::Object(settings).to_string()) {
        Err(ConfigureError::BadSettings(reason)) => (Outcome::Pass, format!("refused: {reason}")),
        Err(ConfigureError::Failed(PolicyError::Declined(reason))) => (
            Outcome::Warn,
            format!("refused, but not as bad settings, so an operator is not told what to mend: {reason}"),
        ),
        Err(ConfigureError::Failed(error)) => (Outcome::Fail, format!("with the setting {UNKNOWN}: {error}")),
        Ok(_) => (Outcome::Warn, format!("it takes a setting {UNKNOWN} without a word")),
    };
    run.say(Check::UnknownSettings, outcome, words);
}

fn broken(run: &mut CheckRun) {
    for text in BROKEN {
        match start(run, text) {
            Err(ConfigureError::BadSettings(_) | ConfigureError::Failed(PolicyError::Declined(_))) => {}
            Err(ConfigureError::Failed(error)) => {
                return run.say(Check::BrokenSettings, Outcome::Fail, format!("with the settings {text:?}: {error}"));
            }
            Ok(_) => {
                return run.say(Check::BrokenSettings, Outcome::Fail, format!("it takes {text:?} for settings"));
            }
        }
    }
    run.say(Check::BrokenSettings, Outcome::Pass, format!("{} texts refused", BROKEN.len()));
}

fn start(run: &CheckRun, settings: &str) -> Result<RunningPolicy, ConfigureError> {
    let catalog = queues::catalog(run.options.seed, 3, 4);
    RunningPolicy::start(run.loaded.clone(), settings, &catalog, run.options.seed)
}

fn schema(text: &str) -> Result<Map<String, Value>, serde_json::Error> {
    if text.is_empty() { Ok(Map::new()) } else { serde_json::from_str(text) }
}

/// The defaults that a schema's properties state.
fn stated_defaults(schema: &Map<String, Value>) -> Map<String, Value> {
    let properties = schema.get("properties").and_then(Value::as_object);
    let stated = |(name, property): (&String, &Value)| Some((name.clone(), property.get("default")?.clone()));
    properties.into_iter().flatten().filter_map(stated).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_read_from_a_schema() {
        let text = r#"{"type": "object", "properties": {"a": {"default": 3}, "b": {"type": "string"}}}"#;
        let defaults = stated_defaults(&schema(text).unwrap());
        assert_eq!(Value::Object(defaults).to_string(), r#"{"a":3}"#);
        assert!(stated_defaults(&schema("").unwrap()).is_empty());
        assert!(schema("[]").is_err() && schema("{").is_err());
    }
}
