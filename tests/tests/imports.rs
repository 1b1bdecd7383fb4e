//! What the components import: an embedder must bring all of it, so it grows only on purpose.

use scimwell_tests::server::workspace;
use wasmparser::{Parser, Payload};

/// World `provider`: our three interfaces, the clocks, randomness, and nothing else. `insecure-seed` is what std seeds its
/// hash maps with, and std's clock is one module for both clocks.
const PROVIDER: &[&str] = &[
    "scimwell:provider/authenticator@0.1.0",
    "scimwell:provider/policy@0.1.0",
    "scimwell:provider/storage@0.1.0",
    "wasi:clocks/monotonic-clock@0.2.6",
    "wasi:clocks/wall-clock@0.2.6",
    "wasi:random/insecure-seed@0.2.6",
    "wasi:random/random@0.2.6",
];

/// World `service`: the same, the public URL, and what wasi:http needs.
const SERVICE: &[&str] = &[
    "scimwell:provider/authenticator@0.1.0",
    "scimwell:provider/policy@0.1.0",
    "scimwell:provider/settings@0.1.0",
    "scimwell:provider/storage@0.1.0",
    "wasi:clocks/monotonic-clock@0.2.12",
    "wasi:clocks/wall-clock@0.2.6",
    "wasi:http/types@0.2.12",
    "wasi:io/error@0.2.12",
    "wasi:io/streams@0.2.12",
    "wasi:random/insecure-seed@0.2.6",
    "wasi:random/random@0.2.6",
];

/// What each adapter imports: wasi:http for what it asks the application, and what std brings along, the environment among it.
const ADAPTED: &[&str] = &[
    "wasi:cli/environment@0.2.6",
    "wasi:cli/exit@0.2.6",
    "wasi:cli/stderr@0.2.6",
    "wasi:cli/stdin@0.2.6",
    "wasi:cli/stdout@0.2.6",
    "wasi:cli/terminal-input@0.2.6",
    "wasi:cli/terminal-output@0.2.6",
    "wasi:cli/terminal-stderr@0.2.6",
    "wasi:cli/terminal-stdin@0.2.6",
    "wasi:cli/terminal-stdout@0.2.6",
    "wasi:clocks/monotonic-clock@0.2.12",
    "wasi:clocks/wall-clock@0.2.6",
    "wasi:http/outgoing-handler@0.2.12",
    "wasi:http/types@0.2.12",
    "wasi:io/error@0.2.12",
    "wasi:io/poll@0.2.12",
    "wasi:io/streams@0.2.12",
    "wasi:random/insecure-seed@0.2.6",
];

/// The Spin adapter imports Spin's databases and variables besides.
const SPIN: &[&str] = &["fermyon:spin/variables@2.0.0", "spin:postgres/postgres@4.0.0", "spin:sqlite/sqlite@3.0.0"];

/// What adapters export: all that the component asks for.
const ADAPTER: &[&str] = &[
    "scimwell:provider/authenticator@0.1.0",
    "scimwell:provider/policy@0.1.0",
    "scimwell:provider/settings@0.1.0",
    "scimwell:provider/storage@0.1.0",
];

#[test]
fn provider() {
    check("scimwell.wasm", PROVIDER, &["scimwell:provider/handler@0.1.0"]);
}

#[test]
fn service() {
    check("scimwell-http.wasm", SERVICE, &["wasi:http/incoming-handler@0.2.12"]);
}

#[test]
fn spin_adapter() {
    check("scimwell-spin.wasm", &[SPIN, ADAPTED].concat(), ADAPTER);
}

#[test]
fn wire_adapter() {
    check("scimwell-wire.wasm", ADAPTED, ADAPTER);
}

/// The storage check wants a store and its grant from an embedder, and nothing of WASI.
#[test]
fn storage_check() {
    let imports = ["scimwell:provider/authenticator@0.1.0", "scimwell:provider/storage@0.1.0"];
    check("scimwell-storage-check.wasm", &imports, &["scimwell:provider/storage-check@0.1.0"]);
}

/// Behind HTTP it wants its verdicts from whoever it is composed with.
#[test]
fn storage_check_behind_http() {
    let imports = [
        "scimwell:provider/storage-check@0.1.0",
        "wasi:http/types@0.2.12",
        "wasi:io/error@0.2.12",
        "wasi:io/streams@0.2.12",
        "wasi:random/insecure-seed@0.2.6",
    ];
    check("scimwell-storage-check-http.wasm", &imports, &["wasi:http/incoming-handler@0.2.12"]);
}

/// Composed, nothing of ours is left to import: what remains is the host's.
#[test]
fn composed() {
    let service = "wasi:http/incoming-handler@0.2.12";
    check_composed("scimwell-on-spin.wasm", service, &["spin:", "fermyon:spin/", "wasi:"]);
    check_composed("scimwell-over-wire.wasm", service, &["wasi:"]);
    check_composed("scimwell-storage-check-on-spin.wasm", service, &["spin:", "fermyon:spin/", "wasi:"]);
    check_composed("scimwell-storage-check-over-wire.wasm", service, &["wasi:"]);
}

fn check_composed(file: &str, export: &str, imports: &[&str]) {
    let path = workspace().join("target/components").join(file);
    let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let (imported, exported) = interfaces(&bytes);
    assert_eq!(exported, [export], "exports of {file}");
    let others = |name: &&String| !imports.iter().any(|start| name.starts_with(start));
    assert_eq!(imported.iter().find(others), None, "imports of {file}");
}

fn check(file: &str, imports: &[&str], exports: &[&str]) {
    let path = workspace().join("target/components").join(file);
    let bytes = std::fs::read(&path)
        .unwrap_or_else(|error| panic!("{}: {error}: run `cargo xtask build` first", path.display()));
    let (mut imported, mut exported) = interfaces(&bytes);
    imported.sort();
    exported.sort();
    assert_eq!(imported, imports, "imports of {file}");
    assert_eq!(exported, exports, "exports of {file}");
}

/// The names of the outermost component's imports and exports.
fn interfaces(bytes: &[u8]) -> (Vec<String>, Vec<String>) {
    let mut imported = Vec::new();
    let mut exported = Vec::new();
    let mut depth = 0_u32;
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.expect("the component parses") {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(section) if depth == 0 => {
                imported.extend(section.into_iter().map(|i| i.expect("an import parses").name.name.to_owned()));
            }
            Payload::ComponentExportSection(section) if depth == 0 => {
                exported.extend(section.into_iter().map(|e| e.expect("an export parses").name.name.to_owned()));
            }
            _ => {}
        }
    }
    (imported, exported)
}
