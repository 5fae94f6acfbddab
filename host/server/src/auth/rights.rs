//! What somebody may do.

/// What somebody may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rights {
    /// Submit jobs, and cancel its own.
    pub(crate) submit: bool,
    /// Look at its jobs, and at models, policies and metrics.
    pub(crate) read: bool,
    /// Change policies and models, and see everybody's jobs.
    pub(crate) admin: bool,
}

impl Rights {
    /// Of a program on the server's machine, where there are no tokens.
    pub(crate) const LOCAL: Rights = Rights { submit: true, read: true, admin: false };
}
