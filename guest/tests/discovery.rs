//! The discovery documents against golden files, as JSON and byte for byte. `UPDATE_GOLDEN=1` writes the files anew.

use std::path::Path;

use scimwell_guest::schema::discovery::{self, Bulk, Cursor, FEATURES, Features};
use scimwell_guest::schema::{ENTERPRISE_USER, GROUP, REGISTRY, USER};
use serde_json::{Value, json};

const BASE: &str = "https://example.com/scim/v2";

fn check(name: &str, document: &Value) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    let text = serde_json::to_string_pretty(document).expect("JSON serializes") + "\n";
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &text).expect("golden file written");
    }
    let golden = std::fs::read_to_string(&path).expect("golden file there; UPDATE_GOLDEN=1 writes it");
    let parsed: Value = serde_json::from_str(&golden).expect("golden file is JSON");
    assert_eq!(*document, parsed, "{name}");
    assert_eq!(text, golden, "{name}");
}

#[test]
fn service_provider_config() {
    check("service_provider_config.json", &discovery::service_provider_config(&discovery::FEATURES, BASE));
}

#[test]
fn service_provider_config_with_everything() {
    let features = Features {
        bulk: Some(Bulk { max_operations: 1_000, max_payload_size: 1_048_576 }),
        change_password: true,
        cursor: Some(Cursor { timeout: Some(3_600) }),
        ..FEATURES
    };
    check("service_provider_config_full.json", &discovery::service_provider_config(&features, BASE));
}

#[test]
fn resource_types() {
    check("resource_types.json", &Value::Array(discovery::resource_types(&REGISTRY, BASE)));
}

#[test]
fn schemas() {
    check("schema_user.json", &discovery::schema(&USER, BASE));
    check("schema_enterprise_user.json", &discovery::schema(&ENTERPRISE_USER, BASE));
    check("schema_group.json", &discovery::schema(&GROUP, BASE));
}

#[test]
fn the_lists_hold_the_single_documents() {
    let schemas = [&USER, &ENTERPRISE_USER, &GROUP].map(|schema| discovery::schema(schema, BASE));
    assert_eq!(discovery::schemas(&REGISTRY, BASE), schemas);
    let names: Vec<Value> = discovery::resource_types(&REGISTRY, BASE).iter().map(|ty| ty["id"].clone()).collect();
    assert_eq!(names, [json!("User"), json!("Group")]);
}

/// Each schema that a resource type names can be looked up (RFC 7643 §6).
#[test]
fn resource_types_name_known_schemas() {
    let schemas = discovery::schemas(&REGISTRY, BASE);
    let known = |urn: &Value| schemas.iter().any(|schema| schema["id"] == *urn);
    for ty in discovery::resource_types(&REGISTRY, BASE) {
        assert!(known(&ty["schema"]), "{ty}");
        let extensions = ty["schemaExtensions"].as_array().expect("always an array");
        assert!(extensions.iter().all(|extension| known(&extension["schema"])), "{ty}");
    }
}
