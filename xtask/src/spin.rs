//! The compliance suite over the component on Spin: by the stand-in, and by `spin up` where there is a `spin` command.

use std::fs;
use std::net::TcpListener;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use crate::compose::COMPOSED;
use crate::suite::scim2_cli;
use crate::workspace::Workspace;

/// Both, or why there is but one.
pub(crate) fn scim2_cli_on_spin(workspace: &Workspace) -> Result<String> {
    workspace.cargo("build --release -p scimwell-tests --bin spin-stand-in").quiet().run()?;
    let data = workspace.root.join("target").join("spin-scim2-cli");
    if data.exists() {
        fs::remove_dir_all(&data).with_context(|| format!("cannot remove {}", data.display()))?;
    }
    fs::create_dir_all(&data).with_context(|| format!("cannot make {}", data.display()))?;
    let program = format!("spin-stand-in{}", std::env::consts::EXE_SUFFIX);
    let mut stand_in = Command::new(workspace.target.join("release").join(program));
    stand_in.arg(workspace.components().join(COMPOSED)).arg("--sqlite").arg(data.join("stand-in.db"));
    stand_in.args(["--variable", "token=xtask"]);
    let by_stand_in = scim2_cli(workspace, stand_in, "listening on ")?;

    let found = Command::new("spin").arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).status();
    if !found.is_ok_and(|status| status.success()) {
        return Ok(format!("{by_stand_in} on the stand-in; `spin up` skipped: no `spin` command on the PATH"));
    }
    // Spin does not tell which port it took for port 0: one that is free now.
    let address = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr())?;
    let mut spin = Command::new("spin");
    spin.arg("up").arg("--from").arg(workspace.root.join("spin.toml")).arg("--state-dir").arg(&data);
    spin.args(["--listen", &address.to_string(), "--variable", "token=xtask"]);
    let by_spin = scim2_cli(workspace, spin, "Serving ")?;
    Ok(format!("{by_stand_in} on the stand-in, {by_spin} on Spin"))
}
