//! What the adapter components (world `scimwell:provider/adapter`) of `spin/` and `wire/` have in common.
//!
//! | module | what |
//! |---|---|
//! | [`bindings`] | what wit-bindgen generates of `wit/`; each adapter exports it |
//! | [`settings`] | where an adapter's settings come from, and what they are called there |
//! | [`tokens`] | who is let in: tokens from settings |
//! | [`policy`] | the question to the application before a change, and what its answer means |
//! | [`grant`] | the tenant whose store is open |
//! | [`url`] | where something is asked |
//! | `callout`, `http` | the question, asked over wasi:http; compiled for WebAssembly only |
//!
//! Architecture invariant: only `callout` and `http` do I/O, [`tokens`] reads the clock, and nothing here knows a host's own interfaces.

pub mod bindings;
pub mod grant;
pub mod policy;
pub mod settings;
pub mod tokens;
pub mod url;

#[cfg(target_family = "wasm")]
pub mod callout;
#[cfg(target_family = "wasm")]
pub mod http;
