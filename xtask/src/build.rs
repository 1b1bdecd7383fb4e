//! Build the components and the server; run the server or the benchmarks.

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use crate::compose;
use crate::packages;
use crate::workspace::{WASM_TARGET, Workspace, become_program, say};

/// The component of world `provider`.
pub(crate) const PROVIDER: &str = "scimwell.wasm";
/// The component that checks a storage.
pub(crate) const STORAGE_CHECK: &str = "scimwell-storage-check.wasm";
/// The same behind HTTP, over what it is composed with.
pub(crate) const CHECK_HTTP: &str = "scimwell-storage-check-http.wasm";
/// The component of world `service`.
pub(crate) const SERVICE: &str = "scimwell-http.wasm";
/// The adapter that runs it on Spin.
pub(crate) const ADAPTER: &str = "scimwell-spin.wasm";
/// The adapter that asks an application by HTTP.
pub(crate) const WIRE: &str = "scimwell-wire.wasm";

/// What the crates leave and what the components are called: the guest's two examples, the adapters and the storage's check, which is two.
const COMPONENTS: [(&str, &str); 6] = [
    ("examples/scimwell.wasm", PROVIDER),
    ("examples/scimwell_http.wasm", SERVICE),
    ("scimwell_spin.wasm", ADAPTER),
    ("scimwell_wire.wasm", WIRE),
    ("examples/scimwell_storage_check.wasm", STORAGE_CHECK),
    ("examples/scimwell_storage_check_http.wasm", CHECK_HTTP),
];

/// `cargo xtask build`
pub(crate) fn build(workspace: &Workspace, arguments: &[String]) -> Result<()> {
    if let Some(argument) = arguments.first() {
        bail!("build takes no arguments, found `{argument}`");
    }
    components(workspace)?;
    compose::composed(workspace)?;
    server(workspace)?;
    say(format_args!("built {}", workspace.server().display()));
    Ok(())
}

/// `cargo xtask serve [arguments]`
pub(crate) fn serve(workspace: &Workspace, arguments: &[String]) -> Result<ExitCode> {
    build(workspace, &[])?;
    let arguments: Vec<OsString> = std::iter::once("serve".into()).chain(arguments.iter().map(Into::into)).collect();
    become_program(&workspace.server(), &arguments)
}

/// `cargo xtask bench [--quick | --scale | --spin | --embedders] [rows]`, `cargo xtask bench [--quick] --postgres`
pub(crate) fn bench(workspace: &Workspace, arguments: &[String]) -> Result<ExitCode> {
    build(workspace, &[])?;
    if arguments.iter().any(|argument| argument == "--spin") {
        bare_components(workspace)?;
    }
    if arguments.iter().any(|argument| argument == "--embedders") {
        packages::packages(workspace, &["--install".to_owned()])?;
    }
    workspace.cargo("build --release -p scimwell-tests --bin bench --bin spin-stand-in").quiet().run()?;
    let program = workspace.target.join("release").join(format!("bench{}", std::env::consts::EXE_SUFFIX));
    become_program(&program, arguments)
}

/// What the bench holds the component on Spin against.
fn bare_components(workspace: &Workspace) -> Result<()> {
    let build = workspace.cargo("build -p scimwell-spin --examples --profile wasm --target").arg(WASM_TARGET);
    build.quiet().run().context("the components beside ours do not build")?;
    let built = workspace.target.join(WASM_TARGET).join("wasm").join("examples");
    ["empty.wasm", "statement.wasm"]
        .iter()
        .try_for_each(|component| copy_changed(&built.join(component), &workspace.components().join(component)))
}

/// The components, into `target/components/`.
pub(crate) fn components(workspace: &Workspace) -> Result<()> {
    workspace.ensure_toolchain(&[])?;
    let build = |what: &str| workspace.cargo(what).args(["--profile", "wasm", "--target", WASM_TARGET]).quiet().run();
    build("build -p scimwell-guest --examples --features component").context("the guest components do not build")?;
    build("build -p scimwell-spin").context("the Spin adapter does not build")?;
    build("build -p scimwell-wire").context("the adapter over the wire does not build")?;
    build("build -p scimwell-storage-check --examples --features component")
        .context("the storage check does not build")?;
    let from = workspace.target.join(WASM_TARGET).join("wasm");
    let to = workspace.components();
    fs::create_dir_all(&to).with_context(|| format!("cannot create {}", to.display()))?;
    COMPONENTS.iter().try_for_each(|(artifact, component)| copy_changed(&from.join(artifact), &to.join(component)))
}

/// The server, with the component embedded.
pub(crate) fn server(workspace: &Workspace) -> Result<()> {
    workspace.cargo("build --release -p scimwell").quiet().run().context("the server does not build")
}

fn copy_changed(from: &Path, to: &Path) -> Result<()> {
    write_changed(&fs::read(from).with_context(|| format!("cannot read {}", from.display()))?, to)
}

/// Leaves a file with the same bytes alone: a new time stamp would make cargo compile the host again.
pub(crate) fn write_changed(bytes: &[u8], to: &Path) -> Result<()> {
    if fs::read(to).is_ok_and(|there| there == bytes) {
        return Ok(());
    }
    // Renamed into place, so that a concurrent build never embeds half of a component.
    let part = to.with_extension("part");
    fs::write(&part, bytes).with_context(|| format!("cannot write {}", part.display()))?;
    fs::rename(&part, to).with_context(|| format!("cannot write {}", to.display()))?;
    say(format_args!("{} ({} KB)", to.display(), bytes.len() / 1024));
    Ok(())
}
