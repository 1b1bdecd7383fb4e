//! scimwell over the wire: an adapter component (world `scimwell:provider/adapter`) that exports what the `service` component
//! imports, and asks an application for it by HTTP. So any host of wasi:http, `wasmtime serve` for one, serves SCIM over the
//! database of an application in any language. docs/embedding.md, "Over the wire", tells the protocol.
//!
//! | module | what |
//! |---|---|
//! | `component` | the exports: the grant that lets into one tenant's store, failures logged |
//! | [`storage`] | a storage's calls as JSON, and what its answers mean |
//! | [`who`] | the question who is calling, and what an answer means |
//! | [`settings`] | the settings, from the environment |
//! | [`base64`] | bytes in JSON |
//!
//! Tokens, the question before a change and what is generated of `wit/` are `scimwell-adapter`'s.
//!
//! Architecture invariant: only `component` does I/O; it alone is compiled for WebAssembly only.

pub mod base64;
pub mod settings;
pub mod storage;
pub mod who;

#[cfg(target_family = "wasm")]
mod component;

pub use scimwell_adapter::bindings::exports::scimwell::provider::{authenticator, storage as store};
