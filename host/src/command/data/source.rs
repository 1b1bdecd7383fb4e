//! The file of an import, one item after the other, each with its place: a line of NDJSON, a JSON value, a row of CSV.
//!
//! Memory holds one item, never the file. An item that can't be read is given as such, and the next one is found all the
//! same.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use csv_core::ReadRecordResult;

/// Bytes of an item at most: a group with some two million members.
const ITEM_BYTES: usize = 512 * 1024 * 1024;
/// Bytes read at once.
const BUFFER: usize = 256 * 1024;

/// Where an item begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Position {
    /// In bytes from the start of the file.
    pub(super) offset: u64,
    /// From 1 on.
    pub(super) line: u64,
}

/// One item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) start: Position,
    /// The byte after it.
    pub(super) end: u64,
    pub(super) content: Content,
}

/// What an item holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// The text of a JSON value, not yet parsed.
    Json(Vec<u8>),
    /// The cells of a row.
    Row(Vec<String>),
    /// What could not be read, and why.
    Broken { text: String, reason: String },
}

/// How a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// JSON: a resource a line, an array of resources, or list responses.
    Ndjson,
    /// Comma-separated values, the first row naming the columns (RFC 4180).
    Csv,
}

impl Format {
    /// By the ending of the file's name.
    pub(super) fn of(path: &Path) -> Self {
        match path.extension() {
            Some(ending) if ending.eq_ignore_ascii_case("csv") => Self::Csv,
            _ => Self::Ndjson,
        }
    }
}

/// An open file.
pub(super) struct Source {
    input: BufReader<File>,
    next: Position,
    kind: Kind,
}

enum Kind {
    /// A JSON value a line.
    Lines,
    /// JSON values, however they are laid out; the brackets and commas of an array around them are passed over.
    Values,
    Csv {
        delimiter: u8,
    },
}

impl Source {
    /// Opens a file of JSON.
    pub(super) fn json(path: &Path) -> io::Result<Self> {
        let mut source = Self::open(path, Kind::Lines)?;
        let mut first = Vec::new();
        source.input.by_ref().take(ITEM_BYTES as u64).read_until(b'\n', &mut first)?;
        let text = first.trim_ascii();
        let parsed = serde_json::from_slice::<serde::de::IgnoredAny>(text);
        // Where the first line ends within a value, values span lines; where it is no JSON at all, the others may be.
        if text.starts_with(b"[") || parsed.is_err_and(|error| error.is_eof() && !text.is_empty()) {
            source.kind = Kind::Values;
        }
        let start = source.next;
        source.seek(start)?;
        Ok(source)
    }

    /// Opens a file of CSV; the names of its columns.
    pub(super) fn csv(path: &Path, delimiter: u8) -> io::Result<(Self, Vec<String>)> {
        let mut source = Self::open(path, Kind::Csv { delimiter })?;
        let columns = match source.next()?.map(|item| item.content) {
            Some(Content::Row(columns)) => columns.iter().map(|column| column.trim().to_owned()).collect(),
            Some(_) => return Err(invalid("its first row, which names the columns, is not UTF-8")),
            None => return Err(invalid("it is empty; its first row names the columns")),
        };
        Ok((source, columns))
    }

    fn open(path: &Path, kind: Kind) -> io::Result<Self> {
        let mut input = BufReader::with_capacity(BUFFER, File::open(path)?);
        // Spreadsheets write a byte order mark.
        let marked = input.fill_buf()?.starts_with(b"\xef\xbb\xbf");
        if marked {
            input.consume(3);
        }
        let offset = if marked { 3 } else { 0 };
        Ok(Self { input, next: Position { offset, line: 1 }, kind })
    }

    /// Goes on at an item's place.
    pub(super) fn seek(&mut self, to: Position) -> io::Result<()> {
        self.input.seek(SeekFrom::Start(to.offset))?;
        self.next = to;
        Ok(())
    }

    /// Where the next item is looked for.
    pub(super) fn position(&self) -> Position {
        self.next
    }

