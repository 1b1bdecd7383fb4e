//! Keys, values and records of the greatest size, and one byte beyond.

use super::put;
use crate::space::{ALL, Space, Subject, Verdict, broken, same};
use crate::types::{Check, MAX_KEY, MAX_VALUE, Mutation, Outcome, StoreError};

pub(crate) async fn limits<S: Subject>(s: &Space<S>) -> Verdict {
    taken(s).await?;
    s.clear().await?;
    refused(s).await
}

/// What is as large as may be.
async fn taken<S: Subject>(s: &Space<S>) -> Verdict {
    let (key, value) = (vec![b'k'; MAX_KEY], vec![0xf0; MAX_VALUE]);
    // An index that holds the beginning of a key only would take the two for one.
    let almost = [&key[1..], b"l"].concat();
    let prefix = vec![b'l'; MAX_KEY - 8];
    let put_all = vec![
        Mutation::Put(key.clone(), value.clone()),
        Mutation::Put(almost.clone(), b"almost".to_vec()),
        Mutation::Append(prefix.clone(), b"record".to_vec()),
    ];
    s.apply(put_all).await?;
    same("a value of 1 MiB", &(s.get(&key).await?.as_ref() == Some(&value)), &true)?;
    same("the value of a key of 1 KiB that differs in its end", &s.get(&almost).await?, &Some(b"almost".to_vec()))?;
    let records = s.scan(&prefix, &[&prefix[..], &[0xff; 9]].concat(), ALL).await?;
    same("records under a prefix of 1 KiB less 8 bytes", &records.len(), &1)?;
    let held = Check { key: key.clone(), expected: Some(value) };
    s.outcome(vec![held], vec![Mutation::Delete(key)], Outcome::Committed).await
}

/// What is one byte larger.
async fn refused<S: Subject>(s: &Space<S>) -> Verdict {
    let (key, value, prefix) = (vec![b'k'; MAX_KEY], vec![0xf0; MAX_VALUE], vec![b'l'; MAX_KEY - 8]);
    let longer = |bytes: &[u8]| [bytes, &[0]].concat();
    let too_large = [
        ("the key of a put", Mutation::Put(longer(&key), vec![])),
        ("the value of a put", Mutation::Put(key.clone(), longer(&value))),
        ("the key of a delete", Mutation::Delete(longer(&key))),
        ("the key of an add", Mutation::Add(longer(&key), 1)),
        ("the prefix of an append", Mutation::Append(longer(&prefix), vec![])),
        ("the value of an append", Mutation::Append(vec![], longer(&value))),
    ];
    let expected = |what: &str, tried: Result<Outcome, StoreError>| match tried {
        Err(StoreError::TooLarge) => Ok(()),
        other => broken(format!("one byte too many in {what}: expected the error `too-large`, came {other:?}")),
    };
    for (what, mutation) in too_large {
        let tried = s.subject.commit(&s.tenant, vec![], vec![put("small", ""), mutation]).await;
        expected(what, tried)?;
        s.holds(&[]).await?;
    }
    let checks = vec![Check { key: longer(&key), expected: None }];
    expected("a check", s.subject.commit(&s.tenant, checks, vec![]).await)
}
