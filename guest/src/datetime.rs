//! `dateTime` values (RFC 7643 §2.3.5): an `xsd:dateTime` in, RFC 3339 in UTC out.

use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcDateTime};

use crate::resource::Timestamp;

/// The instant that an `xsd:dateTime` stands for, in nanoseconds since 1970-01-01T00:00:00Z; `None` where it is none.
///
/// XML Schema leaves the zone optional; without one, the time is taken as UTC. Lower-case `t` and `z` are accepted.
pub fn parse(text: &str) -> Option<i128> {
    // The parser behind this takes any character between date and time; XML Schema takes one.
    if !matches!(text.as_bytes().get(10), Some(b'T' | b't')) {
        return None;
    }
    let has_zone = text[11..].contains(['Z', 'z', '+', '-']);
    let instant = if has_zone {
        OffsetDateTime::parse(text, &Rfc3339)
    } else {
        OffsetDateTime::parse(&format!("{text}Z"), &Rfc3339)
    };
    instant.ok().map(OffsetDateTime::unix_timestamp_nanos)
}

/// Milliseconds since 1970-01-01T00:00:00Z as `2026-11-22T16:40:00.123Z`. What lies beyond the year 9999 becomes its end,
/// since the format has no room for it.
pub fn format(ms: Timestamp) -> String {
    let second = i64::try_from(ms / 1_000).unwrap_or(i64::MAX);
    let (second, millisecond) = match UtcDateTime::from_unix_timestamp(second) {
        Ok(instant) => (instant, ms % 1_000),
        Err(_) => (UtcDateTime::MAX, 999),
    };
    write(second, u16::try_from(millisecond).unwrap_or_default())
}

/// The same of nanoseconds, cut to milliseconds.
pub fn format_instant(nanoseconds: i128) -> String {
    let instant = UtcDateTime::from_unix_timestamp_nanos(nanoseconds).unwrap_or(UtcDateTime::MAX);
    write(instant, instant.millisecond())
}

/// By hand: each resource has two, and the machinery of `format!` took a tenth of the time that a page takes.
fn write(instant: UtcDateTime, millisecond: u16) -> String {
    let mut text = String::with_capacity("2026-11-22T16:40:00.123Z".len());
    let year = instant.year().unsigned_abs();
    match instant.year() {
        0.. => text.extend([digit(year / 1_000), digit(year / 100)]),
        _ => text.extend(['-', digit(year / 100)]),
    }
    for (number, end) in [
        (year, '-'),
        (u8::from(instant.month()).into(), '-'),
        (instant.day().into(), 'T'),
        (instant.hour().into(), ':'),
        (instant.minute().into(), ':'),
        (instant.second().into(), '.'),
    ] {
        text.extend([digit(number / 10), digit(number), end]);
    }
    let millisecond = u32::from(millisecond);
    text.extend([digit(millisecond / 100), digit(millisecond / 10), digit(millisecond), 'Z']);
    text
}

/// The last decimal digit of a number.
fn digit(number: u32) -> char {
    char::from_digit(number % 10, 10).unwrap_or('0')
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i128 = 1_000_000_000;

    fn check(text: &str, expect: impl Into<Option<i128>>) {
        assert_eq!(parse(text), expect.into(), "{text}");
    }

    fn reject(text: &str) {
        check(text, None);
    }

    #[test]
    fn instants() {
        check("1970-01-01T00:00:00Z", 0);
        check("1970-01-01T00:00:01Z", SECOND);
        check("1970-01-01t00:00:01z", SECOND);
        check("1970-01-01T00:00:01", SECOND);
        check("1970-01-01T00:00:01.5", SECOND * 3 / 2);
        check("1970-01-01T00:00:00.000000001Z", 1);
        check("1970-01-01T00:00:00.0000000019Z", 1);
        check("1970-01-01T01:00:00+01:00", 0);
        check("1969-12-31T16:00:00.000-08:00", 0);
        check("1969-12-31T23:59:59Z", -SECOND);
        check("2018-02-13T15:05:24.000-08:00", 1_518_563_124 * SECOND);
        check("2024-02-29T00:00:00Z", 1_709_164_800 * SECOND);
    }

    #[test]
    fn no_instants() {
        reject("");
        reject("2026-11-22");
        reject("2026-11-22 16:40:00Z");
        reject("2026-11-22X16:40:00Z");
        reject("2026-13-22T16:40:00Z");
        reject("2025-02-29T00:00:00Z");
        reject("2026-11-22T25:00:00Z");
        reject("2026-11-22T16:40:00+0100");
        reject("2026-11-22T16:40:00ZZ");
        reject("2026-11-22T");
        reject("2026-11-22Té");
        reject("ééééé-22T16:40:00Z");
        reject("yesterday");
    }

    #[test]
    fn formats_in_milliseconds() {
        assert_eq!(format(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(format(1_795_365_600_123), "2026-11-22T16:40:00.123Z");
        assert_eq!(format(u64::MAX), "9999-12-31T23:59:59.999Z");
    }

    #[test]
    fn what_is_formatted_parses_to_itself() {
        for ms in [0, 1, 999, 1_000, 951_782_400_000, 1_795_365_600_123, 253_402_300_799_999] {
            assert_eq!(parse(&format(ms)), Some(i128::from(ms) * 1_000_000));
        }
    }
}
