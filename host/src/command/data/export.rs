//! `scimwell export`: all resources of a tenant, page by page in the order of creation, those first that others refer to.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use indicatif::ProgressBar;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::task::JoinHandle;

use super::options::ExportOptions;
use super::path::Path;
use super::scim::Scim;
use super::shape::{Shape, Shapes, unexpected};
use super::source::Format;
use super::{equal, progress};
use crate::command::output::Output;
use crate::command::target::encoded;
use crate::command::{CommandError, Place};

/// Resources in a page, where the tenant allows as many.
const PAGE: u64 = 500;
/// Resources whose lists are read at once.
const LISTS: usize = 8;

/// One page of a traversal by cursor (RFC 9865).
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    #[serde(rename = "Resources", default)]
    resources: Vec<Map<String, Value>>,
    next_cursor: Option<String>,
    total_results: Option<u64>,
}

/// Runs the command.
pub(in crate::command) async fn run(options: ExportOptions, place: &Place, output: Output) -> Result<(), CommandError> {
    let began = Instant::now();
    let scim = Arc::new(Scim::open(place, options.tenant.as_deref()).await?);
    let shapes = Arc::new(Shapes::read(&scim).await?);
    let csv = match (options.format, &options.file) {
        (Some(format), _) => format == Format::Csv,
        (None, Some(file)) => Format::of(file) == Format::Csv,
        (None, None) => false,
    };
    let selected = selected(&options, &shapes, csv)?;
    let columns = match csv {
        true => Some(columns(&options, &shapes.0[selected[0]])?),
        false if options.columns.is_some() => {
            let reason = "columns are of CSV; add --format csv".to_owned();
            return Err(CommandError::Option { option: "--columns", reason });
        }
        false => None,
    };
    let mut target = Target::open(options.file.as_deref(), options.force)?;
    if let Some(columns) = &columns {
        target.row(columns.iter().map(|(text, _)| text.as_str()), options.delimiter)?;
    }
    let page = page_size(&scim).await?;
    let mut written = Map::new();
    for shape in selected {
        let walk = Walk { scim: scim.clone(), shapes: shapes.clone(), shape, columns: columns.clone(), page };
        let count = walk.run(&mut target, &options).await?;
        written.insert(shapes.0[shape].name.clone(), count.into());
    }
    let to_file = target.finish()?;
    if !to_file {
        return Ok(());
    }
    let seconds = began.elapsed().as_secs_f64();
    let file = options.file.as_deref().unwrap_or(FilePath::new("")).display();
    output.print(&json!({ "written": written, "seconds": seconds }), || {
        let counts = written.iter().map(|(name, count)| format!("{count} {name}")).collect::<Vec<_>>().join(", ");
        format!("Wrote {file}: {counts}, in {seconds:.1} s.\n")
    })
}

/// The types to write, those first that refer to no others in lists.
fn selected(options: &ExportOptions, shapes: &Shapes, csv: bool) -> Result<Vec<usize>, CommandError> {
    let named = options.resource_type.as_deref().or(csv.then_some("User"));
    if let Some(name) = named {
        return match shapes.named(name) {
            Some(shape) => Ok(vec![shape]),
            None => {
                let reason = format!("there is no resource type {name}; there are {}", shapes.names());
                Err(CommandError::Option { option: "--type", reason })
            }
        };
    }
    let mut all: Vec<usize> = (0..shapes.0.len()).collect();
    all.sort_by_key(|shape| !shapes.0[*shape].links.is_empty());
    Ok(all)
}

/// As many resources in a page as the tenant allows: a larger `count` is refused beside a cursor (RFC 9865 §2.1).
async fn page_size(scim: &Scim) -> Result<u64, CommandError> {
    let config = scim.get("/ServiceProviderConfig").await?;
    Ok(config["filter"]["maxResults"].as_u64().map_or(PAGE, |most| PAGE.min(most)))
}

