//! What must hold while others write: cases of several parts, which show most where they are run at once.

use std::collections::BTreeSet;

use super::{add, is_absent, log, put, range_deleted};
use crate::case::Case;
use crate::space::{ALL, Ended, Space, Subject, Verdict, broken, same};
use crate::types::{Check, Entry, Key, KeyRange, Outcome, ScanOptions, Value};

/// Commits of each part.
const ROUNDS: u32 = 8;
/// How often a part tries again after a conflict: far more than there are parts that it could lose to.
const ATTEMPTS: u32 = 100_000;
/// How often the reader of a log finds nothing new before it takes the writers for lost.
const IDLE_READS: u32 = 1_000_000;

/// What is there when the parts begin.
pub(crate) async fn prepare<S: Subject>(case: Case, s: &Space<S>) -> Verdict {
    match case {
        Case::NoLostUpdate => s.apply(vec![put("n", "0")]).await,
        _ => Ok(()),
    }
}

/// One of the parts.
pub(crate) async fn take_part<S: Subject>(case: Case, s: &Space<S>, part: u32, of: u32) -> Verdict {
    match case {
        Case::ConcurrentAdds => adds(s, part).await,
        // Last, so that a caller who takes all parts in turn reads when all is written.
        Case::AppendTail if part + 1 == of => reads_log(s, of - 1).await,
        Case::AppendTail => writes_log(s, part).await,
        Case::ReadYourCommit => reads_its_commits(s, part).await,
        Case::CreateRace => creates(s, part).await,
        Case::NoLostUpdate => updates(s).await,
        Case::OneSnapshot if part.is_multiple_of(2) => writes_three(s, part).await,
        Case::OneSnapshot => reads_three(s).await,
        _ => Ok(()),
    }
}

/// What the parts together must have left.
pub(crate) async fn conclude<S: Subject>(case: Case, s: &Space<S>, of: u32) -> Verdict {
    let total = i64::from(of) * i64::from(ROUNDS);
    match case {
        Case::ConcurrentAdds => {
            same("the counter that all add 3 to", &s.counter("n").await?, &Some(3 * total))?;
            let odd = i64::from(of / 2) * i64::from(ROUNDS);
            same("the counter that every other part takes 1 from", &s.counter("m").await?, &Some(-odd))
        }
        Case::AppendTail => {
            let records = s.count(&log_records()).await?;
            same("records in the log", &records, &u64::from((of - 1) * ROUNDS))
        }
        Case::CreateRace => {
            same("how many creations of one key each won", &s.counter("created").await?, &Some(i64::from(ROUNDS)))
        }
        Case::NoLostUpdate => same("one more from each part", &s.get(b"n").await?, &Some(of.to_string().into_bytes())),
        _ => Ok(()),
    }
}

async fn adds<S: Subject>(s: &Space<S>, part: u32) -> Verdict {
    for _ in 0..ROUNDS {
        s.apply(vec![add("n", 3), add("m", -i64::from(part % 2))]).await?;
    }
    Ok(())
}

fn log_records() -> KeyRange {
    KeyRange { start: b"log".to_vec(), end: b"loh".to_vec() }
}

async fn writes_log<S: Subject>(s: &Space<S>, part: u32) -> Verdict {
    let mut written = Ok(());
    for round in 0..ROUNDS {
        written = s.apply(vec![log("log", &format!("{part}/{round}"))]).await;
        if written.is_err() {
            break;
        }
    }
    // Even where it failed, or the reader would wait for it.
    written.and(s.apply(vec![add("written", 1)]).await)
}

/// Whoever reads the log in order and goes on from the last key seen misses nothing and sees nothing twice.
async fn reads_log<S: Subject>(s: &Space<S>, writers: u32) -> Verdict {
    let mut seen: Vec<Value> = Vec::new();
    let mut from = b"log".to_vec();
    let mut idle = 0;
    loop {
        let is_complete = s.counter("written").await?.unwrap_or(0) >= i64::from(writers);
        let page = s.scan(&from, &log_records().end, ScanOptions { limit: 10, ..ALL }).await?;
        match page.last() {
            // The smallest key greater than the last one seen.
            Some(last) => from = [last.key.as_slice(), &[0]].concat(),
            None if is_complete => break,
            None if idle == IDLE_READS => {
                return broken("the writers do not come to an end; run all parts at once, or in turn".to_owned());
            }
            None => idle += 1,
        }
        seen.extend(page.into_iter().map(|entry| entry.value));
        s.subject.pause().await;
    }
    let distinct: BTreeSet<&Value> = seen.iter().collect();
    same("records seen", &seen.len(), &((writers * ROUNDS) as usize))?;
    same("different records seen", &distinct.len(), &seen.len())?;
    let stored: Vec<Value> = s.scan(b"log", b"loh", ALL).await?.into_iter().map(|entry| entry.value).collect();
    same("records in the order of the log", &seen, &stored)
}

