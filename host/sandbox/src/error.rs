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
    /// It begins like a component, but is not a valid one: truncated, or using a proposal that is switched off.
    #[error("the component is broken: {0}")]
    Invalid(String),
    /// It wants more than the contract's host functions.
    #[error("the policy imports {0}, expected nothing but mosel:policy/host")]
    ForbiddenImport(String),
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
