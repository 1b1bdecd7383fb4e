//! Times as people and scripts write them: RFC 3339, and for how long from now.

use std::fmt;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Seconds since 1970 as RFC 3339 has them; a number beyond the year 9999 stays one.
pub(crate) fn rfc3339(seconds: u64) -> String {
    let moment = i64::try_from(seconds).ok().and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok());
    moment.and_then(|moment| moment.format(&Rfc3339).ok()).unwrap_or_else(|| seconds.to_string())
}

/// The milliseconds since 1970 of a time in RFC 3339.
#[cfg(feature = "server")]
pub(crate) fn milliseconds(text: &str) -> Option<u64> {
    let moment = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    u64::try_from(moment.unix_timestamp_nanos() / 1_000_000).ok()
}

/// Why a text is no time at which something could expire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ExpiryError {
    /// It is neither a time nor a time span.
    Malformed,
    /// It is not after now.
    Past,
    /// It is beyond the year 9999.
    Far,
}

impl fmt::Display for ExpiryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => {
                "expected a number of hours, days or weeks (`12h`, `90d`, `52w`), a date (`2030-01-31`, which means its \
                 start in UTC), a date and time (`2030-01-31T18:00:00Z`) or `never`"
            }
            Self::Past => "that is not in the future",
            Self::Far => "that is beyond the year 9999; for a token that does not expire, say `never`",
        })
    }
}

/// When something expires, in seconds since 1970: `90d` after `now`, a date (its start in UTC), or a date and time.
pub(crate) fn expiry(text: &str, now: u64) -> Result<u64, ExpiryError> {
    let moment = match span(text) {
        Some(seconds) => now.checked_add(seconds?).ok_or(ExpiryError::Far)?,
        None => moment(text)?,
    };
    match moment {
        past if past <= now => Err(ExpiryError::Past),
        far if far >= YEAR_10000 => Err(ExpiryError::Far),
        moment => Ok(moment),
    }
}

/// The first second that RFC 3339 can't write.
const YEAR_10000: u64 = 253_402_300_800;

/// The seconds of `90d`; `None` for what is no time span at all.
fn span(text: &str) -> Option<Result<u64, ExpiryError>> {
    let unit = text.chars().next_back()?;
    let hours = match unit {
        'h' => 1,
        'd' => 24,
        'w' => 7 * 24,
        _ => return None,
    };
    let number = &text[..text.len() - unit.len_utf8()];
    if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let seconds = number.parse::<u64>().ok().and_then(|number| number.checked_mul(hours * 3600));
    Some(seconds.ok_or(ExpiryError::Far))
}

fn moment(text: &str) -> Result<u64, ExpiryError> {
    let start_of_day = format!("{text}T00:00:00Z");
    let moment = OffsetDateTime::parse(&start_of_day, &Rfc3339)
        .or_else(|_| OffsetDateTime::parse(text, &Rfc3339))
        .map_err(|_| ExpiryError::Malformed)?;
    u64::try_from(moment.unix_timestamp()).map_err(|_| ExpiryError::Past)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-01-01T00:00:00Z
    const NOW: u64 = 1_767_225_600;

    #[track_caller]
    fn check(text: &str, expect: Result<&str, ExpiryError>) {
        assert_eq!(expiry(text, NOW).map(rfc3339), expect.map(str::to_owned), "{text}");
    }

    #[test]
    fn expiries() {
        check("12h", Ok("2026-01-01T12:00:00Z"));
        check("90d", Ok("2026-04-01T00:00:00Z"));
        check("1w", Ok("2026-01-08T00:00:00Z"));
        check("2027-01-31", Ok("2027-01-31T00:00:00Z"));
        check("2027-01-31T18:00:00+02:00", Ok("2027-01-31T16:00:00Z"));
        check("9999-12-31T23:59:59Z", Ok("9999-12-31T23:59:59Z"));
    }

    #[test]
    fn no_expiries() {
        for text in ["", "d", "90", "90 d", "-1d", "1.5d", "90D", "tomorrow", "2027-02-30", "2027-01-31 18:00", "ü"] {
            check(text, Err(ExpiryError::Malformed));
        }
        for text in ["0d", "2026-01-01", "2025-12-31T23:59:59Z", "1969-12-31"] {
            check(text, Err(ExpiryError::Past));
        }
        for text in ["99999999d", "99999999999999999999d", "18446744073709551615w"] {
            check(text, Err(ExpiryError::Far));
        }
    }
}
