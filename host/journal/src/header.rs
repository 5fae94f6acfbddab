//! The first line of a journal.

use std::sync::Arc;

use mosel_core::{Checkpoint, Config, ModelId, Scheduler, StrategyMatrix};
use serde::{Deserialize, Serialize};

use crate::wire::{CheckpointLine, ConfigLine, ModelLine};

/// The version that is written: of the format, and of the rules by which the scheduler decides. Older ones are read; what
/// their rules decided is believed, since it cannot be decided again.
pub const VERSION: u32 = 2;
/// The oldest that is read.
const OLDEST: u32 = 1;

/// What the steps of a journal depend on.
#[derive(Clone, Debug)]
pub struct Header {
    /// The version of the format and the rules, at most [`VERSION`].
    pub version: u32,
    /// The version of the program that wrote it.
    pub server: String,
    /// When it was begun, as text (RFC 3339); `None` in simulations, whose journals are repeatable.
    pub written: Option<String>,
    /// The scheduler's configuration.
    pub config: Config,
    /// The models, by id.
    pub models: Vec<Arc<StrategyMatrix>>,
    /// The policy in place.
    pub policy: PolicyRecord,
    /// The scheduler's state at the first step, unless that was an empty server.
    pub checkpoint: Option<Checkpoint>,
}

/// Which policy is in place.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyRecord {
    /// Its name.
    pub name: String,
    /// The SHA-256 of its component, as hexadecimal text.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub hash: String,
    /// Its settings, as JSON text.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub settings: String,
}

#[derive(Serialize, Deserialize)]
struct HeaderLine {
    mosel: String,
    version: u32,
    server: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    written: Option<String>,
    config: ConfigLine,
    models: Vec<ModelLine>,
    policy: PolicyRecord,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    checkpoint: Option<CheckpointLine>,
}

/// What every journal says it is.
const MAGIC: &str = "journal";

/// Just enough to tell another version from nonsense.
#[derive(Deserialize)]
struct Mark {
    mosel: String,
    version: u32,
}

impl Header {
    /// The header of a journal that begins with this scheduler as it is.
    pub fn of(scheduler: &Scheduler, policy: PolicyRecord, server: &str) -> Header {
        let empty = Scheduler::new(scheduler.config().clone(), scheduler.models().to_vec()).checkpoint();
        Header {
            version: VERSION,
            server: server.into(),
            written: None,
            config: scheduler.config().clone(),
            models: scheduler.models().to_vec(),
            policy,
            checkpoint: Some(scheduler.checkpoint()).filter(|checkpoint| *checkpoint != empty),
        }
    }

    /// The line, with its end.
    pub fn to_line(&self) -> String {
        let line = HeaderLine {
            mosel: MAGIC.into(),
            version: self.version,
            server: self.server.clone(),
            written: self.written.clone(),
            config: (&self.config).into(),
            models: self.models.iter().map(|matrix| matrix.as_ref().into()).collect(),
            policy: self.policy.clone(),
            checkpoint: self.checkpoint.as_ref().map(CheckpointLine::from),
        };
        let mut text = serde_json::to_string(&line).expect("every field has a JSON form");
        text.push('\n');
        text
    }

    /// Reads a line. The strategies of every model are computed anew. The error says what was expected.
    pub fn parse(line: &str) -> Result<Header, String> {
        let mark: Mark = serde_json::from_str(line).map_err(|error| format!("expected a journal's header: {error}"))?;
        if mark.mosel != MAGIC {
            return Err(format!("expected a {MAGIC:?}, got {:?}", mark.mosel));
        }
        if !(OLDEST..=VERSION).contains(&mark.version) {
            let version = mark.version;
            return Err(format!("the journal is of version {version}, this program reads {OLDEST} to {VERSION}"));
        }
        let line: HeaderLine = serde_json::from_str(line).map_err(|error| format!("in the header: {error}"))?;
        let models = line.models.into_iter().enumerate();
        Ok(Header {
            version: line.version,
            server: line.server,
            written: line.written,
            config: line.config.read()?,
            models: models.map(|(id, model)| model.read(ModelId(id as u32))).collect::<Result<_, _>>()?,
            policy: line.policy,
            checkpoint: line.checkpoint.map(CheckpointLine::read).transpose()?,
        })
    }

    /// This program decides by the rules that the journal was written under: its steps can be taken again.
    pub fn has_todays_rules(&self) -> bool {
        self.version == VERSION
    }

    /// The scheduler that the first step was taken by.
    pub fn scheduler(&self) -> Result<Scheduler, String> {
        let (config, models) = (self.config.clone(), self.models.clone());
        match &self.checkpoint {
            None => Ok(Scheduler::new(config, models)),
            Some(checkpoint) => Scheduler::resume(config, models, checkpoint).map_err(|error| error.to_string()),
        }
    }
}
