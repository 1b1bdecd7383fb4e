//! `scimwell schema list | put | show | delete`: a tenant's own schemas and resource types.

use std::io::Read as _;
use std::path::Path;

use serde_json::{Value, json};

use super::output::{Output, pretty, shown, table, write};
use super::target::{Target, encoded};
use super::{CommandError, SchemaCommand};

/// What a resource type's `schemas` name (RFC 7643 §6).
const RESOURCE_TYPE: &str = "urn:ietf:params:scim:schemas:core:2.0:ResourceType";

pub(super) async fn run(
    command: SchemaCommand,
    tenant: &str,
    target: &Target,
    output: Output,
) -> Result<(), CommandError> {
    match command {
        SchemaCommand::List => list(target, tenant, output).await,
        SchemaCommand::Put { file } => put(target, tenant, output, &file).await,
        SchemaCommand::Show { id } => {
            let found = target.configuration(tenant, "GET", &path(&id), None).await?;
            write(&pretty(&found))
        }
        SchemaCommand::Delete { id } => {
            target.configuration(tenant, "DELETE", &path(&id), None).await?;
            output.confirm(&format!("Deleted {id} of the tenant {tenant}.\n"))
        }
    }
}

async fn list(target: &Target, tenant: &str, output: Output) -> Result<(), CommandError> {
    let schemas = resources(target.configuration(tenant, "GET", "/schemas", None).await?);
    let types = resources(target.configuration(tenant, "GET", "/resource-types", None).await?);
    output.print(&json!({ "schemas": schemas, "resourceTypes": types }), || {
        let schemas: Vec<_> = schemas
            .iter()
            .map(|schema| {
                let attributes = schema["attributes"].as_array().map_or(0, Vec::len);
                [shown(&schema["id"]), shown(&schema["name"]), attributes.to_string()]
            })
            .collect();
        let types: Vec<_> = types
            .iter()
            .map(|found| {
                let extensions = found["schemaExtensions"].as_array().into_iter().flatten();
                let extensions: Vec<_> = extensions.map(|extension| shown(&extension["schema"])).collect();
                [
                    shown(&found["name"]),
                    shown(&found["endpoint"]),
                    shown(&found["schema"]),
                    shown(&extensions.join(",").into()),
                ]
            })
            .collect();
        format!(
            "{}\n{}",
            table(["SCHEMA", "NAME", "ATTRIBUTES"], &schemas),
            table(["RESOURCE TYPE", "ENDPOINT", "SCHEMA", "EXTENSIONS"], &types)
        )
    })
}

/// The resources of a list response (RFC 7644 §3.4.2).
fn resources(mut list: Value) -> Vec<Value> {
    match list["Resources"].take() {
        Value::Array(resources) => resources,
        _ => Vec::new(),
    }
}

async fn put(target: &Target, tenant: &str, output: Output, file: &Path) -> Result<(), CommandError> {
    let broken = |reason: String| CommandError::Document { path: file.to_owned(), reason };
    let text = read(file).map_err(|source| CommandError::File { path: file.to_owned(), source })?;
    let documents = match serde_json::from_str(&text).map_err(|error| broken(format!("not JSON: {error}")))? {
        Value::Array(documents) => documents,
        document => vec![document],
    };
    // All are looked at before the first is put.
    let paths = documents.iter().map(place).collect::<Result<Vec<_>, _>>().map_err(broken)?;
    let mut put = Vec::with_capacity(documents.len());
    for (document, path) in documents.iter().zip(&paths) {
        put.push(target.configuration(tenant, "PUT", path, Some(document)).await?);
        let id = document["id"].as_str().or(document["name"].as_str()).unwrap_or_default();
        output.confirm(&format!("Put {id} for the tenant {tenant}.\n"))?;
    }
    match output.json {
        true => write(&pretty(&Value::Array(put))),
        false => Ok(()),
    }
}

fn read(file: &Path) -> std::io::Result<String> {
    if file != Path::new("-") {
        return std::fs::read_to_string(file);
    }
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text)?;
    Ok(text)
}

/// Where a document is put: a schema has attributes, a resource type an endpoint.
fn place(document: &Value) -> Result<String, String> {
    let names = |key: &str| document[key].as_str().filter(|name| !name.is_empty());
    let says_type = document["schemas"].as_array().is_some_and(|urns| urns.iter().any(|urn| urn == RESOURCE_TYPE));
    if says_type || document["endpoint"].is_string() {
        let name = names("name").or(names("id")).ok_or("the resource type has no `name` (RFC 7643 §6)")?;
        return Ok(format!("/resource-types/{}", encoded(name)));
    }
    if document["attributes"].is_array() {
        let id = names("id").ok_or("the schema has no `id`, its URN (RFC 7643 §7)")?;
        return Ok(format!("/schemas/{}", encoded(id)));
    }
    Err("neither a schema, with `id` and `attributes` (RFC 7643 §7), nor a resource type, with `name` and `endpoint` (§6)"
        .to_owned())
}

/// A URN is a schema's; anything else is the name of a resource type.
fn path(id: &str) -> String {
    match id.get(..4) {
        Some(scheme) if scheme.eq_ignore_ascii_case("urn:") => format!("/schemas/{}", encoded(id)),
        _ => format!("/resource-types/{}", encoded(id)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(document: &Value, expect: Result<&str, &str>) {
        match (place(document), expect) {
            (Ok(found), Ok(expect)) => assert_eq!(found, expect),
            (Err(found), Err(says)) => assert!(found.contains(says), "{found}"),
            (found, expect) => panic!("{found:?}, expected {expect:?}"),
        }
    }

    #[test]
    fn documents() {
        check(&json!({ "id": "urn:a:b", "attributes": [] }), Ok("/schemas/urn:a:b"));
        check(&json!({ "name": "Device", "endpoint": "/Devices" }), Ok("/resource-types/Device"));
        check(&json!({ "schemas": [RESOURCE_TYPE], "name": "User" }), Ok("/resource-types/User"));
        check(&json!({ "attributes": [] }), Err("no `id`"));
        check(&json!({ "endpoint": "/Devices" }), Err("no `name`"));
        check(&json!({ "userName": "ann" }), Err("neither a schema"));
        check(&json!("text"), Err("neither a schema"));
    }

    #[test]
    fn ids() {
        assert_eq!(path("URN:a:b"), "/schemas/URN:a:b");
        assert_eq!(path("Device"), "/resource-types/Device");
        assert_eq!(path("ü"), "/resource-types/%C3%BC");
    }
}
