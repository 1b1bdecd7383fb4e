//! What docs/embedding.md says of versions: which guests run on which hosts, and that the WIT packages can be published.

use std::sync::Arc;

use scimwell::policy::AllowAll;
use scimwell::storage::Memory;
use scimwell::tokens::StaticToken;
use scimwell::{Config, Engine, Provider, Request};
use scimwell_tests::server::workspace;
use wasmtime::component::{Component, Linker};
use wit_component::{DecodedWasm, decode, encode};
use wit_parser::Resolve;

fn guest() -> Vec<u8> {
    let path = workspace().join("target/components/scimwell.wasm");
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}: run `cargo xtask build` first", path.display()))
}

/// The guest with `from` replaced by `to` wherever it occurs; of the same length, as a binary counts its bytes.
fn guest_with(from: &str, to: &str) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut bytes = guest();
    let places: Vec<usize> =
        bytes.windows(from.len()).enumerate().filter(|(_, at)| *at == from.as_bytes()).map(|(at, _)| at).collect();
    assert!(!places.is_empty(), "{from} is nowhere in the component");
    for at in places {
        bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
    }
    bytes
}

/// The guest as if its package had another version.
fn guest_of_version(version: &str) -> Vec<u8> {
    let mut bytes = guest();
    for interface in ["authenticator", "handler", "policy", "storage"] {
        let name = |version: &str| format!("scimwell:provider/{interface}@{version}").into_bytes();
        let (old, new) = (name("0.1.0"), name(version));
        assert_eq!(old.len(), new.len());
        let places: Vec<usize> =
            bytes.windows(old.len()).enumerate().filter(|(_, at)| *at == old).map(|(at, _)| at).collect();
        assert!(!places.is_empty(), "the component names no {interface}");
        for at in places {
            bytes[at..at + new.len()].copy_from_slice(&new);
        }
    }
    bytes
}

#[test]
fn a_guest_of_a_later_patch_runs_on_this_host() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime starts");
    let _inside = runtime.enter();
    let engine = Engine::new(&guest_of_version("0.1.7"), Config::default()).expect("0.1.7 fits a host of 0.1.0");
    let token = Arc::new(StaticToken::new("s3cret", "default"));
    let provider = Provider::new(Arc::new(engine), Arc::new(Memory::new()), token, Arc::new(AllowAll));
    let response = runtime.block_on(provider.handle(Request {
        method: "POST".to_owned(),
        target: "/Users".to_owned(),
        headers: vec![
            ("authorization".to_owned(), "Bearer s3cret".to_owned()),
            ("content-type".to_owned(), "application/scim+json".to_owned()),
        ],
        body: br#"{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"ann"}"#.to_vec(),
        base_url: "https://example.com/scim/v2".to_owned(),
        ..Request::default()
    }));
    assert_eq!(response.status, 201, "{}", String::from_utf8_lossy(&response.body));
}

/// The host says at its start what it lacks, rather than at the first request that needs it.
#[track_caller]
fn refused(component: &[u8], names: &str) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime starts");
    let _inside = runtime.enter();
    match Engine::new(component, Config::default()) {
        Ok(_) => panic!("a guest that needs {names} starts"),
        Err(error) => assert!(error.to_string().contains(names), "{error}"),
    }
}

#[test]
fn a_guest_of_another_minor_version_is_refused() {
    refused(&guest_of_version("0.2.0"), "@0.2.0");
}

#[test]
fn a_guest_that_calls_what_this_host_has_not_is_refused() {
    refused(&guest_with("[method]store.count", "[method]store.tally"), "[method]store.tally");
}

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

/// What `wkg wit build` makes of each package is what is published; it reads back as the same.
#[test]
fn the_wit_packages_can_be_published() {
    let mut resolve = Resolve::default();
    for directory in ["wit", "wit/service"] {
        let (package, _) = resolve.push_dir(workspace().join(directory)).expect("the package parses");
        let name = resolve.packages[package].name.clone();
        let bytes = encode(&resolve, package).expect("the package encodes");
        let DecodedWasm::WitPackage(decoded, again) = decode(&bytes).expect("it decodes") else {
            panic!("{name} is no WIT package");
        };
        let items = |resolve: &Resolve, package| {
            let package: &wit_parser::Package = &resolve.packages[package];
            let names = package.interfaces.keys().chain(package.worlds.keys());
            (package.name.clone(), names.cloned().collect::<Vec<String>>())
        };
        let (before, after) = (items(&resolve, package), items(&decoded, again));
        assert_eq!(before, after);
        assert!(before.0.version.is_some() && !before.1.is_empty(), "{before:?}");
    }
}
