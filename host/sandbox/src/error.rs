//! Why there is no policy. The texts are for an operator who did not write it.

use mosel_core::PolicyError;
use thiserror::Error;

use crate::CONTRACT_VERSION;

/// Why a component cannot be used as a policy.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LoadError {
    /// Longer than [`Limits::component_bytes`](crate::Limits::component_bytes).
    #[error("the component has {bytes} bytes, expected at most {most}")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The largest allowed.
        most: usize,
    },
    /// Not WebAssembly, or neither a module nor a component.
    #[error("these {bytes} bytes are no WebAssembly component: they do not begin with the header of one")]
    NotWasm {
        /// How many there are.
        bytes: usize,
    },
    /// A module: the linker was not told to make a component.
    #[error(
        "this is a core WebAssembly module, expected a component; build it with \
         --config 'target.wasm32-unknown-unknown.linker=\"wasm-component-ld\"'"
    )]
    CoreModule,
    /// It begins like a component, but is not a valid one: truncated, or using a decision that is switched off.
    #[error("the component is broken: {0}")]
    Invalid(String),
    /// It wants more than the contract's host functions.
    #[error("the policy imports {0}{what}, expected nothing but mosel:policy/host{advice}", what = what(.0), advice = advice(.0))]
    ForbiddenImport(String),
    /// It wants a function of the host that this server does not have.
    #[error(
        "the policy imports the function {0} of mosel:policy/host, which this server does not have; in version \
         {CONTRACT_VERSION} of the contract there are log, now, remaining and random: was it built for a later one?"
    )]
    UnknownHostFunction(String),
    /// It does not export the contract's interface.
    #[error("the component does not export mosel:policy/policy, so it is no policy; it exports {0}")]
    NoPolicy(String),
    /// Built for another version of the contract.
    #[error("the policy was built for version {built_for} of the contract, this server speaks {CONTRACT_VERSION}")]
    WrongVersion {
        /// As the component says.
        built_for: String,
    },
    /// Names and version are right, types are not.
    #[error("the policy does not match version {CONTRACT_VERSION} of the contract: {0}")]
    WrongShape(String),
    /// It could not be asked who it is.
    #[error("the policy does not say who it is: {0}")]
    Describe(PolicyError),
    /// What it says of itself is too long.
    #[error("the policy's {field} has {bytes} bytes, expected at most {most}")]
    DescriptionTooLong {
        /// Of the description.
        field: &'static str,
        /// Its size.
        bytes: usize,
        /// The largest allowed.
        most: usize,
    },
}

/// Why a loaded policy does not start.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ConfigureError {
    /// The policy refuses these settings; the operator can mend it.
    #[error("the policy refuses its settings: {0}")]
    BadSettings(String),
    /// The policy failed.
    #[error("{0}")]
    Failed(PolicyError),
}

/// What an import is for, where that is known.
fn what(import: &str) -> &'static str {
    let known = [
        ("wasi:filesystem/", " (files)"),
        ("wasi:sockets/", " (sockets)"),
        ("wasi:http/", " (the network)"),
        ("wasi:cli/", " (environment, arguments, standard streams)"),
        ("wasi:clocks/", " (clocks)"),
        ("wasi:random/", " (random numbers)"),
        ("wasi:io/", " (streams)"),
    ];
    known.iter().find(|(prefix, _)| import.starts_with(prefix)).map_or("", |(_, what)| what)
}

/// How its author gets rid of it.
fn advice(import: &str) -> &'static str {
    if import.starts_with("wasi:") {
        ": a policy reaches no files, no network and no environment; build it for wasm32-unknown-unknown"
    } else if import.starts_with("mosel:policy/") {
        ": this server's contract has no such interface"
    } else {
        ""
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(import: &str) -> String {
        LoadError::ForbiddenImport(import.into()).to_string()
    }

    #[test]
    fn an_import_is_refused_in_words_its_author_understands() {
        assert_eq!(
            words("wasi:sockets/tcp@0.2.3"),
            "the policy imports wasi:sockets/tcp@0.2.3 (sockets), expected nothing but mosel:policy/host: a policy \
             reaches no files, no network and no environment; build it for wasm32-unknown-unknown"
        );
        assert_eq!(
            words("mosel:policy/storage@0.1.0"),
            "the policy imports mosel:policy/storage@0.1.0, expected nothing but mosel:policy/host: this server's \
             contract has no such interface"
        );
        assert_eq!(words("other"), "the policy imports other, expected nothing but mosel:policy/host");
    }
}
