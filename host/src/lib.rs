//! The scimwell host: runs the SCIM 2.0 provider component on wasmtime, with storage, authentication and policy of your
//! choice.
//!
//! - [`Engine`] compiles the component once, or loads it from a [`CodeCache`]; [`Provider`] answers requests, each instance
//!   for one tenant only.
//! - [`ScimService`] mounts a provider in any hyper, tower or axum application.
//! - [`storage::Storage`], [`authenticator::Authenticator`] and [`policy::Policy`] are what an application implements;
//!   memory, redb and PostgreSQL storage and stored tokens come with the crate.
//! - [`changes::ChangeHandler`] is told what was changed: before the client gets its answer, or soon after.
//! - [`ServiceComponent`] runs the `wasi:http` build of the component, as Spin does.
//!
//! ```
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! use std::sync::Arc;
//! use scimwell::{Config, Engine, Provider, Request, ScimService, policy::AllowAll, storage::Memory, tokens::StaticToken};
//!
//! let component = scimwell::component().ok_or("run `cargo xtask build` first")?;
//! let engine = Arc::new(Engine::new(component, Config::default())?);
//! let token = StaticToken::new("s3cret", "default");
//! let provider = Arc::new(Provider::new(engine, Arc::new(Memory::new()), Arc::new(token), Arc::new(AllowAll)));
//!
//! let response = provider
//!     .handle(Request {
//!         method: "POST".to_owned(),
//!         target: "/Users".to_owned(),
//!         headers: vec![("authorization".to_owned(), "Bearer s3cret".to_owned())],
//!         body: br#"{"userName": "ann@example.com"}"#.to_vec(),
//!         base_url: "https://example.com/scim/v2".to_owned(),
//!         ..Request::default()
//!     })
//!     .await;
//! assert_eq!(response.status, 201);
//!
//! let service = ScimService::new(provider); // a tower Service: `axum::Router::fallback_service(service)`
//! # drop(service);
//! # Ok::<(), Box<dyn std::error::Error>>(()) })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Features
//!
//! All are on unless turned off; an application that brings its own storage needs none of them.
//!
//! - `redb`: the embedded database, `storage::Redb`.
//! - `postgres`: `storage::Postgres`.
//! - `server`: the HTTP server and the command line of the program `scimwell`; takes `redb` with it.

pub mod authenticator;
mod bindings;
pub mod changes;
// Public for the program alone, and so are `command` and `server`: no promise is made of them to applications.
#[cfg(feature = "server")]
#[doc(hidden)]
pub mod check;
mod code_cache;
#[cfg(feature = "server")]
#[doc(hidden)]
pub mod command;
#[cfg(feature = "server")]
mod datetime;
mod engine;
mod error;
mod instance;
mod kept;
mod metrics;
pub mod policy;
mod provider;
#[cfg(feature = "server")]
#[doc(hidden)]
pub mod server;
mod service;
pub mod storage;
pub mod tenants;
pub mod tokens;
mod wasi_http;

pub use code_cache::CodeCache;
pub use engine::{Config, Engine};
pub use error::{Error, Result};
pub use metrics::Metrics;
pub use provider::{Handled, MEDIA_TYPE, Provider, Request, Response};
pub use service::{ClientCertificateSubject, DEFAULT_BODY_LIMIT, PeerAddress, ScimService, Secure, Served};
pub use wasi_http::ServiceComponent;

/// The component, where this crate was built with one: the file that `SCIMWELL_COMPONENT` named then, or what `cargo xtask build`
/// had left in `target/`.
pub fn component() -> Option<&'static [u8]> {
    static COMPONENT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/component.wasm"));
    (!COMPONENT.is_empty()).then_some(COMPONENT)
}
