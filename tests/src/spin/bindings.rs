//! What `wasmtime` generates: Spin's interfaces, which the stand-in implements, and the adapter's exports.

#![allow(missing_docs, unreachable_pub, clippy::pedantic, reason = "generated code")]

pub(crate) mod spin {
    wasmtime::component::bindgen!({
        path: "wit/spin",
        world: "scimwell:stand-in/stand-in",
        imports: { default: async | trappable },
        with: {
            "spin:postgres/postgres.connection": crate::spin::postgres::Connection,
            "spin:sqlite/sqlite.connection": crate::spin::sqlite::Connection,
        },
    });
}

pub(crate) mod adapter {
    wasmtime::component::bindgen!({
        path: "../wit",
        world: "scimwell:provider/adapter",
        exports: { default: async },
    });
}
