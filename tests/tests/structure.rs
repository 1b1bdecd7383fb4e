//! The module dependency rule, the file-size habit, and marks of unfinished work. ARCHITECTURE.md tells why.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use scimwell_tests::server::workspace;

/// The guest's top-level modules, the upper layers first. A module may import from its own layer and from those below.
const LAYERS: [&[&str]; 6] = [
    &["component"],
    &["lib"],
    &["route", "ops", "admin", "render", "service"],
    &["host", "filter", "patch", "validate", "query", "project", "compat", "store", "tenant", "password"],
    &["schema", "resource", "datetime"],
    &["http", "error", "limits", "suggest", "precis"],
];

/// Imports forbidden although the layers would allow them.
const FORBIDDEN: [(&str, &str); 4] =
    [("filter", "store"), ("patch", "store"), ("validate", "store"), ("store", "http")];

/// Lines of a source file that is neither a test nor a table.
const FILE_LINES: usize = 600;

/// Files that are tables: data, not logic.
const TABLES: [&str; 0] = [];

#[test]
fn imports_point_down() {
    let mut wrong = Vec::new();
    for path in rust_files(&workspace().join("guest/src")) {
        let relative = relative(&path, "guest/src");
        let module = top_module(&relative);
        let Some(layer) = layer_of(&module) else {
            wrong.push(format!("guest/src/{relative}: module `{module}` has no layer yet; give it one in LAYERS"));
            continue;
        };
        for (line, import) in imports(&read(&path), depth(&relative)) {
            // Names that are no module are items of lib.rs.
            let target = if module_exists(&import) { import.as_str() } else { "lib" };
            let allowed = target == module
                || (layer_of(target).is_some_and(|there| there >= layer)
                    && !FORBIDDEN.contains(&(module.as_str(), target)));
            if !allowed {
                wrong.push(format!("guest/src/{relative}:{line}: `{module}` must not import `{target}`"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn host_and_guest_meet_in_the_wit_only() {
    let crates = [
        ("host", ["scimwell-guest", "scimwell_guest"]),
        ("guest", ["scimwell.workspace", "use scimwell::"]),
        ("kit", ["scimwell-guest", "scimwell.workspace"]),
    ];
    for (directory, names) in crates {
        let mut files = rust_files(&workspace().join(directory).join("src"));
        files.push(workspace().join(directory).join("Cargo.toml"));
        for file in files {
            let text = read(&file);
            for name in names {
                assert!(!text.contains(name), "{} must not name {name}", file.display());
            }
        }
    }
}

#[test]
fn source_files_are_short() {
    let long: Vec<String> = ["adapter", "examples/axum-app", "guest", "host", "kit", "spin", "wire", "xtask", "tests"]
        .iter()
        .flat_map(|directory| rust_files(&workspace().join(directory).join("src")))
        .filter_map(|path| {
            let name = relative(&path, "");
            let lines = read(&path).lines().count();
            let long = lines > FILE_LINES && !TABLES.contains(&name.as_str());
            long.then(|| format!("{name}: {lines} lines; is it still one thing?"))
        })
        .collect();
    assert!(long.is_empty(), "{}", long.join("\n"));
}

#[test]
fn nothing_is_unfinished() {
    // Put together, so that this file does not find itself.
    let marks = [
        concat!("to", "do!("),
        concat!("unimple", "mented!("),
        concat!("#[ig", "nore"),
        concat!("FIX", "ME"),
        concat!("XX", "X"),
    ];
    let mut found = Vec::new();
    for path in text_files(workspace()) {
        let text = read(&path);
        for (number, line) in text.lines().enumerate() {
            let place = || format!("{}:{}", relative(&path, ""), number + 1);
            if path.extension().is_some_and(|e| e == "rs") {
                found.extend(marks.iter().filter(|m| line.contains(**m)).map(|mark| format!("{}: {mark}", place())));
            }
            if names_a_machine(line) {
                found.push(format!("{}: a path of one machine: {}", place(), line.trim()));
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// The modules that `text` imports by `crate::…`, with the line; so many times `super::` means the same.
fn imports(text: &str, depth: usize) -> Vec<(usize, String)> {
    let tests = text.find("#[cfg(test)]\nmod ").unwrap_or(text.len());
    // Comments may name whatever they like.
    let code: String = text[..tests]
        .lines()
        .map(|line| line.split_once("//").map_or(line, |(code, _)| code))
        .fold(String::new(), |code, line| code + line + "\n");
    let mut found = Vec::new();
    let supers = "super::".repeat(depth);
    for prefix in ["crate::", &supers] {
        for (at, _) in code.match_indices(prefix) {
            let line = code[..at].matches('\n').count() + 1;
            let rest = &code[at + prefix.len()..];
            if prefix == supers && (rest.starts_with("super::") || code[..at].ends_with("super::")) {
                continue;
            }
            match rest.strip_prefix('{') {
                Some(group) => found.extend(group_heads(group).into_iter().map(|head| (line, head))),
                None => found.push((line, head(rest))),
            }
        }
    }
    found
}

/// The first names of a group's members: `a::b, c::{d, e}}` gives `a` and `c`.
fn group_heads(group: &str) -> Vec<String> {
    let mut heads = Vec::new();
    let mut depth = 0;
    let mut start = true;
    for (at, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => start = true,
            c if start && !c.is_whitespace() => {
                heads.push(head(&group[at..]));
                start = false;
            }
            _ => {}
        }
    }
    heads
}

fn head(path: &str) -> String {
    path.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

fn layer_of(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&module))
}

fn module_exists(name: &str) -> bool {
    let source = workspace().join("guest/src");
    source.join(format!("{name}.rs")).exists() || source.join(name).is_dir()
}

fn top_module(relative: &str) -> String {
    relative.split('/').next().unwrap_or_default().trim_end_matches(".rs").to_owned()
}

/// How many times `super` leads from this file to the crate's root.
fn depth(relative: &str) -> usize {
    relative.split('/').filter(|part| *part != "mod.rs").count()
}

fn names_a_machine(line: &str) -> bool {
    ["/work/", "/root/", "/home/"].iter().any(|path| {
        line.match_indices(path).any(|(at, _)| {
            let before = line[..at].chars().next_back();
            let after = line[at + path.len()..].chars().next();
            !before.is_some_and(|c| c.is_alphanumeric() || "._-}".contains(c))
                && after.is_some_and(|c| c.is_alphanumeric() || c == '.')
        })
    })
}

fn rust_files(directory: &Path) -> Vec<PathBuf> {
    text_files(directory).into_iter().filter(|path| path.extension().is_some_and(|e| e == "rs")).collect()
}

/// The tree's own text files: nothing built, vendored or hidden (continuous integration's directory apart).
fn text_files(directory: &Path) -> Vec<PathBuf> {
    const KINDS: [&str; 10] = ["rs", "toml", "md", "wit", "http", "json", "txt", "yml", "sh", "run"];
    let mut files = BTreeSet::new();
    let entries = fs::read_dir(directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    for entry in entries {
        let entry = entry.expect("a directory can be listed");
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        if path.is_dir() {
            let skipped = ["target", "deps", "scimwell-data", "node_modules"].contains(&name.as_str());
            if !skipped && (!name.starts_with('.') || name == ".ci") {
                files.extend(text_files(&path));
            }
        } else if path.extension().is_some_and(|e| KINDS.contains(&e.to_str().unwrap_or_default())) || name == "run" {
            files.insert(path);
        }
    }
    files.into_iter().collect()
}

fn relative(path: &Path, to: &str) -> String {
    let path = path.strip_prefix(workspace().join(to)).expect("the file lies in the workspace");
    path.to_string_lossy().replace('\\', "/")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn the_rules_catch_what_they_forbid() {
    let text = "use crate::{a::b, c::{d, e}, f};\n// crate::comment\nfn g() { crate::h::i() }\n#[cfg(test)]\nmod tests { use crate::j; }\n";
    let names: Vec<String> = imports(text, 2).into_iter().map(|(_, name)| name).collect();
    assert_eq!(names, ["a", "c", "f", "h"]);
    let deep = "use super::x;\nuse super::super::y;\nuse super::super::super::z;\n";
    for (relative, found) in [("a.rs", "x"), ("a/mod.rs", "x"), ("a/b.rs", "y"), ("a/b/c.rs", "z")] {
        let names: Vec<String> = imports(deep, depth(relative)).into_iter().map(|(_, name)| name).collect();
        assert_eq!(names, [found], "{relative}");
    }
    assert!(names_a_machine(concat!("see /wo", "rk/main")));
    assert!(!names_a_machine(concat!("a/wo", "rk/main")));
    assert!(layer_of("component") < layer_of("lib") && layer_of("ops") < layer_of("store"));
}
