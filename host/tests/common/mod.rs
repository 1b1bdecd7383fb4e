//! A provider on the misbehaving guest.

use std::sync::Arc;
use std::time::Duration;

use scimwell::policy::AllowAll;
use scimwell::storage::Memory;
use scimwell::tokens::StaticToken;
use scimwell::{Config, Engine, Provider};

/// Small enough that a test meets the caps at once; nothing depends on how long anything takes.
pub(crate) fn config() -> Config {
    Config { memory_bytes: 4 * 1024 * 1024, timeout: Duration::from_secs(2), max_concurrent: 4, kept_instances: 2 }
}

pub(crate) fn provider(config: Config) -> Arc<Provider> {
    let component = wat::parse_str(include_str!("../guest.wat")).unwrap();
    let engine = Arc::new(Engine::new(&component, config).unwrap());
    let token = Arc::new(StaticToken::new("T", "default"));
    Arc::new(Provider::new(engine, Arc::new(Memory::new()), token, Arc::new(AllowAll)))
}

/// Checks that the body is a SCIM Error of this status with the RFC's keys only, and returns its detail.
#[track_caller]
pub(crate) fn detail(status: u16, body: &[u8]) -> String {
    let error: serde_json::Value = serde_json::from_slice(body).unwrap();
    assert_eq!(error["schemas"], serde_json::json!(["urn:ietf:params:scim:api:messages:2.0:Error"]));
    assert_eq!(error["status"], status.to_string());
    let keys: Vec<_> = error.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, ["schemas", "status", "detail"]);
    error["detail"].as_str().unwrap().to_owned()
}
