//! PATCH (RFC 7644 §3.5.2): body -> operations (parse, against the schema) -> a changed document and edits of its edges
//! (apply). All or nothing: the caller drops the document if an operation fails.
//!
//! Architecture invariant: nothing here knows the store. Edges are edited by it, from what [`Applied`] says.

mod apply;
mod parse;

use serde_json::Value;

use crate::filter::Checked;
use crate::resource::Object;
use crate::schema::{Attribute, Schema, Target};

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

/// One change, fitted to the schema. An operation without a path is one of these for each attribute in its value.
#[derive(Clone, Debug)]
pub struct Operation<'s> {
    /// Which of the body's operations it comes from, from 0.
    pub index: usize,
    /// What to do.
    pub verb: Verb,
    /// Where.
    pub place: Place<'s>,
    /// The value in its canonical form; `None` where there is none, which unsets what `place` names.
    pub value: Option<Value>,
}

/// What an operation changes.
#[derive(Clone, Debug)]
pub enum Place<'s> {
    /// All attributes of an extension; only ever unset.
    Extension(&'s Schema),
    /// An attribute or, of each value of it, a sub-attribute. A single complex attribute that is set by an object comes
    /// as its sub-attributes, one by one.
    Attribute(Target<'s>),
    /// Those values of a multi-valued attribute that a filter selects.
    Values {
        /// The multi-valued attribute.
        target: Target<'s>,
        /// Selects values.
        filter: Checked<'s>,
        /// The sub-attribute to change; the whole value where there is none.
        sub: Option<&'s Attribute>,
        /// A value that the filter would select, where the filter only says what is equal to what.
        seed: Option<Object>,
    },
    /// Values that are edges.
    Edges(EdgeEdit<'s>),
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
