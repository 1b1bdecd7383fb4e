//! What docs/embedding.md says of versions: wasmtime matches interfaces by them.

use wasmtime::component::{Component, Linker};

/// Both ways, with an interface of each version: what matters is that the first number that isn't 0 is the same.
#[track_caller]
fn links(host: &str, guest: &str, fits: bool) {
    let engine = wasmtime::Engine::default();
    let text = format!(
        r#"(component (import "scimwell:provider/probe@{guest}" (instance (export "ask" (func (result u32))))))"#
    );
    let component = Component::from_binary(&engine, &wat::parse_str(text).expect("it parses")).expect("it compiles");
    let mut linker: Linker<()> = Linker::new(&engine);
    let mut probe = linker.instance(&format!("scimwell:provider/probe@{host}")).expect("a new name");
    probe.func_wrap("ask", |_, ()| Ok((1_u32,))).expect("a new name");
    // What a newer host has beside it is no guest's business.
    probe.func_wrap("added-later", |_, ()| Ok((2_u32,))).expect("a new name");
    assert_eq!(linker.instantiate_pre(&component).is_ok(), fits, "a guest of {guest} on a host of {host}");
}

#[test]
fn versions_fit_within_a_minor_before_1_0_and_a_major_thereafter() {
    links("0.1.0", "0.1.0", true);
    links("0.1.9", "0.1.0", true);
    links("0.1.0", "0.1.9", true);
    links("0.2.0", "0.1.0", false);
    links("0.1.0", "0.2.0", false);
    links("1.4.0", "1.0.2", true);
    links("2.0.0", "1.0.0", false);
    links("1.0.0", "0.1.0", false);
}
