//! What `wasmtime` generates from `wit/`; the only module that names it converts at the boundary (`instance`, `provider`).

#![allow(missing_docs, unreachable_pub, clippy::pedantic, reason = "generated code")]

wasmtime::component::bindgen!({
    path: "../wit",
    world: "scimwell:provider/provider",
    imports: { default: async | trappable },
    exports: { default: async },
    with: { "scimwell:provider/storage.store": crate::instance::StoreHandle },
});

/// What the world `service` imports besides.
pub(crate) mod service {
    wasmtime::component::bindgen!({
        path: "../wit",
        inline: "package scimwell:host; world service { import scimwell:provider/settings@0.1.0; }",
        world: "scimwell:host/service",
        imports: { default: async | trappable },
    });
}
