//! What wit-bindgen generates of `wit/`: an adapter's exports. Their records compile natively as well.

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
    additional_derives: [PartialEq, Eq],
});
