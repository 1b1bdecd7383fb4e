//! What docs/embedding.md says of versions, on the component itself: which guests run on this host.

use std::sync::Arc;

use scimwell::policy::AllowAll;
use scimwell::storage::Memory;
use scimwell::tokens::StaticToken;
use scimwell::{Config, Engine, Provider, Request};
use scimwell_tests::server::workspace;

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
