//! `cargo xtask compose`: the service component and Spin's adapter in one file, for hosts that know no component
//! dependencies.

use std::fs;

use anyhow::{Context, Result, bail};
use wac_graph::types::Package;
use wac_graph::{CompositionGraph, EncodeOptions, plug};

use crate::build::{self, ADAPTER, SERVICE};
use crate::workspace::{Workspace, say};

/// Both in one.
pub(crate) const COMPOSED: &str = "scimwell-on-spin.wasm";
/// What the adapter must have taken over entirely.
const PROVIDED: &str = "scimwell:provider/";

/// `cargo xtask compose`
pub(crate) fn compose(workspace: &Workspace, arguments: &[String]) -> Result<()> {
    if let Some(argument) = arguments.first() {
        bail!("compose takes no arguments, found `{argument}`");
    }
    build::components(workspace)?;
    composed(workspace)?;
    say(format_args!("composed {}", workspace.components().join(COMPOSED).display()));
    Ok(())
}

/// Composes what [`build::components`] has left.
pub(crate) fn composed(workspace: &Workspace) -> Result<()> {
    let components = workspace.components();
    let mut graph = CompositionGraph::new();
    let mut register = |name: &str, file: &str| {
        let path = components.join(file);
        let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let package = Package::from_bytes(name, None, bytes, graph.types_mut())
            .with_context(|| format!("{} is no component", path.display()))?;
        graph.register_package(package).with_context(|| format!("{} can't be composed", path.display()))
    };
    let service = register("scimwell:service", SERVICE)?;
    let adapter = register("scimwell:spin", ADAPTER)?;
    plug(&mut graph, vec![adapter], service).with_context(|| format!("{ADAPTER} does not fit {SERVICE}"))?;
    // An interface of another shape would stay an import rather than fail.
    if let Some((left, ..)) = graph.imports().find(|(name, ..)| name.starts_with(PROVIDED)) {
        bail!("{ADAPTER} does not bring {left} as {SERVICE} wants it; are both built from the same wit/?");
    }
    let bytes = graph.encode(EncodeOptions::default()).context("the composition can't be encoded")?;
    build::write_changed(&bytes, &components.join(COMPOSED))
}
