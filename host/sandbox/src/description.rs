//! What a policy says of itself.

use crate::LoadError;
use crate::bindings::types;

/// What a policy says of itself; every field is bounded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// Its own name, which need not be the one it was loaded under.
    pub name: String,
    /// Its own version.
    pub version: String,
    /// One line for people.
    pub summary: String,
    /// Keeps state that is worth handing to a successor.
    pub stateful: bool,
    /// Wants to be told what became of jobs.
    pub feedback: bool,
    /// Wants to be asked after every change while some waiting job is not on its most accurate strategy.
    pub eager: bool,
    /// JSON Schema of its settings, empty if it has none.
    pub settings_schema: String,
}

impl TryFrom<types::Description> for Description {
    type Error = LoadError;

    fn try_from(description: types::Description) -> Result<Description, LoadError> {
        let types::Description { name, version, summary, capabilities, config_schema } = description;
        let fields = [
            ("name", &name, 64),
            ("version", &version, 64),
            ("summary", &summary, 1 << 10),
            ("config-schema", &config_schema, 64 << 10),
        ];
        for (field, text, most) in fields {
            if text.len() > most {
                return Err(LoadError::DescriptionTooLong { field, bytes: text.len(), most });
            }
        }
        let stateful = capabilities.contains(types::Capabilities::STATEFUL);
        let feedback = capabilities.contains(types::Capabilities::FEEDBACK);
        let eager = capabilities.contains(types::Capabilities::EAGER);
        Ok(Description { name, version, summary, stateful, feedback, eager, settings_schema: config_schema })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn description(name: usize, schema: usize) -> Result<Description, LoadError> {
        Description::try_from(types::Description {
            name: "n".repeat(name),
            version: "1".into(),
            summary: "s".into(),
            capabilities: types::Capabilities::FEEDBACK,
            config_schema: "x".repeat(schema),
        })
    }

    #[test]
    fn descriptions_are_bounded() {
        assert!(description(64, 64 << 10).is_ok_and(|description| description.feedback && !description.stateful));
        let too_long = |field, bytes, most| Err(LoadError::DescriptionTooLong { field, bytes, most });
        assert_eq!(description(65, 0), too_long("name", 65, 64));
        assert_eq!(description(0, (64 << 10) + 1), too_long("config-schema", (64 << 10) + 1, 64 << 10));
    }
}