async fn reads_its_commits<S: Subject>(s: &Space<S>, part: u32) -> Verdict {
    for round in 0..ROUNDS {
        let (key, value) = (format!("{part:03}"), round.to_string());
        s.apply(vec![put(&key, &value)]).await?;
        same("the value just committed", &s.get(key.as_bytes()).await?, &Some(value.clone().into_bytes()))?;
        let range = super::range(&key, &format!("{key}~"));
        let options = ScanOptions { limit: 2, ..ALL };
        let reading =
            s.subject.read(&s.tenant, &[key.clone().into()], std::slice::from_ref(&range), options, &[]).await?;
        same("the value just committed, by `read`", &reading.values, &vec![Some(value.clone().into_bytes())])?;
        same("the range of it, by `read`", &reading.entries.iter().map(Vec::len).collect::<Vec<_>>(), &vec![1])?;
        same("the count just committed", &s.count(&range).await?, &1)?;
        let found = s.scan(&range.start, &range.end, ALL).await?;
        same("the scan after it", &found, &vec![Entry { key: key.into(), value: value.into() }])?;
    }
    Ok(())
}

async fn creates<S: Subject>(s: &Space<S>, part: u32) -> Verdict {
    for round in 0..ROUNDS {
        let key = format!("unique/{round}");
        let mutations = vec![put(&key, &part.to_string()), add("created", 1)];
        let outcome = s.subject.commit(&s.tenant, vec![is_absent(&key)], mutations).await?;
        match (outcome, s.get(key.as_bytes()).await?) {
            (Outcome::Committed, Some(holder)) => {
                same("who holds the key that this part won", &holder, &part.to_string().into_bytes())?;
            }
            (Outcome::Conflict, Some(_)) => {}
            (_, None) => return broken("a loser must see the winner's value at once".to_owned()),
        }
        s.subject.pause().await;
    }
    Ok(())
}

async fn updates<S: Subject>(s: &Space<S>) -> Verdict {
    for _ in 0..ATTEMPTS {
        let Some(before) = s.get(b"n").await? else { return broken("the key vanished".to_owned()) };
        let text = String::from_utf8_lossy(&before).into_owned();
        let Ok(number) = text.parse::<u32>() else { return broken(format!("the number became {text:?}")) };
        // Lets the other parts read the same value.
        s.subject.pause().await;
        let check = Check { key: b"n".to_vec(), expected: Some(before) };
        let mutations = vec![put("n", &(number + 1).to_string())];
        if s.subject.commit(&s.tenant, vec![check], mutations).await? == Outcome::Committed {
            return Ok(());
        }
    }
    Err(Ended::Failed(format!("{ATTEMPTS} commits ended in a conflict, though somebody must have won")))
}

async fn writes_three<S: Subject>(s: &Space<S>, part: u32) -> Verdict {
    let value = part.to_string();
    for _ in 0..ROUNDS {
        s.apply(vec![put("a", &value), range_deleted("b", "c"), put("b", &value), put("z", &value)]).await?;
        s.subject.pause().await;
    }
    Ok(())
}

async fn reads_three<S: Subject>(s: &Space<S>) -> Verdict {
    for _ in 0..ROUNDS {
        let values = s.subject.get(&s.tenant, &["a", "b", "z"].map(Key::from)).await?;
        let found = s.scan(b"a", b"zz", ALL).await?;
        let is_whole = values.iter().all(|value| *value == values[0])
            && found.iter().all(|entry| entry.value == found[0].value)
            && [0, 3].contains(&found.len());
        if !is_whole {
            return broken(format!("half a commit was read: {values:?}, {found:?}"));
        }
        s.subject.pause().await;
    }
    Ok(())
}
