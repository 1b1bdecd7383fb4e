//! `examples/axum-app`: built, tested, and held to the compliance suite over HTTP.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::suite::scim2_cli_as;
use crate::workspace::Workspace;

/// What the operator of the application proves herself by.
const SECRET: &str = "xtask-secret";

/// Its own tests, the storage contract on its database among them, and the program for the tests over HTTP. It takes the library
/// without any feature; here are those that it may be taken with instead of all.
pub(crate) fn test(workspace: &Workspace) -> Result<String> {
    workspace.cargo("test --release -p axum-app").quiet().run()?;
    workspace.cargo("build --release -p axum-app").quiet().run()?;
    for feature in ["redb", "postgres"] {
        // With the application, whose dependencies give wasmtime the features that it is compiled with already.
        let build = "build --release --lib -p axum-app -p scimwell --no-default-features --features";
        workspace
            .cargo(build)
            .arg(format!("scimwell/{feature}"))
            .quiet()
            .run()
            .with_context(|| format!("the library does not build with the feature `{feature}` alone"))?;
    }
    Ok(String::new())
}

/// The compliance suite against a customer of the application.
pub(crate) fn scim2_cli(workspace: &Workspace) -> Result<String> {
    let data = workspace.root.join("target").join("axum-app-scim2-cli");
    if data.exists() {
        fs::remove_dir_all(&data).with_context(|| format!("cannot remove {}", data.display()))?;
    }
    fs::create_dir_all(&data).with_context(|| format!("cannot make {}", data.display()))?;
    let program = format!("axum-app{}", std::env::consts::EXE_SUFFIX);
    let mut application = Command::new(workspace.target.join("release").join(program));
    application.args(["--listen", "127.0.0.1:0", "--secret", SECRET, "--database"]).arg(data.join("app.db"));
    scim2_cli_as(workspace, application, "listening on ", sign_up)
}

/// A new customer; her identity provider's token.
fn sign_up(origin: &str) -> Result<String> {
    let address = origin.strip_prefix("http://").context("the application listens at no http:// URL")?;
    let body = r#"{"name": "scim2-cli", "seats": 1000}"#;
    let request = format!(
        "POST /customers HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {SECRET}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(address).with_context(|| format!("cannot connect to {origin}"))?;
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let token = answer.split_once("\"token\":\"").and_then(|(_, rest)| rest.split_once('"'));
    match token {
        Some((token, _)) if answer.starts_with("HTTP/1.1 201 ") => Ok(token.to_owned()),
        _ => bail!("the application does not take a customer in: {answer}"),
    }
}
