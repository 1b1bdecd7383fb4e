//! The WIT packages can be published: what `wkg wit build` makes of each is encoded, and reads back as the same.

use anyhow::{Context, Result, bail, ensure};
use wit_component::{DecodedWasm, decode, encode};
use wit_parser::{PackageId, Resolve};

use crate::workspace::Workspace;

/// Where they are, each after those that it refers to.
const PACKAGES: [&str; 2] = ["wit", "wit/service"];

/// Encodes the packages and decodes them again.
pub(crate) fn check(workspace: &Workspace) -> Result<String> {
    let mut resolve = Resolve::default();
    let mut names = Vec::new();
    for directory in PACKAGES {
        let (package, _) = resolve.push_dir(workspace.root.join(directory)).with_context(|| directory.to_owned())?;
        let written = contents(&resolve, package);
        ensure!(resolve.packages[package].name.version.is_some(), "{directory}: the package has no version");
        let bytes = encode(&resolve, package, false).with_context(|| format!("{directory} can't be encoded"))?;
        let DecodedWasm::WitPackage(decoded, package) = decode(&bytes).context(directory)? else {
            bail!("{directory}: what was encoded is no WIT package");
        };
        let read = contents(&decoded, package);
        ensure!(written == read, "{directory}: {written:?} was encoded, and {read:?} was decoded");
        names.push(written.0);
    }
    Ok(names.join(", "))
}

/// The package's name, and what its interfaces and worlds have, by name.
fn contents(resolve: &Resolve, package: PackageId) -> (String, Vec<String>) {
    let package = &resolve.packages[package];
    let interfaces = package.interfaces.iter().flat_map(|(name, id)| {
        let interface = &resolve.interfaces[*id];
        let members = interface.types.keys().chain(interface.functions.keys());
        members.map(move |member| format!("{name}.{member}"))
    });
    let worlds = package.worlds.keys().cloned();
    (package.name.to_string(), interfaces.chain(worlds).collect())
}
