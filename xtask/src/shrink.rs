//! Components through Binaryen's wasm-opt, which knows nothing of components: the module inside is taken out, made smaller, and put
//! back. It takes an eighth off, and no time away from what runs it; docs/performance.md has the figures.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use xshell::cmd;

use crate::build::write_changed;
use crate::packages::tools;
use crate::workspace::{Workspace, say};

/// What wasm-opt is asked for: the features of `wasm32-wasip2`, which a stripped module does not name.
const OPTIONS: [&str; 8] = [
    "-Os",
    "--enable-bulk-memory",
    "--enable-sign-ext",
    "--enable-mutable-globals",
    "--enable-nontrapping-float-to-int",
    "--enable-reference-types",
    "--enable-multivalue",
    "--enable-extended-const",
];
/// Magic number, version and layer of a component.
const HEADER: [u8; 8] = *b"\0asm\x0d\0\x01\0";
/// The section of a core module.
const MODULE: u8 = 1;

/// `target/components/small/{component}`, made where it is not of the component as it is now; the component itself where there
/// is no Node, which wasm-opt is a program of.
pub(crate) fn small(workspace: &Workspace, component: &str) -> Result<PathBuf> {
    let source = workspace.components().join(component);
    if cmd!(workspace.shell, "node --version").quiet().ignore_stdout().ignore_stderr().run().is_err() {
        say(format_args!(
            "{} stays as it is: there is no Node to run wasm-opt, which would take an eighth off",
            source.display()
        ));
        return Ok(source);
    }
    let bytes = fs::read(&source).with_context(|| format!("cannot read {}", source.display()))?;
    let directory = workspace.components().join("small");
    fs::create_dir_all(&directory).with_context(|| format!("cannot create {}", directory.display()))?;
    let small = directory.join(component);
    // What it was made of: comparing is quicker than making it again.
    let of = directory.join(format!("{component}.of"));
    if small.exists() && fs::read(&of).is_ok_and(|of| of == bytes) {
        return Ok(small);
    }
    say(format_args!("making {} smaller, in half a minute or so", source.display()));
    let mut sections = sections(&bytes).with_context(|| format!("{} is no component", source.display()))?;
    let module = largest_module(&sections).with_context(|| format!("{} holds no module", source.display()))?;
    let optimised = optimised(workspace, &directory, sections[module].1)?;
    sections[module].1 = &optimised;
    write_changed(&joined(&sections), &small)?;
    fs::write(&of, &bytes).with_context(|| format!("cannot write {}", of.display()))?;
    Ok(small)
}

/// The module as wasm-opt makes it.
fn optimised(workspace: &Workspace, directory: &Path, module: &[u8]) -> Result<Vec<u8>> {
    let wasm_opt = tools(workspace)?.join("wasm-opt");
    let (before, after) = (directory.join("module.wasm"), directory.join("module.small.wasm"));
    fs::write(&before, module).with_context(|| format!("cannot write {}", before.display()))?;
    cmd!(workspace.shell, "{wasm_opt} {before} --output {after}")
        .args(OPTIONS)
        .quiet()
        .run()
        .with_context(|| format!("wasm-opt fails on {}", before.display()))?;
    let optimised = fs::read(&after).with_context(|| format!("cannot read {}", after.display()))?;
    fs::remove_file(&before)?;
    fs::remove_file(&after)?;
    Ok(optimised)
}

/// The sections of a component: the id and the contents of each.
fn sections(component: &[u8]) -> Result<Vec<(u8, &[u8])>> {
    let mut rest = component.strip_prefix(&HEADER).context("its header is another")?;
    let mut sections = Vec::new();
    while let Some((&id, behind)) = rest.split_first() {
        let (length, behind) = number(behind)?;
        let Some((contents, behind)) = behind.split_at_checked(length) else {
            bail!("section {} is cut short", sections.len());
        };
        sections.push((id, contents));
        rest = behind;
    }
    Ok(sections)
}

fn largest_module(sections: &[(u8, &[u8])]) -> Option<usize> {
    let modules = sections.iter().enumerate().filter(|(_, (id, _))| *id == MODULE);
    modules.max_by_key(|(_, (_, module))| module.len()).map(|(at, _)| at)
}

fn joined(sections: &[(u8, &[u8])]) -> Vec<u8> {
    let mut component = HEADER.to_vec();
    for (id, contents) in sections {
        component.push(*id);
        let mut length = contents.len();
        while length >= 0x80 {
            component.push(length.to_le_bytes()[0] | 0x80);
            length >>= 7;
        }
        component.push(length.to_le_bytes()[0]);
        component.extend_from_slice(contents);
    }
    component
}

/// An unsigned LEB128 of 32 bits, and what is behind it.
fn number(bytes: &[u8]) -> Result<(usize, &[u8])> {
    let mut value = 0_usize;
    for (at, byte) in bytes.iter().enumerate().take(5) {
        value |= usize::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return Ok((value, &bytes[at + 1..]));
        }
    }
    bail!("a section's length does not end")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_component_comes_apart_and_together() {
        let long = vec![7; 300];
        let component = joined(&[(0, b"name"), (MODULE, b"small"), (MODULE, &long), (11, b"")]);
        let parts = sections(&component).unwrap();
        assert_eq!(parts, [(0, &b"name"[..]), (MODULE, b"small"), (MODULE, &long), (11, b"")]);
        assert_eq!(largest_module(&parts), Some(2));
        assert_eq!(joined(&parts), component);
    }

    #[test]
    fn what_is_no_component_is_refused() {
        for wrong in [&b""[..], b"\0asm\x01\0\0\0", b"\0asm\x0d\0\x01\0\x01", b"\0asm\x0d\0\x01\0\x01\x05abc"] {
            assert!(sections(wrong).is_err(), "{wrong:?}");
        }
        assert_eq!(largest_module(&sections(&HEADER).unwrap()), None);
    }
}
