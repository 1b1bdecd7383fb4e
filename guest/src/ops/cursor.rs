//! Cursors (RFC 9865): where a traversal goes on, in a string that only this server can make and read.
//!
//! A cursor holds a place in the order of the list rather than a number, so that writes between two pages neither repeat nor
//! skip a resource that they don't touch. Nothing is kept for it: what can't be forged needn't be remembered.
//!
//! It is sealed with HMAC-SHA256 under a random key of the tenant: the tag over query and contents authenticates, and seeds
//! the key stream that hides the contents (the construction of RFC 5297, SIV, with HMAC for both functions).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::error::{ErrorKind, Result, ScimError};
use crate::host::Host;
use crate::resource::Timestamp;
use crate::store::{self, Mode, Read, keys};

use super::Context;
use super::sort::SortKey;

/// First byte of the contents, to be changed with their form.
const FORM: u8 = 1;
/// Bytes of the tag: half of SHA-256, the least that RFC 2104 §5 advises.
const TAG: usize = 16;

/// A traversal between two pages.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Cursor {
    /// When it was issued.
    pub issued: Timestamp,
    /// `count` of the traversal, which must not change on the way (RFC 9865 §2.1).
    pub count: usize,
    /// How many resources matched when the traversal began, where that is known.
    pub total: Option<u64>,
    /// The sort key of the last resource shown.
    pub key: SortKey,
    /// Its type's name.
    pub resource_type: String,
    /// Its id.
    pub id: String,
}

/// What a cursor is for: tenant, endpoint and the parameters that decide what is listed. Another query can't use it.
pub(super) struct Purpose<'q> {
    tenant: &'q str,
    endpoint: &'q str,
    selection: [&'q str; 3],
}

/// Seals and opens cursors of one query.
pub(super) struct Seal<'q> {
    key: Vec<u8>,
    purpose: Purpose<'q>,
}

impl<H: Host> Context<'_, H> {
    /// What a cursor of this request is for; `endpoint` is the type's name, or empty at the root.
    fn purpose<'q>(&'q self, endpoint: &'q str) -> Purpose<'q> {
        Purpose { tenant: &self.principal.tenant, endpoint, selection: self.query.selection() }
    }

    /// The string for a cursor. The first cursor of a tenant makes its key.
    pub(super) fn seal_cursor(&self, endpoint: &str, cursor: &Cursor) -> Result<String> {
        let key = match self.store.peek_one(keys::cursor_key())? {
            Some(key) => key,
            None => store::transact(&self.store, Mode::Commit, |txn| {
                if let Some(key) = txn.read_one(&keys::cursor_key())? {
                    return Ok(key);
                }
                let key = [self.host.random(), self.host.random()].concat();
                txn.put(keys::cursor_key(), key.clone());
                Ok(key)
            })?,
        };
        Ok(Seal { key, purpose: self.purpose(endpoint) }.seal(cursor))
    }

    /// The cursor in a string: 400 invalidCursor, or expiredCursor where it was issued too long ago.
    pub(super) fn open_cursor(&self, endpoint: &str, text: &str) -> Result<Cursor> {
        let key = self.store.peek_one(keys::cursor_key())?;
        let cursor =
            key.and_then(|key| Seal { key, purpose: self.purpose(endpoint) }.open(text)).ok_or_else(invalid)?;
        let seconds = self.tenant.settings.cursor_seconds;
        if self.now.saturating_sub(cursor.issued) > u64::from(seconds) * 1000 {
            return Err(ScimError::new(
                ErrorKind::ExpiredCursor,
                format!(
                    "cursor: it was issued more than {seconds} seconds ago (cursorTimeout of ServiceProviderConfig). Start \
                     again with an empty cursor."
                ),
            ));
        }
        Ok(cursor)
    }
}

/// 400 invalidCursor, in the same words whatever is wrong with it (RFC 9865 §6.2).
pub(super) fn invalid() -> ScimError {
    ScimError::new(
        ErrorKind::InvalidCursor,
        "cursor: it was not issued for this query. Send the `nextCursor` of the previous page as it stands, with filter, \
         sortBy and sortOrder unchanged; or start again with an empty cursor.",
    )
}

impl Seal<'_> {
    fn seal(&self, cursor: &Cursor) -> String {
        let mut contents = encode(cursor);
        let tag = self.tag(&contents).finalize().into_bytes();
        let mut sealed = tag[..TAG].to_vec();
        self.hide(&tag[..TAG], &mut contents);
        sealed.extend_from_slice(&contents);
        // Unreserved characters only (RFC 9865 §2).
        URL_SAFE_NO_PAD.encode(sealed)
    }

    fn open(&self, text: &str) -> Option<Cursor> {
        let sealed = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (tag, contents) = sealed.split_at_checked(TAG)?;
        let mut contents = contents.to_vec();
        self.hide(tag, &mut contents);
        // In constant time.
        self.tag(&contents).verify_truncated_left(tag).ok()?;
        decode(&contents)
    }

    /// The tag over what the cursor is for and what it holds. Each part is preceded by its length, so that no two differ
    /// only in where one part ends.
    fn tag(&self, contents: &[u8]) -> Hmac<Sha256> {
        let mut mac = self.mac(b'T');
        let Purpose { tenant, endpoint, selection: [filter, sort_by, sort_order] } = &self.purpose;
        for part in [tenant, endpoint, filter, sort_by, sort_order] {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part.as_bytes());
        }
        mac.update(contents);
        mac
    }

    /// Hide or show contents.
    fn hide(&self, tag: &[u8], contents: &mut [u8]) {
        for (number, block) in (0_u64..).zip(contents.chunks_mut(32)) {
            let mut mac = self.mac(b'S');
            mac.update(tag);
            mac.update(&number.to_be_bytes());
            block.iter_mut().zip(mac.finalize().into_bytes()).for_each(|(byte, mask)| *byte ^= mask);
        }
    }

    /// One function for each use of the key.
    fn mac(&self, usage: u8) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).expect("HMAC takes keys of any length");
        mac.update(&[usage]);
        mac
    }
}

