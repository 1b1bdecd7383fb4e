//! What a client learns about a server before it provisions (RFC 7644 §4).

use serde_json::Value;

use super::super::catalogue::{Check, Provider, Severity};
use super::super::exchange::{Played, Request};
use super::super::expect::ensure;
use super::super::session::Session;

pub(in super::super) const CHECKS: &[Check] = &[
    Check {
        id: "rfc-authentication",
        provider: Provider::Rfc,
        title: "Requests without a token, or with a wrong one, are refused",
        reference: "RFC 7644 §2, §7.4",
        severity: Severity::Breaks,
        breaks: "Anybody who finds the URL can read and change accounts.",
        fix: "Answer 401 to every request without valid credentials.",
        play: authentication,
    },
    Check {
        id: "rfc-authentication-error",
        provider: Provider::Rfc,
        title: "401 is a SCIM Error with a WWW-Authenticate header",
        reference: "RFC 7644 §3.12; RFC 9110 §11.6.1",
        severity: Severity::Cosmetic,
        breaks: "When a token has expired, the provider's log shows an unknown error instead of the reason.",
        fix: "Answer 401 with a SCIM Error and WWW-Authenticate: Bearer.",
        play: authentication_error,
    },
    Check {
        id: "rfc-service-provider-config",
        provider: Provider::Rfc,
        title: "ServiceProviderConfig has every member that the RFC requires",
        reference: "RFC 7643 §5; RFC 7644 §4",
        severity: Severity::Degrades,
        breaks: "Clients that validate it (authentik, SailPoint, Rippling) assume that neither PATCH nor filters are supported.",
        fix: "Serve /ServiceProviderConfig with patch, bulk, filter, changePassword, sort, etag and authenticationSchemes.",
        play: service_provider_config,
    },
    Check {
        id: "rfc-resource-types",
        provider: Provider::Rfc,
        title: "ResourceTypes lists User and Group with their endpoints and schemas",
        reference: "RFC 7643 §6; RFC 7644 §4",
        severity: Severity::Degrades,
        breaks: "Clients that discover (SailPoint, CyberArk) do not find users or groups and refuse to save the connection.",
        fix: "Serve /ResourceTypes as a ListResponse, and each resource type at /ResourceTypes/{name}.",
        play: resource_types,
    },
    Check {
        id: "rfc-schemas",
        provider: Provider::Rfc,
        title: "Schemas lists User and Group with their attributes",
        reference: "RFC 7643 §7; RFC 7644 §4",
        severity: Severity::Degrades,
        breaks: "Attribute mapping in clients that discover (Entra ID's gallery test, SailPoint, CyberArk) stays empty.",
        fix: "Serve /Schemas as a ListResponse, and each schema at /Schemas/{urn}, with name, type and mutability of each attribute.",
        play: schemas,
    },
];

fn authentication(s: &mut Session) -> Played {
    s.send(&Request::get("/Users?count=1").anonymous())?.status(&[401, 403])?;
    let wrong = Request::get("/Users?count=1").anonymous().header("authorization", "Bearer not-a-token");
    s.send(&wrong)?.status(&[401, 403])?;
    Ok(())
}

fn authentication_error(s: &mut Session) -> Played {
    let refused = s.send(&Request::get("/Users?count=1").anonymous())?;
    refused.error(&[401])?;
    ensure(refused.header("www-authenticate").is_some(), &refused, "expected a WWW-Authenticate header with 401")
}

fn service_provider_config(s: &mut Session) -> Played {
    let config = s.get("/ServiceProviderConfig")?;
    config.resource()?;
    for feature in ["patch", "bulk", "filter", "changePassword", "sort", "etag"] {
        let flag = config.at(&format!("/{feature}/supported")).is_some_and(Value::is_boolean);
        ensure(flag, &config, &format!("expected {feature}.supported to be true or false"))?;
    }
    for limit in ["bulk/maxOperations", "bulk/maxPayloadSize", "filter/maxResults"] {
        let number = config.at(&format!("/{limit}")).is_some_and(Value::is_u64);
        ensure(number, &config, &format!("expected {} to be an integer", limit.replace('/', ".")))?;
    }
    let schemes = config.at("/authenticationSchemes").and_then(Value::as_array);
    ensure(schemes.is_some(), &config, "expected authenticationSchemes to be an array")
}

fn resource_types(s: &mut Session) -> Played {
    let types = s.get("/ResourceTypes")?;
    let list = types.list()?;
    for (name, endpoint) in [("User", "/Users"), ("Group", "/Groups")] {
        let found = list.resources.iter().find(|resource| resource["name"] == name);
        let found = found.ok_or_else(|| types.fail(format!("expected a resource type {name}")))?;
        // The endpoint is relative to the base URL; some servers write it out.
        let path = found["endpoint"].as_str().unwrap_or_default();
        ensure(path.ends_with(endpoint), &types, &format!("expected the endpoint of {name} to be {endpoint}"))?;
        ensure(found["schema"].is_string(), &types, &format!("expected {name} to name its schema"))?;
        s.get(&format!("/ResourceTypes/{name}"))?.resource()?.is("/name", name)?;
    }
    Ok(())
}

fn schemas(s: &mut Session) -> Played {
    let schemas = s.get("/Schemas")?;
    let list = schemas.list()?;
    for (urn, attribute) in [
        ("urn:ietf:params:scim:schemas:core:2.0:User", "userName"),
        ("urn:ietf:params:scim:schemas:core:2.0:Group", "displayName"),
    ] {
        let found = list.resources.iter().find(|schema| schema["id"] == urn);
        let found = found.ok_or_else(|| schemas.fail(format!("expected the schema {urn}")))?;
        let mut attributes = found["attributes"].as_array().into_iter().flatten();
        let described = attributes.find(|described| described["name"] == attribute);
        let described = described.ok_or_else(|| schemas.fail(format!("expected {urn} to describe {attribute}")))?;
        ensure(described["type"] == "string", &schemas, &format!("expected {attribute} to be of type string"))?;
        ensure(described["mutability"].is_string(), &schemas, &format!("expected the mutability of {attribute}"))?;
        s.get(&format!("/Schemas/{urn}"))?.resource()?.is("/id", urn)?;
    }
    Ok(())
}
