//! `cargo xtask packages`: the component as packages for Node (`packages/node`) and Python (`packages/python`), and the
//! applications on them as a user would have installed them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use xshell::cmd;

use crate::build;
use crate::shrink;
use crate::suite::{install, scim2_cli};
use crate::wire;
use crate::workspace::{Workspace, say};

/// What turns the component into JavaScript, and TypeScript too; and what makes it smaller.
const NODE_TOOLS: &str = include_str!("../node-tools.json");
/// What the Python application needs beside the package, and what checks both.
const PYTHON_APP: &str = include_str!("../python-app.txt");
/// The oldest Node that the package runs on.
const NODE: u32 = 20;

/// `cargo xtask packages [node | python] [--install]`
pub(crate) fn packages(workspace: &Workspace, arguments: &[String]) -> Result<()> {
    let (mut languages, mut installs) = (Vec::new(), false);
    for argument in arguments {
        match argument.as_str() {
            "node" => languages.push(Language::Node),
            "python" => languages.push(Language::Python),
            "--install" => installs = true,
            _ => bail!("packages takes `node`, `python` and --install, found `{argument}`"),
        }
    }
    if languages.is_empty() {
        languages = vec![Language::Node, Language::Python];
    }
    build::components(workspace)?;
    for language in languages {
        let package = match language {
            Language::Node => node(workspace)?,
            Language::Python => python(workspace)?,
        };
        say(format_args!("packed {}", package.display()));
        match language {
            _ if !installs => {}
            Language::Node => node_application(workspace, &package)?,
            Language::Python => {
                python_application(workspace, &package)?;
                // For the tests over the wire, whose storage is Python's.
                wire::wasmtime(workspace)?;
            }
        }
    }
    Ok(())
}

/// An application of `examples/`.
#[derive(Clone, Copy)]
pub(crate) enum Language {
    Node,
    Python,
}

/// The compliance suite of scim2-cli against an application, whose database is new and has room for all users.
pub(crate) fn scim2_cli_on(workspace: &Workspace, language: Language) -> Result<String> {
    let target = workspace.root.join("target");
    let (mut command, database) = match language {
        Language::Node => {
            let mut command = Command::new("node");
            command.arg(target.join("node-app/server.js"));
            (command, target.join("node-app/scim2-cli.db"))
        }
        Language::Python => {
            let mut command = Command::new(python_bin(workspace).join("python"));
            command.arg(workspace.root.join("examples/python-app/app.py"));
            (command, target.join("python-app/scim2-cli.db"))
        }
    };
    for ending in ["", "-wal", "-shm"] {
        remove(Path::new(&format!("{}{ending}", database.display())))?;
    }
    command.envs([("SCIM_TOKEN", "xtask"), ("SEATS", "1000000"), ("PORT", "0")]).env("DATABASE", database);
    scim2_cli(workspace, command, "listening on ")
}

/// Both packages installed with the applications on them, and checked by what checks types and by their own tests.
pub(crate) fn test(workspace: &Workspace) -> Result<String> {
    let (package, wheel) = (node(workspace)?, python(workspace)?);
    node_application(workspace, &package)?;
    python_application(workspace, &wheel)?;
    let (shell, root) = (&workspace.shell, &workspace.root);
    let tests = root.join("packages/node/test");
    let mut files: Vec<PathBuf> =
        fs::read_dir(&tests)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?;
    files.retain(|file| file.to_string_lossy().ends_with(".test.js"));
    // The tests find the packages that the application has installed.
    let copies = root.join("target/node-app/test");
    copy_into(&files, &copies)?;
    let copied: Vec<PathBuf> = files.iter().filter_map(|file| Some(copies.join(file.file_name()?))).collect();
    if copied.is_empty() {
        bail!("{} holds no tests", tests.display());
    }
    cmd!(shell, "node --test --test-reporter=dot {copied...}")
        .quiet()
        .run()
        .context("the Node package's tests fail")?;
    let tsc = tools(workspace)?.join("tsc");
    // The application is JavaScript, whose comments tell its types.
    let application = root.join("target/node-app/jsconfig.json");
    cmd!(shell, "{tsc} --project {application}").quiet().run().context("the Node application has type errors")?;

    let bin = python_bin(workspace);
    let (python, mypy) = (bin.join("python"), bin.join("mypy"));
    let package = root.join("packages/python");
    let examples = ["python-app/users.py", "wire-storage/server.py"].map(|file| root.join("examples").join(file));
    let config = package.join("pyproject.toml");
    let cache = root.join("target/mypy");
    cmd!(shell, "{mypy} --config-file {config} --cache-dir {cache} {package}/scimwell {examples...}")
        .quiet()
        .ignore_stdout()
        .run()
        .context("the Python package or an example on it has type errors: run mypy on packages/python/scimwell")?;
    cmd!(shell, "{python} -m unittest discover --start-directory {package}/tests")
        .quiet()
        .run()
        .context("the Python package's tests fail")?;
    Ok("types and tests of both pass".to_owned())
}

