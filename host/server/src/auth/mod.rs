//! Who may do what: rights, and where they come from.

mod rights;

pub(crate) use rights::Rights;
