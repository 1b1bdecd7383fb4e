//! Where in a request a value stands.

use std::fmt;

/// A path such as `emails[0].value`, kept in its parts: it is written out only where an error or a tolerance needs it,
/// which for most values is never.
#[derive(Clone, Copy)]
pub(super) enum Place<'a> {
    /// What the caller calls the attribute.
    Attribute(&'a str),
    /// An attribute of the extension with this URN.
    Extension(&'a str, &'a str),
    /// The n-th value, from 0.
    Value(&'a Place<'a>, usize),
    /// A sub-attribute.
    Sub(&'a Place<'a>, &'a str),
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Attribute(name) => f.write_str(name),
            Self::Extension(urn, name) => write!(f, "{urn}:{name}"),
            Self::Value(parent, index) => write!(f, "{parent}[{index}]"),
            Self::Sub(parent, name) => write!(f, "{parent}.{name}"),
        }
    }
}
