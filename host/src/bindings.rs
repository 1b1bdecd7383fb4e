//! What `wasmtime` generates from `wit/`; the only module that names it converts at the boundary (`instance`, `provider`).

#![allow(missing_docs, unreachable_pub, clippy::pedantic, reason = "generated code")]

wasmtime::component::bindgen!({
    path: "../wit",
    world: "scimwell:provider/provider",
    imports: { default: async | trappable },
    exports: { default: async },
    with: { "scimwell:provider/storage.store": crate::instance::StoreHandle },
});
