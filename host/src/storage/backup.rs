//! A copy of a whole store as a stream of bytes, with a checksum at its end: what `scimwell backup` writes and `scimwell
//! restore` reads, whatever the store keeps its data in.
//!
//! First [`MAGIC`]; then records, each a byte that tells its kind and its parts, integers in big-endian order:
//!
//! | kind | parts |
//! |---|---|
//! | 1 | length of the key (4 bytes), of the value (4 bytes), key, value |
//! | 2 | length of the tenant's name (4 bytes), name, the sequence number last given out (8 bytes) |
//! | 0 | the end: number of records (8 bytes), SHA-256 of everything before the hash (32 bytes) |

use std::fmt;
use std::io::{self, Read};

use sha2::{Digest, Sha256};

use super::{MAX_KEY, MAX_TENANT, MAX_VALUE, StoreError};

/// What a backup begins with; the number changes with the form.
pub const MAGIC: &[u8] = b"scimwell backup 1\n";
/// Bytes of a part of the stream, unless a record is larger.
const CHUNK: usize = 256 * 1024;
/// The longest key of a record: a tenant's name, a NUL and the tenant's own key.
const LONGEST_KEY: usize = MAX_TENANT + 1 + MAX_KEY;

const END: u8 = 0;
const ENTRY: u8 = 1;
const SEQUENCE: u8 = 2;

/// One thing that a store holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// A key of a tenant and its value.
    Entry {
        /// The tenant's name, a NUL, and the tenant's own key.
        key: Vec<u8>,
        /// The value.
        value: Vec<u8>,
    },
    /// The sequence number that a tenant's last append got.
    Sequence {
        /// The tenant's name.
        tenant: String,
        /// The number.
        last: u64,
    },
}

/// All that a store held at one moment.
pub type Snapshot = Box<dyn Iterator<Item = Result<Record, StoreError>> + Send>;

/// A snapshot as the parts of a stream. After an error there is no more, and what came before is no backup.
pub struct Stream {
    records: Option<Snapshot>,
    count: u64,
    hash: Sha256,
    started: bool,
}

impl Stream {
    /// Of this snapshot.
    pub fn new(records: Snapshot) -> Self {
        Self { records: Some(records), count: 0, hash: Sha256::new(), started: false }
    }

    fn chunk(&mut self) -> Result<Vec<u8>, StoreError> {
        let mut chunk = Vec::with_capacity(CHUNK + 4096);
        if !std::mem::replace(&mut self.started, true) {
            chunk.extend_from_slice(MAGIC);
        }
        while chunk.len() < CHUNK {
            let Some(record) = self.records.as_mut().and_then(Iterator::next) else {
                self.records = None;
                chunk.push(END);
                chunk.extend_from_slice(&self.count.to_be_bytes());
                self.hash.update(&chunk);
                chunk.extend_from_slice(&self.hash.clone().finalize());
                return Ok(chunk);
            };
            self.count += 1;
            match record? {
                Record::Entry { key, value } => {
                    chunk.push(ENTRY);
                    chunk.extend_from_slice(&length(&key)?);
                    chunk.extend_from_slice(&length(&value)?);
                    chunk.extend_from_slice(&key);
                    chunk.extend_from_slice(&value);
                }
                Record::Sequence { tenant, last } => {
                    chunk.push(SEQUENCE);
                    chunk.extend_from_slice(&length(tenant.as_bytes())?);
                    chunk.extend_from_slice(tenant.as_bytes());
                    chunk.extend_from_slice(&last.to_be_bytes());
                }
            }
        }
        self.hash.update(&chunk);
        Ok(chunk)
    }
}

fn length(bytes: &[u8]) -> Result<[u8; 4], StoreError> {
    u32::try_from(bytes.len()).map(u32::to_be_bytes).map_err(|_| StoreError::TooLarge)
}

impl Iterator for Stream {
    type Item = Result<Vec<u8>, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.records.as_ref()?;
        let chunk = self.chunk();
        if chunk.is_err() {
            self.records = None;
        }
        Some(chunk)
    }
}

/// Why a stream is no backup.
#[derive(Debug)]
pub enum BackupError {
    /// It does not begin as one.
    NoBackup,
    /// It ends before its end.
    CutOff,
    /// Its checksum is not that of its contents, or a record is none.
    Damaged,
    /// Something follows its end.
    Longer,
    /// It can't be read.
    Read(io::Error),
}

impl fmt::Display for BackupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoBackup => f.write_str("this is no backup of scimwell, or one of a later version"),
            Self::CutOff => f.write_str("the backup is cut off before its end; nothing can be restored from it"),
            Self::Damaged => {
                f.write_str("the backup is damaged: its checksum does not hold; nothing can be restored from it")
            }
            Self::Longer => f.write_str("something follows the end of the backup; nothing can be restored from it"),
            Self::Read(error) => write!(f, "the backup can't be read: {error}"),
        }
    }
}

impl std::error::Error for BackupError {}

impl From<io::Error> for BackupError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::CutOff,
            _ => Self::Read(error),
        }
    }
}

