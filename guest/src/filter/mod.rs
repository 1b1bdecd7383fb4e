//! Filters (RFC 7644 §3.4.2.2): text -> [`Filter`] (parse) -> [`Checked`] (check, against the schema) -> `matches` (eval).
//! PATCH paths (§3.5.2) are the same grammar and the same AST.
//!
//! Architecture invariant: nothing here knows the store.

mod check;
mod eval;
mod parse;

use std::fmt;

pub use check::{Checked, Operand, check};
pub use parse::{parse, parse_path};

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

impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Eq => "eq",
            Self::Ne => "ne",
            Self::Co => "co",
            Self::Sw => "sw",
            Self::Ew => "ew",
            Self::Gt => "gt",
            Self::Ge => "ge",
            Self::Lt => "lt",
            Self::Le => "le",
        })
    }
}
