//! The SCIM 2.0 protocol core of scimwell (RFC 7643, RFC 7644): a pure function from a request to a response, over a store.

pub mod compat;
pub mod datetime;
pub mod error;
pub mod filter;
pub mod http;
pub mod limits;
pub mod patch;
pub mod project;
pub mod query;
pub mod resource;
pub mod schema;
pub mod store;
pub mod suggest;
pub mod validate;