/// The columns as they were given, and what they stand for.
fn columns(options: &ExportOptions, shape: &Shape) -> Result<Vec<(String, Path)>, CommandError> {
    let failed = |reason| CommandError::Option { option: "--columns", reason };
    let Some(text) = &options.columns else {
        let reason =
            "CSV needs to know its columns: --columns 'userName,name.familyName,emails[type eq \"work\"].value'";
        return Err(failed(reason.to_owned()));
    };
    let column = |text: String| match Path::parse(&text, shape) {
        Ok(path) => Ok((text, path)),
        Err(reason) => Err(failed(format!("{text:?}: {reason}"))),
    };
    split(text).into_iter().map(column).collect()
}

/// At commas, but for those within quotes.
fn split(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let (mut quoted, mut escaped) = (false, false);
    for character in text.chars() {
        match character {
            ',' if !quoted => parts.push(String::new()),
            _ => {
                quoted ^= character == '"' && !escaped;
                escaped = character == '\\' && quoted && !escaped;
                if let Some(last) = parts.last_mut() {
                    last.push(character);
                }
            }
        }
    }
    parts.into_iter().map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect()
}

/// The resources of one type.
#[derive(Clone)]
struct Walk {
    scim: Arc<Scim>,
    shapes: Arc<Shapes>,
    shape: usize,
    columns: Option<Vec<(String, Path)>>,
    /// Resources in a page.
    page: u64,
}

impl Walk {
    fn shape(&self) -> &Shape {
        &self.shapes.0[self.shape]
    }

    async fn run(self, target: &mut Target, options: &ExportOptions) -> Result<u64, CommandError> {
        let bar = progress::counter("Exported", false);
        let filter = options.filter.as_deref().map(|filter| format!("&filter={}", encoded(filter))).unwrap_or_default();
        // What lists others may be long, and is read for each resource by itself.
        let mut excluded: Vec<&str> = self.shape().links.iter().map(String::as_str).collect();
        // The groups of users stand in the groups; a column may ask for them all the same.
        let asked = |name: &str| self.columns.iter().flatten().any(|(_, path)| path.core_attribute() == Some(name));
        excluded.extend(self.shape().told_elsewhere().filter(|name| !asked(name)));
        let excluded =
            if excluded.is_empty() { String::new() } else { format!("&excludedAttributes={}", excluded.join(",")) };
        let base = format!("{}?{}{excluded}{filter}", self.shape().endpoint, "cursor=");
        let first = base.replacen("cursor=", &format!("cursor=&count={}", self.page), 1);
        let mut page = self.clone().page(first).await?;
        let mut count = 0;
        loop {
            // The next page comes while this one is written.
            let next = page.next_cursor.take().map(|cursor| {
                tokio::spawn(self.clone().page(base.replacen("cursor=", &format!("cursor={}", encoded(&cursor)), 1)))
            });
            count += page.resources.len() as u64;
            if let Some(total) = page.total_results {
                bar.set_length(total);
            }
            self.write(page.resources, target, options, &bar).await?;
            match next {
                Some(next) => page = joined(next).await?,
                None => break,
            }
        }
        bar.finish_and_clear();
        Ok(count)
    }

    async fn page(self, target: String) -> Result<Page, CommandError> {
        let reply = self.scim.send("GET", &target, &[], Bytes::new()).await?;
        if !reply.is_success() {
            return Err(CommandError::Refused { status: reply.status, body: reply.json() });
        }
        serde_json::from_slice(&reply.body)
            .map_err(|error| unexpected(&self.scim.place, &format!("a page of {}: {error}", self.shape().endpoint)))
    }

    async fn write(
        &self,
        resources: Vec<Map<String, Value>>,
        target: &mut Target,
        options: &ExportOptions,
        bar: &ProgressBar,
    ) -> Result<(), CommandError> {
        let mut waiting = VecDeque::new();
        let lists = !self.shape().links.is_empty()
            && self.columns.as_ref().is_none_or(|columns| {
                let links = &self.shape().links;
                columns.iter().any(|(_, path)| links.iter().any(|link| path.core_attribute() == Some(link)))
            });
        let mut resources = resources.into_iter();
        loop {
            let next = resources.next();
            if waiting.len() == LISTS || next.is_none() {
                let Some((resource, lists)) = waiting.pop_front() else { break };
                self.put(resource, joined(lists).await?, target, options).await?;
                bar.inc(1);
            }
            let Some(resource) = next else { continue };
            if !lists {
                self.put(resource, Lists::Read(Map::new()), target, options).await?;
                bar.inc(1);
                continue;
            }
            let id = resource.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
            waiting.push_back((resource, tokio::spawn(self.clone().lists(id))));
        }
        Ok(())
    }

