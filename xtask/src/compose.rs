//! `cargo xtask compose`: components and the adapters that bring what they import in one file each, for hosts that know no
//! component dependencies.

use std::fs;

use anyhow::{Context, Result, bail};
use wac_graph::types::Package;
use wac_graph::{CompositionGraph, EncodeOptions, plug};

use crate::build::{self, ADAPTER, CHECK_HTTP, SERVICE, STORAGE_CHECK, WIRE};
use crate::workspace::{Workspace, say};

/// The service on Spin.
pub(crate) const COMPOSED: &str = "scimwell-on-spin.wasm";
/// The service that asks an application by HTTP.
pub(crate) const OVER_WIRE: &str = "scimwell-over-wire.wasm";
/// The storage's check on Spin, behind HTTP.
const CHECK_ON_SPIN: &str = "scimwell-storage-check-on-spin.wasm";
/// The storage's check over the wire, behind HTTP.
const CHECK_OVER_WIRE: &str = "scimwell-storage-check-over-wire.wasm";

/// What is composed, and what it is called: each component imports what the next one exports.
const COMPOSITIONS: [(&[&str], &str); 4] = [
    (&[SERVICE, ADAPTER], COMPOSED),
    (&[SERVICE, WIRE], OVER_WIRE),
    (&[CHECK_HTTP, STORAGE_CHECK, ADAPTER], CHECK_ON_SPIN),
    (&[CHECK_HTTP, STORAGE_CHECK, WIRE], CHECK_OVER_WIRE),
];

/// What components must bring one another.
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
    COMPOSITIONS.iter().try_for_each(|(chain, composition)| {
        let bytes = chained(workspace, chain).with_context(|| format!("{composition} can't be composed"))?;
        build::write_changed(&bytes, &workspace.components().join(composition))
    })
}

/// The first component over the second, and so on.
fn chained(workspace: &Workspace, chain: &[&str]) -> Result<Vec<u8>> {
    let Some((socket, rest)) = chain.split_first() else { bail!("there is nothing to compose") };
    let path = workspace.components().join(socket);
    let component = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    match rest.first() {
        None => Ok(component),
        Some(next) => plugged(component, chained(workspace, rest)?)
            .with_context(|| format!("{next} does not fit {socket}; are both built from the same wit/?")),
    }
}

/// One component with its imports taken from the other.
fn plugged(component: Vec<u8>, adapter: Vec<u8>) -> Result<Vec<u8>> {
    let mut graph = CompositionGraph::new();
    let mut register = |name: &str, bytes: Vec<u8>| {
        let package = Package::from_bytes(name, None, bytes, graph.types_mut()).context("it is no component")?;
        graph.register_package(package).context("it can't be composed")
    };
    let socket = register("scimwell:socket", component)?;
    let plugs = vec![register("scimwell:plug", adapter)?];
    plug(&mut graph, plugs, socket)?;
    // An interface of another shape would stay an import rather than fail.
    if let Some((left, ..)) = graph.imports().find(|(name, ..)| name.starts_with(PROVIDED)) {
        bail!("{left} is left to import");
    }
    graph.encode(EncodeOptions::default()).context("the composition can't be encoded")
}
