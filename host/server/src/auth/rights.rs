//! What somebody may do.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One thing that somebody may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Right {
    /// Submit jobs, and cancel those of its tenant.
    Submit,
    /// Look at its tenant's jobs, and at models, policies and metrics.
    Read,
    /// Change policies and models, and all of it for every tenant.
    Admin,
}

/// What somebody may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rights {
    pub(crate) submit: bool,
    pub(crate) read: bool,
    pub(crate) admin: bool,
}

impl Right {
    /// As tokens' files and messages call it.
    pub fn word(self) -> &'static str {
        match self {
            Right::Submit => "submit",
            Right::Read => "read",
            Right::Admin => "admin",
        }
    }
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl Rights {
    /// Everything.
    pub(crate) const ADMIN: Rights = Rights { submit: true, read: true, admin: true };
    /// What everybody may do where there are no tokens.
    pub(crate) const OPEN: Rights = Rights { submit: true, read: true, admin: false };

    /// Whoever has these may do that.
    pub(crate) fn has(self, right: Right) -> bool {
        match right {
            Right::Submit => self.submit,
            Right::Read => self.read,
            Right::Admin => self.admin,
        }
    }
}

/// Whoever is an admin may do everything.
impl FromIterator<Right> for Rights {
    fn from_iter<T: IntoIterator<Item = Right>>(rights: T) -> Rights {
        rights.into_iter().fold(Rights::default(), |rights, right| match right {
            Right::Submit => Rights { submit: true, ..rights },
            Right::Read => Rights { read: true, ..rights },
            Right::Admin => Rights::ADMIN,
        })
    }
}