/// The package for Node: the component as JavaScript, our TypeScript compiled, all of it as a tarball.
fn node(workspace: &Workspace) -> Result<PathBuf> {
    let shell = &workspace.shell;
    let bin = tools(workspace)?;
    let package = workspace.root.join("packages/node");
    let component = shrink::small(workspace, build::PROVIDER)?;
    let transpiled = package.join("component");
    let (jco, tsc) = (bin.join("jco"), bin.join("tsc"));
    remove(&transpiled)?;
    remove(&package.join("dist"))?;
    let check = workspace.components().join(build::STORAGE_CHECK);
    for (component, name, directory) in
        [(component, "scimwell", transpiled.clone()), (check, "storage-check", transpiled.join("storage-check"))]
    {
        // By `instantiate`: a request that fails takes its instance with it, and each thread has its own.
        cmd!(shell, "{jco} transpile {component} --out-dir {directory} --name {name} --instantiation sync --quiet")
            .quiet()
            .run()
            .with_context(|| format!("jco cannot transpile {}", component.display()))?;
    }
    let types = bin.with_file_name("@types");
    cmd!(shell, "{tsc} --project {package} --typeRoots {types}")
        .quiet()
        .run()
        .context("packages/node does not compile")?;
    let packed = packed(workspace)?;
    cmd!(shell, "npm pack {package} --pack-destination {packed} --silent").quiet().ignore_stdout().run()?;
    the_one(&packed, ".tgz")
}

/// The package for Python: a wheel with the component inside.
fn python(workspace: &Workspace) -> Result<PathBuf> {
    let shell = &workspace.shell;
    install(workspace, "python-app", PYTHON_APP, "mypy")?;
    let package = workspace.root.join("packages/python");
    let component = shrink::small(workspace, build::PROVIDER)?;
    let check = workspace.components().join(build::STORAGE_CHECK);
    for (component, name) in [(component, "scimwell.wasm"), (check, "storage-check.wasm")] {
        let bytes = fs::read(component).context("run `cargo xtask build` first")?;
        build::write_changed(&bytes, &package.join("scimwell").join(name))?;
    }
    let packed = packed(workspace)?;
    let python = python_bin(workspace).join("python");
    cmd!(shell, "{python} -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation --wheel-dir {packed} {package}")
        .quiet()
        .run()
        .context("packages/python makes no wheel")?;
    the_one(&packed, ".whl")
}