    /// The next item; `None` at the end of the file.
    pub(super) fn next(&mut self) -> io::Result<Option<Item>> {
        match self.kind {
            Kind::Lines => self.next_line(),
            Kind::Values => self.next_value(),
            Kind::Csv { delimiter } => self.next_row(delimiter),
        }
    }

    fn next_line(&mut self) -> io::Result<Option<Item>> {
        loop {
            let mut line = Vec::new();
            let read = self.input.by_ref().take(ITEM_BYTES as u64).read_until(b'\n', &mut line)?;
            if read == 0 {
                return Ok(None);
            }
            let start = self.passed(&line);
            if line.len() == ITEM_BYTES && !line.ends_with(b"\n") {
                return Err(too_long(start));
            }
            let text = line.trim_ascii();
            if !text.is_empty() {
                let content = Content::Json(text.to_vec());
                return Ok(Some(Item { start, end: self.next.offset, content }));
            }
        }
    }

    /// Reads up to the bracket that closes the value; what is wrong inside, whoever parses it says.
    fn next_value(&mut self) -> io::Result<Option<Item>> {
        let mut text = Vec::new();
        let mut start = self.next;
        let (mut depth, mut in_string, mut escaped) = (0_u32, false, false);
        loop {
            let buffer = self.input.fill_buf()?;
            if buffer.is_empty() {
                let item = Item { start, end: self.next.offset, content: Content::Json(text) };
                return Ok((depth > 0).then_some(item));
            }
            let mut used = 0;
            let mut whole = false;
            for byte in buffer.iter().copied() {
                used += 1;
                match byte {
                    b'{' if depth == 0 => {
                        depth = 1;
                        start = Position { offset: self.next.offset, line: self.next.line };
                        text.push(byte);
                    }
                    // The array around the values, and what separates them.
                    _ if depth == 0 => {}
                    _ => {
                        text.push(byte);
                        match byte {
                            _ if escaped => escaped = false,
                            b'\\' if in_string => escaped = true,
                            b'"' => in_string = !in_string,
                            b'{' | b'[' if !in_string => depth += 1,
                            b'}' | b']' if !in_string => depth -= 1,
                            _ => {}
                        }
                        whole = depth == 0;
                    }
                }
                self.next.offset += 1;
                self.next.line += u64::from(byte == b'\n');
                if whole {
                    break;
                }
            }
            self.input.consume(used);
            if whole {
                return Ok(Some(Item { start, end: self.next.offset, content: Content::Json(text) }));
            }
            if text.len() > ITEM_BYTES {
                return Err(too_long(start));
            }
        }
    }

    fn next_row(&mut self, delimiter: u8) -> io::Result<Option<Item>> {
        let mut reader = csv_core::ReaderBuilder::new().delimiter(delimiter).build();
        let (mut cells, mut ends) = (vec![0; 4096], vec![0; 64]);
        let (mut written, mut ended) = (0, 0);
        let start = self.next;
        let mut raw = Vec::new();
        loop {
            let input = self.input.fill_buf()?;
            let at_end = input.is_empty();
            let (result, read, wrote, more) = reader.read_record(input, &mut cells[written..], &mut ends[ended..]);
            raw.extend_from_slice(&input[..read]);
            self.input.consume(read);
            written += wrote;
            ended += more;
            match result {
                ReadRecordResult::InputEmpty if at_end => return Ok(None),
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull if cells.len() > ITEM_BYTES => return Err(too_long(start)),
                ReadRecordResult::OutputFull => cells.resize(cells.len() * 2, 0),
                ReadRecordResult::OutputEndsFull => ends.resize(ends.len() * 2, 0),
                ReadRecordResult::Record => break,
                ReadRecordResult::End => return Ok(None),
            }
        }
        self.passed(&raw);
        // csv-core leaves the second byte of CR LF, and empty lines, to the next call.
        let leading = raw.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        let lines = newlines(&raw[..leading]);
        let start = Position { offset: start.offset + leading as u64, line: start.line + lines };
        let row = cells_of(&cells[..written], &ends[..ended]);
        let content = match row {
            Ok(row) => Content::Row(row),
            Err(_) => Content::Broken {
                text: String::from_utf8_lossy(raw.trim_ascii()).into_owned(),
                reason: "the row is not UTF-8; save the file as UTF-8".to_owned(),
            },
        };
        Ok(Some(Item { start, end: self.next.offset, content }))
    }

