//! The component behind HTTP as a process of its own: by the stand-in, or by the real `spin up`.

use std::net::TcpListener;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::server::{Server, workspace};

/// The variables that the manifests state themselves, rather than leave to `--variable`.
const WRITTEN: [&str; 2] = ["storage", "base_url"];

/// The manifest of the storage check.
const CHECK: &str = "spin/storage-check.toml";

/// What runs the component.
#[derive(Clone, Debug)]
pub enum Way {
    /// The stand-in, with this binary.
    StandIn(PathBuf),
    /// `spin up` with this manifest, relative to the workspace.
    Spin(&'static str),
}

/// A running component; ended when dropped.
pub struct Up {
    server: Server,
    /// `spin up` runs its trigger as another process: both are in this group.
    group: Option<u32>,
}

impl Way {
    /// Starts on the data in this directory, with these variables.
    pub fn start(&self, data: &Path, variables: &[(&str, String)]) -> Up {
        self.start_allowing(&[], data, variables)
    }

    /// The same with these `allowed_outbound_hosts`.
    pub fn start_allowing(&self, hosts: &[&str], data: &Path, variables: &[(&str, String)]) -> Up {
        match self {
            Self::StandIn(binary) => stand_in(binary, "scimwell-on-spin.wasm", hosts, data, variables),
            Self::Spin(manifest) => {
                let (written, told_apart) =
                    variables.iter().cloned().partition::<Vec<_>, _>(|(name, _)| WRITTEN.contains(name));
                let path = match hosts.is_empty() && written.is_empty() {
                    true => workspace().join(manifest),
                    false => adapted(manifest, hosts, &written, data),
                };
                spin_up(&path, data, &told(&told_apart))
            }
        }
    }

    /// Starts the storage check in the same way.
    pub fn start_check(&self, hosts: &[&str], data: &Path, variables: &[(&str, String)]) -> Up {
        match self {
            Self::StandIn(binary) => {
                let manifest = std::fs::read_to_string(workspace().join(CHECK)).expect("the manifest can be read");
                let tokens = manifest.split("'''").nth(1).expect("it states tokens");
                let variables = [variables, &[("tokens", tokens.to_owned())]].concat();
                stand_in(binary, "scimwell-storage-check-on-spin.wasm", hosts, data, &variables)
            }
            Self::Spin(_) => Self::Spin(CHECK).start_allowing(hosts, data, variables),
        }
    }

    /// Starts one of the components that `cargo xtask bench --spin` measures beside ours, with nothing but the database.
    pub fn start_bare(&self, component: &str, data: &Path) -> Up {
        match self {
            Self::StandIn(binary) => stand_in(binary, component, &[], data, &[]),
            Self::Spin(_) => {
                let source = workspace().join("target/components").join(component);
                let manifest = format!(
                    "spin_manifest_version = 2\n[application]\nname = \"bare\"\n[[trigger.http]]\nroute = \"/...\"\n\
                     component = \"bare\"\n[component.bare]\nsource = \"{}\"\nsqlite_databases = [\"default\"]\n",
                    source.display()
                );
                let path = data.join(component).with_extension("toml");
                std::fs::write(&path, manifest).expect("the manifest can be written");
                spin_up(&path, data, &[])
            }
        }
    }
}

fn stand_in(binary: &Path, component: &str, hosts: &[&str], data: &Path, variables: &[(&str, String)]) -> Up {
    let mut command = Command::new(binary);
    command.arg(workspace().join("target/components").join(component));
    command.arg("--sqlite").arg(data.join("sqlite.db")).args(told(variables));
    command.args(hosts.iter().flat_map(|host| ["--allow", host]));
    Up { server: Server::spawn(command), group: None }
}

fn told(variables: &[(&str, String)]) -> Vec<String> {
    variables.iter().flat_map(|(name, value)| ["--variable".to_owned(), format!("{name}={value}")]).collect()
}

/// The manifest beside the data, with these hosts and with these values written into it.
fn adapted(manifest: &str, hosts: &[&str], written: &[(&str, String)], data: &Path) -> PathBuf {
    let text = std::fs::read_to_string(workspace().join(manifest)).expect("the manifest can be read");
    let target = format!("\"{}/", workspace().join("target").display());
    let text = text.replace("\"../target/", &target).replace("\"target/", &target);
    let line = |line: &str| {
        let name = line.split(" = ").next().unwrap_or_default();
        match written.iter().find(|(written, _)| *written == name) {
            Some((_, value)) => format!("{name} = {value:?}\n"),
            None if name == "allowed_outbound_hosts" => format!("{name} = {hosts:?}\n"),
            None => format!("{line}\n"),
        }
    };
    let path = data.join("spin.toml");
    std::fs::write(&path, text.lines().map(line).collect::<String>()).expect("the manifest can be written");
    path
}

fn spin_up(manifest: &Path, data: &Path, variables: &[String]) -> Up {
    let mut command = Command::new("spin");
    command.arg("up").arg("--from").arg(manifest).arg("--state-dir").arg(data);
    command.args(["--listen", &free_address()]).args(variables);
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let server = Server::spawn_saying(command, "Serving ");
    let group = Some(server.pid());
    Up { server, group }
}

/// Why there is no real Spin to test with, or which one there is.
pub fn find_spin() -> Result<String, String> {
    let output = Command::new("spin").arg("--version").stdin(Stdio::null()).output();
    match output {
        Ok(output) if output.status.success() => Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned()),
        Ok(output) => Err(format!("`spin --version` failed: {}", output.status)),
        Err(_) => Err("there is no `spin` command on the PATH".to_owned()),
    }
}

/// Spin does not tell which port it took for port 0: one that was free a moment ago.
fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
    listener.local_addr().expect("it has an address").to_string()
}

impl Up {
    /// The process that runs the component: `spin up` starts another one for it.
    pub fn worker(&self) -> u32 {
        let pid = self.server.pid();
        let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        children.split_whitespace().next().and_then(|child| child.parse().ok()).unwrap_or(pid)
    }
}

impl Deref for Up {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        if let Some(group) = self.group {
            // Whether it has ended already makes no difference.
            let _ = Command::new("kill").args(["-KILL", "--", &format!("-{group}")]).stderr(Stdio::null()).status();
        }
    }
}