fn encode(cursor: &Cursor) -> Vec<u8> {
    let Cursor { issued, count, total, key, resource_type, id } = cursor;
    let mut bytes = vec![FORM];
    bytes.extend_from_slice(&issued.to_be_bytes());
    bytes.extend_from_slice(&(*count as u64).to_be_bytes());
    bytes.extend_from_slice(&total.map_or(-1, u64::cast_signed).to_be_bytes());
    let (kind, value) = match key {
        SortKey::Absent => (b'-', Vec::new()),
        SortKey::Number(number) => (b'n', number.to_bits().to_be_bytes().to_vec()),
        SortKey::Instant(instant) => (b'i', instant.to_be_bytes().to_vec()),
        SortKey::Text(text) => (b't', text.as_bytes().to_vec()),
    };
    bytes.push(kind);
    for part in [&value, resource_type.as_bytes(), id.as_bytes()] {
        bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
        bytes.extend_from_slice(part);
    }
    bytes
}

fn decode(bytes: &[u8]) -> Option<Cursor> {
    let (form, rest) = bytes.split_first()?;
    if *form != FORM {
        return None;
    }
    let (issued, rest) = number(rest)?;
    let (count, rest) = number(rest)?;
    let (total, rest) = number(rest)?;
    let (kind, rest) = rest.split_first()?;
    let (value, rest) = part(rest)?;
    let (resource_type, rest) = part(rest)?;
    let (id, rest) = part(rest)?;
    let key = match kind {
        b'-' => SortKey::Absent,
        b'n' => SortKey::Number(f64::from_bits(u64::from_be_bytes(value.try_into().ok()?))),
        b'i' => SortKey::Instant(i128::from_be_bytes(value.try_into().ok()?)),
        b't' => SortKey::Text(text(value)?),
        _ => return None,
    };
    rest.is_empty().then_some(Cursor {
        issued,
        count: usize::try_from(count).ok()?,
        total: u64::try_from(total.cast_signed()).ok(),
        key,
        resource_type: text(resource_type)?,
        id: text(id)?,
    })
}

fn number(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (number, rest) = bytes.split_first_chunk()?;
    Some((u64::from_be_bytes(*number), rest))
}

fn part(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = number(bytes)?;
    rest.split_at_checked(usize::try_from(length).ok()?)
}

fn text(bytes: &[u8]) -> Option<String> {
    String::from_utf8(bytes.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seal<'q>(key: &[u8], tenant: &'q str, filter: &'q str) -> Seal<'q> {
        let purpose = Purpose { tenant, endpoint: "User", selection: [filter, "userName", ""] };
        Seal { key: key.to_vec(), purpose }
    }

    fn cursors() -> Vec<Cursor> {
        let keys = [
            SortKey::Absent,
            SortKey::Number(0.1),
            SortKey::Instant(-1),
            SortKey::Text("ÿ".repeat(200)),
            SortKey::Text(String::new()),
        ];
        let cursor = |key| Cursor {
            issued: 1_700_000_000_000,
            count: 10,
            total: Some(7),
            key,
            resource_type: "User".into(),
            id: "0193-a".into(),
        };
        let mut all: Vec<Cursor> = keys.into_iter().map(cursor).collect();
        all.push(Cursor { total: None, ..cursor(SortKey::Absent) });
        all
    }

    #[test]
    fn what_is_sealed_opens_and_is_safe_in_urls() {
        let seal = seal(&[7; 32], "acme", "title pr");
        for cursor in cursors() {
            let text = seal.seal(&cursor);
            assert!(text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~".contains(&b)), "{text}");
            assert_eq!(seal.open(&text), Some(cursor));
        }
    }

    #[test]
    fn a_changed_cursor_does_not_open() {
        let seal = seal(&[7; 32], "acme", "title pr");
        let text = seal.seal(&cursors()[3]);
        for at in 0..text.len() {
            let mut changed = text.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            assert_eq!(seal.open(&String::from_utf8(changed).unwrap()), None, "{at}");
            assert_eq!(seal.open(&text[..at]), None);
        }
        for other in ["", "A", "é", "====", &"A".repeat(100)] {
            assert_eq!(seal.open(other), None);
        }
        assert_eq!(seal.open(&format!("{text}A")), None);
    }

    #[test]
    fn no_other_tenant_query_or_key_opens_it() {
        let text = seal(&[7; 32], "acme", "title pr").seal(&cursors()[0]);
        assert_eq!(seal(&[7; 32], "other", "title pr").open(&text), None);
        assert_eq!(seal(&[7; 32], "acme", "title eq \"a\"").open(&text), None);
        assert_eq!(seal(&[8; 32], "acme", "title pr").open(&text), None);
    }

    #[test]
    fn the_contents_are_hidden() {
        let seal = seal(&[7; 32], "acme", "");
        let cursor = Cursor { key: SortKey::Text("salary".into()), ..cursors().remove(0) };
        let bytes = URL_SAFE_NO_PAD.decode(seal.seal(&cursor)).unwrap();
        assert!(!bytes.windows(6).any(|part| part == b"salary") && !bytes.windows(4).any(|part| part == b"User"));
    }
}
