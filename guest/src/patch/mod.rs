//! PATCH (RFC 7644 §3.5.2): body -> operations (parse, against the schema) -> a changed document and edits of its edges
//! (apply). All or nothing: the caller drops the document if an operation fails.
//!
//! Architecture invariant: nothing here knows the store. Edges are edited by it, from what [`Applied`] says.

mod apply;
mod parse;

use serde_json::Value;

use crate::filter::Checked;
use crate::schema::Target;

pub use apply::apply;
pub use parse::parse;

/// `op`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// RFC 7644 §3.5.2.1
    Add,
    /// RFC 7644 §3.5.2.2
    Remove,
    /// RFC 7644 §3.5.2.3
    Replace,
}

/// One change to an attribute whose values are edges (`Group.members`), in ids.
#[derive(Clone, Debug)]
pub enum EdgeEdit<'s> {
    /// Add these; those already there stay.
    Add(Vec<String>),
    /// Remove these; absent ones are passed over.
    Remove(Vec<String>),
    /// Remove those that the filter selects.
    RemoveWhere(Checked<'s>),
    /// These and no others; empty clears.
    Replace(Vec<String>),
}

/// What came of applying operations to a document.
#[derive(Clone, Debug, Default)]
pub struct Applied<'s> {
    /// Whether the document differs from what it was.
    pub changed: bool,
    /// Edits of the edges, in order.
    pub edges: Vec<EdgeEdit<'s>>,
}
