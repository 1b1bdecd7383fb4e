//! docs/conformance.md against the tests: what it names exists, and what it says is so names a test.

use std::collections::BTreeMap;
use std::fs;

use scimwell_tests::server::workspace;

/// A row of a table whose columns are these.
const COLUMNS: [&str; 5] = ["Requirement", "Level", "Section", "Stands", "Tested"];

/// One requirement.
#[derive(Debug)]
struct Row<'d> {
    line: usize,
    requirement: &'d str,
    level: &'d str,
    stands: &'d str,
    tested: &'d str,
}

/// What a row names, as it is written there: `file` and then titles, or `file::test`.
#[derive(Debug, PartialEq, Eq)]
enum Named {
    /// An exchange of a transcript.
    Exchange { file: String, title: String },
    /// A test function.
    Test { file: String, name: String },
}

#[test]
fn every_row_stands_and_names_its_tests() {
    let document = read("docs/conformance.md");
    let rows = rows(&document);
    assert!(rows.len() > 250, "only {} rows were found: are the columns still {COLUMNS:?}?", rows.len());
    let mut sources = Sources::default();
    let mut wrong = Vec::new();
    for row in &rows {
        let place = format!("docs/conformance.md:{}: {}", row.line, row.requirement);
        let word = row.stands.split([',', ';', ':', ' ']).next().unwrap_or_default();
        match word {
            "no" if ["MUST", "SHALL", "REQUIRED"].iter().any(|must| row.level.contains(must)) => {
                wrong.push(format!("{place}: the RFC has {}, and it stands at no", row.level));
            }
            "yes" | "choice" | "no" => {}
            other => wrong.push(format!("{place}: `{other}` is neither yes, choice nor no")),
        }
        match named(row.tested) {
            Ok(names) if names.is_empty() && word == "yes" => wrong.push(format!("{place}: yes, and no test is named")),
            Ok(names) => {
                wrong.extend(names.iter().filter_map(|name| Some(format!("{place}: {}", sources.lack(name)?))));
            }
            Err(error) => wrong.push(format!("{place}: {error}")),
        }
    }
    assert!(wrong.is_empty(), "{}\n{} wrong", wrong.join("\n"), wrong.len());
}

/// Whether a file's name says that it is of this kind.
fn is_a(file: &str, kind: &str) -> bool {
    std::path::Path::new(file).extension().is_some_and(|found| found == kind)
}

/// The rows of all tables with our columns.
fn rows(document: &str) -> Vec<Row<'_>> {
    let mut rows = Vec::new();
    let mut ours = false;
    for (index, line) in document.lines().enumerate() {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        match cells[..] {
            _ if !line.starts_with('|') => ours = false,
            _ if cells == COLUMNS => ours = true,
            [requirement, level, _, stands, tested] if ours => {
                rows.push(Row { line: index + 1, requirement, level, stands, tested });
            }
            _ => {}
        }
    }
    rows
}

/// Splits `users.http` “Delete”, “It is gone”; `search.rs::preconditions`, `head`.
fn named(tested: &str) -> Result<Vec<Named>, String> {
    let mut names = Vec::new();
    let mut file: Option<String> = None;
    let mut rest = tested;
    loop {
        rest = rest.trim_start_matches([' ', ',', ';']);
        if let Some((code, after)) = rest.strip_prefix('`').and_then(|rest| rest.split_once('`')) {
            match (code.split_once("::"), &file) {
                (Some((in_file, name)), _) => {
                    names.push(Named::Test { file: in_file.to_owned(), name: name.to_owned() });
                    file = Some(in_file.to_owned());
                }
                (None, _) if is_a(code, "http") => file = Some(code.to_owned()),
                (None, Some(file)) if is_a(file, "rs") => {
                    names.push(Named::Test { file: file.clone(), name: code.to_owned() });
                }
                (None, _) => return Err(format!("`{code}` names no file")),
            }
            rest = after;
        } else if let Some((title, after)) = rest.strip_prefix('“').and_then(|rest| rest.split_once('”')) {
            match &file {
                Some(file) if is_a(file, "http") => {
                    names.push(Named::Exchange { file: file.clone(), title: title.to_owned() });
                }
                _ => return Err(format!("“{title}” is of no transcript")),
            }
            rest = after;
        } else if rest.is_empty() {
            return Ok(names);
        } else {
            return Err(format!("neither a test nor a transcript: {rest:?}"));
        }
    }
}

