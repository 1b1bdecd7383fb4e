//! What wit-bindgen generates: the adapter's exports. Spin's own interfaces are spin-sdk's.

#![allow(
    missing_docs,
    unreachable_pub,
    clippy::pedantic,
    reason = "generated from wit/, where everything is documented"
)]

wit_bindgen::generate!({
    path: "../wit",
    world: "scimwell:provider/adapter",
    pub_export_macro: true,
});
