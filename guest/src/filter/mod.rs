//! Filters (RFC 7644 §3.4.2.2): text -> [`Filter`] (parse) -> [`Checked`] (check, against the schema) -> `matches` (eval).
//! PATCH paths (§3.5.2) are the same grammar and the same AST.
//!
//! Architecture invariant: nothing here knows the store.

mod across;
mod check;
mod eval;
mod explain;
mod parse;
mod plan;
mod show;

use std::fmt;

pub use across::{Across, check_across, equals, nowhere};
pub use check::{Checked, Operand, check, check_values, is_unknown, resolve};
pub use parse::{parse, parse_path};
pub use plan::{Access, Plan, Rest, Way, plan};

/// An attribute as a request names it: `urn:…:User:name.familyName` in its parts, spelled as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttributePath {
    /// The schema URN in front, without the colon that ends it.
    pub urn: Option<String>,
    /// The attribute.
    pub name: String,
    /// The sub-attribute after the dot.
    pub sub: Option<String>,
}

/// A comparison operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// equal
    Eq,
    /// not equal
    Ne,
    /// contains
    Co,
    /// starts with
    Sw,
    /// ends with
    Ew,
    /// greater than
    Gt,
    /// greater than or equal
    Ge,
    /// less than
    Lt,
    /// less than or equal
    Le,
}

/// What an attribute is compared with.
#[derive(Clone, Debug, PartialEq)]
pub enum Literal {
    /// A JSON string, unescaped.
    String(String),
    /// A JSON number.
    Number(serde_json::Number),
    /// `true` or `false`
    Boolean(bool),
    /// `null`
    Null,
}

/// A filter as written, before the schema is looked at.
#[derive(Clone, Debug, PartialEq)]
pub enum Filter {
    /// All of two or more.
    And(Vec<Filter>),
    /// Any of two or more.
    Or(Vec<Filter>),
    /// None of it.
    Not(Box<Filter>),
    /// `attribute op literal`
    Compare(AttributePath, Operator, Literal),
    /// `attribute pr`
    Present(AttributePath),
    /// `attribute[filter]`: one value of the attribute satisfies all of the inner filter.
    Values(AttributePath, Box<Filter>),
}

/// A PATCH path: `attribute`, `attribute.sub`, `attribute[filter]`, `attribute[filter].sub`.
#[derive(Clone, Debug, PartialEq)]
pub struct Path {
    /// The attribute; with a filter, its `sub` is `None`.
    pub attribute: AttributePath,
    /// Selects values of a multi-valued attribute.
    pub filter: Option<Filter>,
    /// The sub-attribute after the filter's bracket.
    pub sub: Option<String>,
}

impl Operator {
    /// The operator written `word`, in any case; `pr` is none, since it compares with nothing.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Eq, Self::Ne, Self::Co, Self::Sw, Self::Ew, Self::Gt, Self::Ge, Self::Lt, Self::Le]
            .into_iter()
            .find(|operator| operator.word().eq_ignore_ascii_case(word))
    }

    fn word(self) -> &'static str {
        match self {
            Self::Eq => "eq",
            Self::Ne => "ne",
            Self::Co => "co",
            Self::Sw => "sw",
            Self::Ew => "ew",
            Self::Gt => "gt",
            Self::Ge => "ge",
            Self::Lt => "lt",
            Self::Le => "le",
        }
    }
}

impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl fmt::Display for AttributePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(urn) = &self.urn {
            write!(f, "{urn}:")?;
        }
        f.write_str(&self.name)?;
        match &self.sub {
            Some(sub) => write!(f, ".{sub}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // JSON's own quoting and escapes.
            Self::String(text) => write!(f, "{}", serde_json::Value::from(text.as_str())),
            Self::Number(number) => write!(f, "{number}"),
            Self::Boolean(boolean) => write!(f, "{boolean}"),
            Self::Null => f.write_str("null"),
        }
    }
}

/// Prints what parses back to the same filter, with no more parentheses than that takes.
impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::And(filters) => join(f, filters, " and ", |filter| matches!(filter, Self::And(_) | Self::Or(_))),
            Self::Or(filters) => join(f, filters, " or ", |filter| matches!(filter, Self::Or(_))),
            Self::Not(filter) => write!(f, "not ({filter})"),
            Self::Compare(attribute, operator, literal) => write!(f, "{attribute} {operator} {literal}"),
            Self::Present(attribute) => write!(f, "{attribute} pr"),
            Self::Values(attribute, filter) => write!(f, "{attribute}[{filter}]"),
        }
    }
}

fn join(f: &mut fmt::Formatter<'_>, filters: &[Filter], separator: &str, group: fn(&Filter) -> bool) -> fmt::Result {
    for (i, filter) in filters.iter().enumerate() {
        if i > 0 {
            f.write_str(separator)?;
        }
        if group(filter) {
            write!(f, "({filter})")?;
        } else {
            write!(f, "{filter}")?;
        }
    }
    Ok(())
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.attribute)?;
        if let Some(filter) = &self.filter {
            write!(f, "[{filter}]")?;
        }
        match &self.sub {
            Some(sub) => write!(f, ".{sub}"),
            None => Ok(()),
        }
    }
}