/// Files that were read, by the path in the workspace.
#[derive(Default)]
struct Sources(BTreeMap<String, Option<String>>);

impl Sources {
    /// What is wrong with a name, if anything is.
    fn lack(&mut self, name: &Named) -> Option<String> {
        match name {
            Named::Exchange { file, title } => match self.text(&format!("tests/transcripts/{file}")) {
                None => Some(format!("there is no tests/transcripts/{file}")),
                Some(text) if text.lines().any(|line| line.strip_prefix("### ") == Some(title)) => None,
                Some(_) => Some(format!("{file} has no exchange “{title}”")),
            },
            Named::Test { file, name } => {
                let function = name.rsplit("::").next().unwrap_or(name);
                let marks = [format!("fn {function}("), format!("fn {function}<")];
                let mut paths = paths(file);
                if paths.iter().all(|path| self.text(path).is_none()) {
                    return Some(format!("there is no {}", paths[0]));
                }
                let found = paths.drain(..).any(|path| {
                    self.text(&path).is_some_and(|text| {
                        let lines: Vec<&str> = text.lines().map(str::trim).collect();
                        lines.iter().enumerate().any(|(at, line)| {
                            marks.iter().any(|mark| line.trim_start_matches("async ").starts_with(mark.as_str()))
                                && lines[..at]
                                    .iter()
                                    .rev()
                                    .take_while(|line| !line.is_empty() && **line != "}")
                                    .any(is_test)
                        })
                    })
                });
                (!found).then(|| format!("{file} has no test `{function}`"))
            }
        }
    }

    fn text(&mut self, path: &str) -> Option<&str> {
        let entry = self.0.entry(path.to_owned());
        entry.or_insert_with(|| fs::read_to_string(workspace().join(path)).ok()).as_deref()
    }
}

/// Of a function outside a macro; those inside `proptest!` carry it too.
fn is_test(line: &&str) -> bool {
    line.starts_with("#[test]") || line.starts_with("#[tokio::test")
}

/// Where a file named in the document may be: in full, or one of `guest/tests/`; the unit tests of a file may be in one beside it.
fn paths(file: &str) -> Vec<String> {
    match file.contains('/') {
        false => vec![format!("guest/tests/{file}")],
        true => {
            let stem = file.trim_end_matches(".rs").trim_end_matches("/mod");
            vec![file.to_owned(), format!("{stem}/tests.rs")]
        }
    }
}

fn read(path: &str) -> String {
    fs::read_to_string(workspace().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[test]
fn the_check_finds_what_is_wrong() {
    let document = "| Requirement | Level | Section | Stands | Tested |\n|---|---|---|---|---|\n| a | MUST | 1 | yes | `users.http` “Delete”, “x”; `search.rs::preconditions`, `y` |\n";
    let rows = rows(document);
    let names = named(rows[0].tested).unwrap();
    let mut sources = Sources::default();
    let lacks: Vec<_> = names.iter().map(|name| sources.lack(name)).collect();
    let expect = [None, Some("users.http has no exchange “x”"), None, Some("search.rs has no test `y`")];
    assert_eq!(lacks.iter().map(Option::as_deref).collect::<Vec<_>>(), expect);
    // A function that is no test is none.
    let helper = named("`configuration.rs::badge`").unwrap();
    assert_eq!(sources.lack(&helper[0]).as_deref(), Some("configuration.rs has no test `badge`"));
    assert!(named("see the tests").is_err() && named("`alone`").is_err() && named("“Alone”").is_err());
}