    /// The lists of a resource, if the server gives them whole.
    async fn lists(self, id: String) -> Result<Lists, CommandError> {
        let target = format!("{}/{id}?attributes={}", self.shape().endpoint, self.shape().links.join(","));
        let reply = match self.scim.send("GET", &target, &[], Bytes::new()).await {
            Ok(reply) if reply.status == 404 => return Ok(Lists::Gone),
            Ok(reply) if reply.is_success() => reply,
            // More than the server or this client takes at once.
            Ok(_) | Err(CommandError::Unreachable { .. }) => return Ok(Lists::TooLong),
            Err(error) => return Err(error),
        };
        let Value::Object(mut lists) = reply.json() else {
            return Err(unexpected(&self.scim.place, &format!("{target} is no resource")));
        };
        lists.retain(|name, _| self.shape().links.contains(name));
        Ok(Lists::Read(lists))
    }

    async fn put(
        &self,
        mut resource: Map<String, Value>,
        lists: Lists,
        target: &mut Target,
        options: &ExportOptions,
    ) -> Result<(), CommandError> {
        match lists {
            Lists::Gone => return Ok(()),
            Lists::Read(lists) => resource.extend(lists),
            Lists::TooLong if self.columns.is_none() => return self.put_long(&resource, target).await,
            Lists::TooLong => {
                let reason = "a list is too long for a cell; leave its column out".to_owned();
                return Err(CommandError::Option { option: "--columns", reason });
            }
        }
        let resource = Value::Object(resource);
        match &self.columns {
            None => target.write(format!("{resource}\n").as_bytes()),
            Some(columns) => {
                let cells: Vec<String> = columns.iter().map(|(_, path)| path.get(&resource)).collect();
                target.row(cells.iter().map(String::as_str), options.delimiter)
            }
        }
    }

    /// Writes a resource with a list that the server does not give whole, page by page: who says of itself that it is in
    /// it, and of the types that say nothing of the kind, each resource that the server finds in it.
    async fn put_long(&self, resource: &Map<String, Value>, target: &mut Target) -> Result<(), CommandError> {
        let id = resource.get("id").and_then(Value::as_str).unwrap_or_default();
        let text = Value::Object(resource.clone()).to_string();
        target.write(text.strip_suffix('}').unwrap_or(&text).as_bytes())?;
        for link in &self.shape().links {
            target.write(format!(",{}:[", Value::from(link.as_str())).as_bytes())?;
            let mut separator = "";
            for (number, shape) in self.shapes.0.iter().enumerate() {
                let members = Self { shape: number, ..self.clone() };
                let told = shape.told_elsewhere().next().map(str::to_owned);
                let filter = told.as_ref().map(|name| format!("&filter={}", equal(&format!("{name}.value"), id)));
                let base = format!("{}?cursor=&attributes=id{}", shape.endpoint, filter.unwrap_or_default());
                let mut page = members.clone().page(format!("{base}&count={}", self.page)).await?;
                loop {
                    for member in &page.resources {
                        let value = member.get("id").and_then(Value::as_str).unwrap_or_default();
                        if told.is_none() && !self.holds(id, link, value).await? {
                            continue;
                        }
                        let element = json!({ "value": value, "type": shape.name });
                        target.write(format!("{separator}{element}").as_bytes())?;
                        separator = ",";
                    }
                    let Some(cursor) = page.next_cursor.take() else { break };
                    let next = base.replacen("cursor=", &format!("cursor={}", encoded(&cursor)), 1);
                    page = members.clone().page(next).await?;
                }
            }
            target.write(b"]")?;
        }
        target.write(b"}\n")
    }

