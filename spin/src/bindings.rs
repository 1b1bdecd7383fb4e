//! What wit-bindgen generates: the adapter's exports, and wasi:http for the call-out. Spin's own interfaces are spin-sdk's.

#![allow(
    missing_docs,
    unreachable_pub,
    clippy::pedantic,
    reason = "generated from wit/, where everything is documented"
)]

wit_bindgen::generate!({
    path: "../wit",
    inline: "
        package scimwell:spin;
        world spin {
            include scimwell:provider/adapter@0.1.0;
            import wasi:http/outgoing-handler@0.2.12;
        }
    ",
    world: "scimwell:spin/spin",
    generate_all,
    pub_export_macro: true,
});