/// Reads a backup. Only after the last record, when `next` gives `None`, is it known to be whole.
pub struct Reader<R> {
    input: R,
    count: u64,
    hash: Sha256,
    state: State,
}

#[derive(PartialEq, Eq)]
enum State {
    Beginning,
    Records,
    Over,
}

impl<R: Read> Reader<R> {
    /// Of this stream; better one with a buffer.
    pub fn new(input: R) -> Self {
        Self { input, count: 0, hash: Sha256::new(), state: State::Beginning }
    }

    fn record(&mut self) -> Result<Option<Record>, BackupError> {
        if self.state == State::Beginning {
            self.state = State::Records;
            let mut magic = [0; MAGIC.len()];
            self.input.read_exact(&mut magic).map_err(|error| match error.kind() {
                io::ErrorKind::UnexpectedEof => BackupError::NoBackup,
                _ => BackupError::Read(error),
            })?;
            if magic != MAGIC {
                return Err(BackupError::NoBackup);
            }
            self.hash.update(magic);
        }
        let [kind] = self.array()?;
        match kind {
            ENTRY => {
                let (key, value) = (self.length(LONGEST_KEY)?, self.length(MAX_VALUE)?);
                let (key, value) = (self.bytes(key)?, self.bytes(value)?);
                self.count += 1;
                Ok(Some(Record::Entry { key, value }))
            }
            SEQUENCE => {
                let name = self.length(MAX_TENANT)?;
                let tenant = String::from_utf8(self.bytes(name)?).map_err(|_| BackupError::Damaged)?;
                let last = u64::from_be_bytes(self.array()?);
                self.count += 1;
                Ok(Some(Record::Sequence { tenant, last }))
            }
            END => self.end().map(|()| None),
            _ => Err(BackupError::Damaged),
        }
    }

    fn end(&mut self) -> Result<(), BackupError> {
        let count = u64::from_be_bytes(self.array()?);
        let mut hash = [0; 32];
        self.input.read_exact(&mut hash)?;
        if count != self.count || hash != *self.hash.clone().finalize() {
            return Err(BackupError::Damaged);
        }
        match self.input.read(&mut [0])? {
            0 => Ok(()),
            _ => Err(BackupError::Longer),
        }
    }

    /// A length; one beyond what a store takes is damage, and no reason to ask for so much memory.
    fn length(&mut self, most: usize) -> Result<usize, BackupError> {
        let length = u32::from_be_bytes(self.array()?) as usize;
        if length > most { Err(BackupError::Damaged) } else { Ok(length) }
    }

    fn bytes(&mut self, length: usize) -> Result<Vec<u8>, BackupError> {
        let mut bytes = vec![0; length];
        self.input.read_exact(&mut bytes)?;
        self.hash.update(&bytes);
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], BackupError> {
        let mut bytes = [0; N];
        self.input.read_exact(&mut bytes)?;
        self.hash.update(bytes);
        Ok(bytes)
    }
}

impl<R: Read> Iterator for Reader<R> {
    type Item = Result<Record, BackupError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.state == State::Over {
            return None;
        }
        let record = self.record().transpose();
        if !matches!(record, Some(Ok(_))) {
            self.state = State::Over;
        }
        record
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records() -> Vec<Record> {
        let entry = |n: usize| Record::Entry { key: n.to_be_bytes().to_vec(), value: vec![7; n * 1000] };
        let mut records: Vec<Record> = (0..50).map(entry).collect();
        records.push(Record::Sequence { tenant: "acme".to_owned(), last: 3 });
        records
    }

    fn stream(records: Vec<Record>) -> Vec<u8> {
        Stream::new(Box::new(records.into_iter().map(Ok))).map(Result::unwrap).collect::<Vec<_>>().concat()
    }

    fn read(bytes: &[u8]) -> Result<Vec<Record>, BackupError> {
        Reader::new(bytes).collect()
    }

    #[test]
    fn what_is_written_is_read() {
        for records in [Vec::new(), records()] {
            assert_eq!(read(&stream(records.clone())).unwrap(), records);
        }
    }

    #[test]
    fn any_changed_byte_is_noticed() {
        let whole = stream(records());
        for at in (0..whole.len()).step_by(997).chain([0, whole.len() - 1, whole.len() - 33, whole.len() - 41]) {
            let mut changed = whole.clone();
            changed[at] ^= 1;
            assert!(read(&changed).is_err(), "{at}");
        }
    }

    #[test]
    fn a_part_is_no_backup() {
        let whole = stream(records());
        for length in (0..whole.len()).step_by(991).chain([whole.len() - 1]) {
            assert!(read(&whole[..length]).is_err(), "{length}");
        }
        assert!(matches!(read(&[&whole[..], b"x"].concat()), Err(BackupError::Longer)));
        assert!(matches!(read(b"something else that is long enough"), Err(BackupError::NoBackup)));
    }

    #[test]
    fn an_error_ends_the_stream() {
        let failing = [Err(StoreError::AccessDenied), Ok(records().remove(0))];
        let mut stream = Stream::new(Box::new(failing.into_iter()));
        assert_eq!(stream.next(), Some(Err(StoreError::AccessDenied)));
        assert_eq!(stream.next(), None);
    }
}
