//! `cargo xtask compose`: components and the adapters that bring what they import in one file each, for hosts that know no
//! component dependencies.

use std::fs;

use anyhow::{Context, Result, bail};
use wac_graph::types::Package;
use wac_graph::{CompositionGraph, EncodeOptions, plug};

use crate::build::{self, ADAPTER, SERVICE, STORAGE_CHECK, WIRE};
use crate::workspace::{Workspace, say};

/// The service on Spin.
pub(crate) const COMPOSED: &str = "scimwell-on-spin.wasm";
/// The service that asks an application by HTTP.
pub(crate) const OVER_WIRE: &str = "scimwell-over-wire.wasm";
/// The storage's check over the wire.
const CHECK_OVER_WIRE: &str = "scimwell-storage-check-over-wire.wasm";

/// What is composed: a component, its adapter, and what both are called.
const COMPOSITIONS: [(&str, &str, &str); 3] =
    [(SERVICE, ADAPTER, COMPOSED), (SERVICE, WIRE, OVER_WIRE), (STORAGE_CHECK, WIRE, CHECK_OVER_WIRE)];

/// What the adapter must have taken over entirely.
const PROVIDED: &str = "scimwell:provider/";

/// `cargo xtask compose`
pub(crate) fn compose(workspace: &Workspace, arguments: &[String]) -> Result<()> {
    if let Some(argument) = arguments.first() {
        bail!("compose takes no arguments, found `{argument}`");
    }
    build::components(workspace)?;
    composed(workspace)?;
    for (.., composition) in COMPOSITIONS {
        say(format_args!("composed {}", workspace.components().join(composition).display()));
    }
    Ok(())
}

/// Composes what [`build::components`] has left.
pub(crate) fn composed(workspace: &Workspace) -> Result<()> {
    COMPOSITIONS
        .iter()
        .try_for_each(|(component, adapter, composition)| plugged(workspace, component, adapter, composition))
}

fn plugged(workspace: &Workspace, component: &str, adapter: &str, composition: &str) -> Result<()> {
    let components = workspace.components();
    let mut graph = CompositionGraph::new();
    let mut register = |name: &str, file: &str| {
        let path = components.join(file);
        let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let package = Package::from_bytes(name, None, bytes, graph.types_mut())
            .with_context(|| format!("{} is no component", path.display()))?;
        graph.register_package(package).with_context(|| format!("{} can't be composed", path.display()))
    };
    let socket = register("scimwell:service", component)?;
    let adapting = register("scimwell:adapter", adapter)?;
    plug(&mut graph, vec![adapting], socket).with_context(|| format!("{adapter} does not fit {component}"))?;
    // An interface of another shape would stay an import rather than fail.
    if let Some((left, ..)) = graph.imports().find(|(name, ..)| name.starts_with(PROVIDED)) {
        bail!("{adapter} does not bring {left} as {component} wants it; are both built from the same wit/?");
    }
    let bytes = graph.encode(EncodeOptions::default()).context("the composition can't be encoded")?;
    build::write_changed(&bytes, &components.join(composition))
}
