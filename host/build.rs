//! Finds the component that the binary embeds: `SCIMWELL_COMPONENT`, or what `cargo xtask build` leaves in `target/`.
//!
//! Without one the build succeeds all the same, so that editors and clippy work in a fresh clone; `serve` then asks for it.

use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() {
    println!("cargo::rerun-if-env-changed=SCIMWELL_COMPONENT");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR")).join("component.wasm");
    let component = match env::var_os("SCIMWELL_COMPONENT") {
        Some(path) => {
            let path = PathBuf::from(path);
            assert!(path.is_file(), "SCIMWELL_COMPONENT: no file at {}", path.display());
            Some(path)
        }
        None => built(),
    };
    match component {
        Some(path) => {
            println!("cargo::rerun-if-changed={}", path.display());
            let bytes = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            fs::write(&out, bytes).expect("OUT_DIR is writable");
        }
        None => fs::write(&out, []).expect("OUT_DIR is writable"),
    }
}

/// What `cargo xtask build` left, if it was run.
fn built() -> Option<PathBuf> {
    let workspace = Path::new(&env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR")).join("..");
    let directory = workspace.join("target").join("components");
    let component = directory.join("scimwell.wasm");
    if component.is_file() {
        return Some(component);
    }
    // Cargo would rebuild each time for a path that does not exist, so it watches the directory for the file to appear.
    if directory.is_dir() || (workspace.join("target").is_dir() && fs::create_dir_all(&directory).is_ok()) {
        println!("cargo::rerun-if-changed={}", directory.display());
    }
    None
}