    /// Whether the list of a resource has this one.
    async fn holds(&self, id: &str, link: &str, member: &str) -> Result<bool, CommandError> {
        let filter = format!("{}%20and%20{}", equal("id", id), equal(link, member));
        let page = self.clone().page(format!("{}?attributes=id&filter={filter}", self.shape().endpoint)).await?;
        Ok(!page.resources.is_empty())
    }
}

/// What lists a resource has.
enum Lists {
    Read(Map<String, Value>),
    TooLong,
    /// It was deleted meanwhile.
    Gone,
}

/// Where the export goes: a file that appears when it is whole, or standard output.
struct Target {
    out: BufWriter<Box<dyn Write + Send>>,
    /// The file as it is to be called, and as it is while it is written.
    file: Option<(PathBuf, PathBuf, File)>,
}

impl Target {
    fn open(file: Option<&FilePath>, force: bool) -> Result<Self, CommandError> {
        let Some(path) = file else {
            return Ok(Self { out: BufWriter::new(Box::new(std::io::stdout())), file: None });
        };
        let (part, file) = create_part(path, force)?;
        let failed = |source| CommandError::Write { path: part.clone(), source };
        let out = BufWriter::with_capacity(256 * 1024, Box::new(file.try_clone().map_err(failed)?) as Box<_>);
        Ok(Self { out, file: Some((path.to_owned(), part, file)) })
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), CommandError> {
        self.out.write_all(bytes).map_err(CommandError::Output)
    }

    /// A row of CSV (RFC 4180).
    fn row<'c>(&mut self, cells: impl Iterator<Item = &'c str>, delimiter: u8) -> Result<(), CommandError> {
        let mut row = String::new();
        for (number, cell) in cells.enumerate() {
            if number > 0 {
                row.push(char::from(delimiter));
            }
            let quoted = cell.contains([char::from(delimiter), '"', '\r', '\n']) || cell.trim() != cell;
            match quoted {
                true => row.extend(["\"", &cell.replace('"', "\"\""), "\""]),
                false => row.push_str(cell),
            }
        }
        // A row of one empty cell would be an empty line, which is no row.
        row.push_str(if row.is_empty() { "\"\"\r\n" } else { "\r\n" });
        self.write(row.as_bytes())
    }

    /// Whether it went to a file.
    fn finish(mut self) -> Result<bool, CommandError> {
        self.out.flush().map_err(CommandError::Output)?;
        match self.file {
            None => Ok(false),
            Some((path, part, file)) => finish_part(&path, &part, &file).map(|()| true),
        }
    }
}

/// The file as it is called while it is written; for its owner alone, since it holds personal data.
pub(super) fn create_part(path: &FilePath, force: bool) -> Result<(PathBuf, File), CommandError> {
    if path.exists() && !force {
        return Err(CommandError::Exists { path: path.to_owned(), unless: "--force" });
    }
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    let mut open = OpenOptions::new();
    open.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut open, 0o600);
    let file = open.open(&part).map_err(|source| CommandError::Write { path: part.clone(), source })?;
    Ok((part, file))
}

/// Gives the file its name, now that it is whole.
pub(super) fn finish_part(path: &FilePath, part: &FilePath, file: &File) -> Result<(), CommandError> {
    let written = file.sync_all().and_then(|()| std::fs::rename(part, path));
    written.map_err(|source| CommandError::Write { path: path.to_owned(), source })
}

async fn joined<T>(task: JoinHandle<Result<T, CommandError>>) -> Result<T, CommandError> {
    task.await.unwrap_or_else(|error| match error.try_into_panic() {
        Ok(panic) => std::panic::resume_unwind(panic),
        Err(cancelled) => Err(CommandError::Output(std::io::Error::other(cancelled))),
    })
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn columns() {
        assert_eq!(split("userName, name.familyName,"), ["userName", "name.familyName"]);
        assert_eq!(split(r#"emails[type eq "a,\",b"].value,x"#), [r#"emails[type eq "a,\",b"].value"#, "x"]);
    }
}