/// `target/node-app`: the application's files, what they depend on from npm, and the packed package unpacked beside it.
fn node_application(workspace: &Workspace, package: &Path) -> Result<()> {
    const OURS: &str = "    \"scimwell\": \"file:../../packages/node\"\n";
    let shell = &workspace.shell;
    let source = workspace.root.join("examples/node-app");
    let installed = workspace.root.join("target/node-app");
    copy_into(&["server.js", "users.js", "jsconfig.json"].map(|name| source.join(name)), &installed)?;
    let manifest = source.join("package.json");
    let text = fs::read_to_string(&manifest).with_context(|| format!("cannot read {}", manifest.display()))?;
    // npm would keep the package that it has unpacked as long as its version stays, or else install the others again, of which
    // SQLite may have to be compiled.
    let Some((before, after)) = text.split_once(OURS) else {
        bail!("{} does not have the package as its last dependency: {}", manifest.display(), OURS.trim());
    };
    let wanted = format!("{}\n{after}", before.trim_end().trim_end_matches(','));
    let stamp = installed.join("installed.json");
    if !fs::read_to_string(&stamp).is_ok_and(|stamp| stamp == wanted) {
        say(format_args!("installing what examples/node-app depends on from npm into {}", installed.display()));
        fs::write(installed.join("package.json"), &wanted)?;
        cmd!(shell, "npm install --prefix {installed} --no-package-lock --no-audit --no-fund --silent")
            .run()
            .context("cannot install what examples/node-app depends on; it needs access to an npm registry")?;
        fs::write(&stamp, &wanted)?;
    }
    let ours = installed.join("node_modules/scimwell");
    remove(&ours)?;
    fs::create_dir_all(&ours)?;
    cmd!(shell, "tar -xzf {package} --directory {ours} --strip-components 1").quiet().run()?;
    Ok(())
}

/// The virtual environment `target/python-app`, with the wheel installed.
fn python_application(workspace: &Workspace, wheel: &Path) -> Result<()> {
    let python = python_bin(workspace).join("python");
    cmd!(
        workspace.shell,
        "{python} -m pip install --quiet --disable-pip-version-check --no-deps --no-index --force-reinstall {wheel}"
    )
    .quiet()
    .run()
    .context("the wheel does not install")
}

pub(crate) fn python_bin(workspace: &Workspace) -> PathBuf {
    workspace.root.join("target/python-app/bin")
}

/// `target/node-tools/node_modules/.bin`, installed where it is missing.
pub(crate) fn tools(workspace: &Workspace) -> Result<PathBuf> {
    let shell = &workspace.shell;
    let directory = workspace.root.join("target/node-tools");
    let bin = directory.join("node_modules/.bin");
    let manifest = directory.join("package.json");
    let stamp = directory.join("installed.json");
    if bin.join("jco").exists() && fs::read_to_string(&stamp).is_ok_and(|stamp| stamp == NODE_TOOLS) {
        return Ok(bin);
    }
    let remedy = format!("Node {NODE} or newer with npm is needed for packages/node: https://nodejs.org/en/download");
    let version = cmd!(shell, "node --version").quiet().read().with_context(|| remedy.clone())?;
    let major = version.trim_start_matches('v').split('.').next().and_then(|major| major.parse::<u32>().ok());
    if major.is_none_or(|major| major < NODE) {
        bail!("found Node {version}: {remedy}");
    }
    say(format_args!("installing jco, TypeScript and Binaryen from npm into {}", directory.display()));
    fs::create_dir_all(&directory)?;
    fs::write(&manifest, NODE_TOOLS)?;
    cmd!(shell, "npm install --prefix {directory} --no-package-lock --no-audit --no-fund --ignore-scripts --silent")
        .run()
        .context("cannot install jco; it needs access to an npm registry")?;
    fs::write(&stamp, NODE_TOOLS)?;
    Ok(bin)
}

/// `target/packages`.
fn packed(workspace: &Workspace) -> Result<PathBuf> {
    let directory = workspace.root.join("target/packages");
    fs::create_dir_all(&directory).with_context(|| format!("cannot create {}", directory.display()))?;
    Ok(directory)
}

/// The only file of a directory with this ending.
fn the_one(directory: &Path, ending: &str) -> Result<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.to_string_lossy().ends_with(ending) {
            found.push(path);
        }
    }
    match <[PathBuf; 1]>::try_from(found) {
        Ok([path]) => Ok(path),
        Err(found) => {
            bail!("{} holds {} files *{ending}, expected one: remove the old ones", directory.display(), found.len())
        }
    }
}

fn copy_into(files: &[PathBuf], directory: &Path) -> Result<()> {
    fs::create_dir_all(directory).with_context(|| format!("cannot create {}", directory.display()))?;
    for file in files {
        let name = file.file_name().context("a file has a name")?;
        fs::copy(file, directory.join(name)).with_context(|| format!("cannot copy {}", file.display()))?;
    }
    Ok(())
}

fn remove(path: &Path) -> Result<()> {
    let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match removed {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}
