//! A token, as the server knows it.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::rates::Rate;
use super::rights::Rights;

/// SHA-256 of a token.
pub(crate) type TokenHash = [u8; 32];

/// What somebody shows who may do something.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Token {
    /// What it is called in logs.
    pub(crate) name: Arc<str>,
    /// Whose jobs it is for; `None` for whoever may do everything for everybody.
    pub(crate) tenant: Option<Arc<str>>,
    pub(crate) rights: Rights,
    /// The tenant's share of what is scarce, beside others' 1.
    pub(crate) weight: Option<f64>,
    /// How often it may submit.
    pub(crate) rate: Option<Rate>,
}

/// What is kept of a token.
pub(super) fn digest(token: &str) -> TokenHash {
    Sha256::digest(token).into()
}
