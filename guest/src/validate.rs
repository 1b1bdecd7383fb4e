//! What a client sends, brought into the one form that the rest of the core works with, or refused.
//!
//! Names are in canonical spelling, values have the schema's type, and what stands for "no value" is gone. Strings are never
//! normalised: a client that reads back another phone number than it wrote updates it for ever.
//!
//! Architecture invariant: nothing here knows the store or a concrete attribute; the schema's data decides.

mod document;
mod draft;
mod json;
mod place;
mod value;

pub use document::{document, immutable};
pub use draft::{Draft, draft, member_ids};
pub use json::parse_json;
pub use value::{element, value};
