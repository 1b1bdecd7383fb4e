//! What the commands take. Other tools drive them: keep them stable.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::Format;

/// The options of `scimwell export`.
#[derive(Args, Clone, Debug)]
pub struct ExportOptions {
    /// The file to write; standard output unless given.
    pub file: Option<PathBuf>,
    /// The tenant; `default`, or the one of --admin-token.
    #[arg(long, value_name = "NAME")]
    pub tenant: Option<String>,
    /// `ndjson` or `csv`; by the ending of the file's name unless given.
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<Format>,
    /// Only resources of this type; with CSV, `User` unless given.
    #[arg(long = "type", value_name = "NAME")]
    pub resource_type: Option<String>,
    /// The columns of CSV, with commas between them: `userName,name.familyName,emails[type eq "work"].value`.
    #[arg(long, value_name = "PATHS")]
    pub columns: Option<String>,
    /// Only resources that match this filter (RFC 7644 §3.4.2.2); with --type.
    #[arg(long, value_name = "FILTER", requires = "resource_type")]
    pub filter: Option<String>,
    /// What stands between cells of CSV: a character, or `tab`.
    #[arg(long, value_name = "CHARACTER", default_value = ",", value_parser = delimiter)]
    pub delimiter: u8,
    /// Write over a file that exists.
    #[arg(long)]
    pub force: bool,
}

/// The options of `scimwell import`.
#[derive(Args, Clone, Debug)]
pub struct ImportOptions {
    /// The file to read: what export writes, an array or list responses in JSON, or CSV.
    pub file: PathBuf,
    /// The tenant; `default`, or the one of --admin-token.
    #[arg(long, value_name = "NAME")]
    pub tenant: Option<String>,
    /// `ndjson` or `csv`; by the ending of the file's name unless given.
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<Format>,
    /// The type of resources that don't say theirs, such as rows of CSV.
    #[arg(long = "type", value_name = "NAME", default_value = "User")]
    pub resource_type: String,
    /// What a column of CSV stands for: `Email=emails[type eq "work"].value`; without a path it is left out. A column named
    /// like an attribute needs none.
    #[arg(long, value_name = "COLUMN=PATH")]
    pub map: Vec<String>,
    /// A file of such lines.
    #[arg(long, value_name = "FILE")]
    pub map_file: Option<PathBuf>,
    /// What stands between cells of CSV: a character, or `tab`.
    #[arg(long, value_name = "CHARACTER", default_value = ",", value_parser = delimiter)]
    pub delimiter: u8,
    /// What to do with a resource that is there already.
    #[arg(long, value_name = "WHAT", default_value = "update")]
    pub on_conflict: OnConflict,
    /// Check everything and change nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Forget how far an earlier import of this file came, and begin anew.
    #[arg(long, conflicts_with = "dry_run")]
    pub restart: bool,
    /// The checkpoint of an import whose resources this file refers to.
    #[arg(long, value_name = "FILE")]
    pub ids: Vec<PathBuf>,
    /// Resources in one request, and one commit.
    #[arg(long, value_name = "NUMBER", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub batch: u32,
    /// Requests at once.
    #[arg(long, value_name = "NUMBER", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub jobs: u32,
}

/// What to do with a resource that is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OnConflict {
    /// Replace it by what the file says.
    Update,
    /// Leave it as it is.
    Skip,
    /// Reject what the file says.
    Fail,
}

/// The options of `scimwell backup`.
#[derive(Args, Clone, Debug)]
pub struct BackupOptions {
    /// The file to write.
    pub file: PathBuf,
    /// Write over a file that exists.
    #[arg(long)]
    pub force: bool,
}

/// The options of `scimwell restore`.
#[derive(Args, Clone, Debug)]
pub struct RestoreOptions {
    /// What `scimwell backup` wrote.
    pub file: PathBuf,
    /// The directory of the embedded database; made where it does not exist.
    #[arg(long, value_name = "DIR", default_value = "./scimwell-data", env = "SCIMWELL_DATA")]
    pub data: PathBuf,
    /// Replace the data that is there; it is kept beside as `scimwell.redb.replaced`.
    #[arg(long)]
    pub replace: bool,
    /// Only verify the file.
    #[arg(long)]
    pub verify: bool,
    /// Answer in JSON, for scripts.
    #[arg(long)]
    pub json: bool,
}

fn delimiter(text: &str) -> Result<u8, String> {
    match text.as_bytes() {
        _ if text.eq_ignore_ascii_case("tab") => Ok(b'\t'),
        [byte] if byte.is_ascii() && !byte.is_ascii_alphanumeric() && !b"\"\r\n".contains(byte) => Ok(*byte),
        _ => Err("expected one character such as , or ; or the word tab".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::delimiter;

    #[test]
    fn delimiters() {
        assert_eq!(delimiter(";"), Ok(b';'));
        assert_eq!(delimiter("TAB"), Ok(b'\t'));
        for refused in ["", "a", "\"", ";;", "§", "\n"] {
            assert!(delimiter(refused).is_err(), "{refused:?}");
        }
    }
}