    /// Moves behind these bytes; where they began.
    fn passed(&mut self, bytes: &[u8]) -> Position {
        let start = self.next;
        self.next.offset += bytes.len() as u64;
        self.next.line += newlines(bytes);
        start
    }
}

fn newlines(bytes: &[u8]) -> u64 {
    bytes.split(|byte| *byte == b'\n').skip(1).fold(0, |lines, _| lines + 1)
}

fn cells_of(bytes: &[u8], ends: &[usize]) -> Result<Vec<String>, std::str::Utf8Error> {
    let mut start = 0;
    let cell = |end: &usize| {
        let cell = std::str::from_utf8(&bytes[start..*end]);
        start = *end;
        cell.map(str::to_owned)
    };
    ends.iter().map(cell).collect()
}

fn too_long(start: Position) -> io::Error {
    invalid(&format!("the item that begins at line {} is longer than {ITEM_BYTES} bytes", start.line))
}

fn invalid(reason: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the source gives, as `line:text`, and again from the place of each item.
    #[track_caller]
    fn check(text: &str, open: impl Fn(&Path) -> Source, expect: &[&str]) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        std::fs::write(&path, text).unwrap();
        let mut source = open(&path);
        let mut found = Vec::new();
        while let Some(item) = source.next().unwrap() {
            found.push(item);
        }
        let shown = |item: &Item| match &item.content {
            Content::Json(text) => format!("{}:{}", item.start.line, String::from_utf8_lossy(text)),
            Content::Row(cells) => format!("{}:{}", item.start.line, cells.join("|")),
            Content::Broken { text, .. } => format!("{}!{text}", item.start.line),
        };
        assert_eq!(found.iter().map(shown).collect::<Vec<_>>(), expect);
        for (at, item) in found.iter().enumerate() {
            source.seek(item.start).unwrap();
            assert_eq!(source.next().unwrap().as_ref(), Some(item));
            source.seek(Position { offset: item.end, line: source.position().line }).unwrap();
            assert_eq!(source.next().unwrap().map(|next| next.content), found.get(at + 1).map(|n| n.content.clone()));
        }
    }

    fn json(path: &Path) -> Source {
        Source::json(path).unwrap()
    }

    fn csv(path: &Path) -> Source {
        let (source, columns) = Source::csv(path, b',').unwrap();
        assert_eq!(columns, ["a", "b"]);
        source
    }

    #[test]
    fn lines() {
        check(
            "{\"a\":1}\n\n  {\"a\":2}\r\n{oops\n{\"a\":3}",
            json,
            &["1:{\"a\":1}", "3:{\"a\":2}", "4:{oops", "5:{\"a\":3}"],
        );
        check("\u{feff}{}\n{}\n", json, &["1:{}", "2:{}"]);
        check("{oops\n{}\n", json, &["1:{oops", "2:{}"]);
        check("", json, &[]);
    }

    #[test]
    fn values() {
        check("[{\"a\":\"}]\\\"\"},\n {\"b\":[{}]}]", json, &["1:{\"a\":\"}]\\\"\"}", "2:{\"b\":[{}]}"]);
        check("{\n \"a\": 1\n}\n{}\n", json, &["1:{\n \"a\": 1\n}", "4:{}"]);
        check("{\n \"a\"", json, &["1:{\n \"a\""]);
    }

    #[test]
    fn rows() {
        check("a,b\n1,2\n\n\"x\n,\",\"\"\"\"\n3,4", csv, &["2:1|2", "4:x\n,|\"", "6:3|4"]);
        check("a,b\r\n1,2\r\n3,4\r\n", csv, &["2:1|2", "3:3|4"]);
        check("\u{feff}a,b\n1\n", csv, &["2:1"]);
        check(
            &format!("a,b\n{},{}\n", "x".repeat(9000), ",".repeat(200)),
            csv,
            &[&format!("2:{}|{}", "x".repeat(9000), "|".repeat(200))],
        );
    }
}
