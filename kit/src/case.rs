//! The list of cases, and how one is run.

use crate::cases::{commits, points, races, scans, sizes, tenants};
use crate::space::{Ended, Space, Subject, Verdict};

/// What one case looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "`Case::clause` says what each means")]
pub enum Case {
    Get,
    Bytes,
    PutAndDelete,
    ByteOrder,
    Checks,
    ConflictLeavesNothing,
    FailureLeavesNothing,
    MutationsInOrder,
    DeleteRange,
    Counters,
    Append,
    Scan,
    LongScan,
    Read,
    Follow,
    Count,
    Limits,
    TenantsIsolated,
    ConcurrentAdds,
    AppendTail,
    ReadYourCommit,
    CreateRace,
    NoLostUpdate,
    OneSnapshot,
}

/// Those who take part in a race that is run by one caller, one after another.
const PARTS_IN_TURN: u32 = 6;

impl Case {
    /// All of them, in the order in which they are best run: what later ones rely on comes first.
    pub const ALL: &[Self] = &[
        Self::Get,
        Self::Bytes,
        Self::PutAndDelete,
        Self::ByteOrder,
        Self::Checks,
        Self::ConflictLeavesNothing,
        Self::FailureLeavesNothing,
        Self::MutationsInOrder,
        Self::DeleteRange,
        Self::Counters,
        Self::Append,
        Self::Scan,
        Self::LongScan,
        Self::Read,
        Self::Follow,
        Self::Count,
        Self::Limits,
        Self::TenantsIsolated,
        Self::ConcurrentAdds,
        Self::AppendTail,
        Self::ReadYourCommit,
        Self::CreateRace,
        Self::NoLostUpdate,
        Self::OneSnapshot,
    ];

    /// Its name, which ends its tenant's.
    pub const fn name(self) -> &'static str {
        self.about().0
    }

    /// The clause of the contract that it looks at.
    pub const fn clause(self) -> &'static str {
        self.about().1
    }

    const fn about(self) -> (&'static str, &'static str) {
        match self {
            Self::Get => ("get", "The values of all keys asked for, in that order; none for an absent key."),
            Self::Bytes => {
                ("bytes", "Keys and values are any bytes, no text: all 256 of them come back as they went in.")
            }
            Self::PutAndDelete => {
                ("put-and-delete", "A put replaces what was there; a delete removes it, if it is there.")
            }
            Self::ByteOrder => ("byte-order", "Keys are in the order of their bytes, taken as numbers from 0 to 255."),
            Self::Checks => ("checks", "A commit goes through exactly if each key checked maps to what is expected."),
            Self::ConflictLeavesNothing => ("conflict-leaves-nothing", "After a conflict everything is as it was."),
            Self::FailureLeavesNothing => (
                "failure-leaves-nothing",
                "`add` to what is no counter is an error, after which everything is as it was.",
            ),
            Self::MutationsInOrder => ("mutations-in-order", "The mutations of a commit apply in the order given."),
            Self::DeleteRange => ("delete-range", "A deleted range loses its start, not its end, and nothing else."),
            Self::Counters => ("counters", "Counters are 8 bytes, little-endian, two's complement, and wrap around."),
            Self::Append => {
                ("append", "Numbers grow with each append, and are never given again, though all be deleted.")
            }
            Self::Scan => ("scan", "Ranges, `reverse`, `skip`, `limit` and `keys-only`, empty ranges included."),
            Self::LongScan => ("long-scan", "The same on 5,000 entries, which are written in one commit."),
            Self::Read => ("read", "Values and ranges in one call are what `get` and `scan` give, each in its place."),
            Self::Follow => (
                "follow",
                "What the entries of a `read` lead to is what `get` gives for those keys, each in its place.",
            ),
            Self::Count => ("count", "The number of keys in a range."),
            Self::Limits => (
                "limits",
                "Keys of 1 KiB and values of 1 MiB are taken; one byte more is `too-large` and changes nothing.",
            ),
            Self::TenantsIsolated => ("tenants-isolated", "A tenant never sees or changes what is another's."),
            Self::ConcurrentAdds => ("concurrent-adds", "No `add` is lost, however many meet."),
            Self::AppendTail => (
                "append-tail",
                "Who reads a log in order, and goes on from the last key seen, misses nothing that is appended meanwhile.",
            ),
            Self::ReadYourCommit => ("read-your-commit", "A read sees every commit that returned before it started."),
            Self::CreateRace => {
                ("create-race", "Of those who create one key at once, one wins, and the others see it.")
            }
            Self::NoLostUpdate => ("no-lost-update", "A checked change never overwrites one that it did not read."),
            Self::OneSnapshot => ("one-snapshot", "A read never sees half of a commit."),
        }
    }

    /// The case of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|case| case.name() == name)
    }

    /// Whether several callers may run parts of it at once, which tells more than one caller can find out.
    pub const fn is_race(self) -> bool {
        matches!(
            self,
            Self::ConcurrentAdds
                | Self::AppendTail
                | Self::ReadYourCommit
                | Self::CreateRace
                | Self::NoLostUpdate
                | Self::OneSnapshot
        )
    }

    /// The tenant that it works in.
    pub fn tenant(self) -> String {
        format!("storage-check-{}", self.name())
    }
}

/// Runs a case from its beginning to its end by one caller, who takes all parts of a race in turn. Afterwards nothing is
/// left of it.
pub async fn run<S: Subject>(subject: &S, case: Case) -> Verdict {
    let parts = if case.is_race() { PARTS_IN_TURN } else { 1 };
    prepare(subject, case).await?;
    for part in 0..parts {
        if let Err(ended) = take_part(subject, case, part, parts).await {
            return Err(clean(subject, case, ended).await);
        }
    }
    conclude(subject, case, parts).await
}

/// Makes the case's tenant ready for those who take part in it.
pub async fn prepare<S: Subject>(subject: &S, case: Case) -> Verdict {
    let space = Space::open(subject, &case.tenant()).await?;
    space.begin().await?;
    races::prepare(case, &space).await
}

/// Runs part number `part`, counted from 0, of `of` parts. Where they are not run at once, they must be run in turn. What is
/// no race has one part.
pub async fn take_part<S: Subject>(subject: &S, case: Case, part: u32, of: u32) -> Verdict {
    let s = &Space::open(subject, &case.tenant()).await?;
    match case {
        Case::Get => points::get(s).await,
        Case::Bytes => points::bytes(s).await,
        Case::PutAndDelete => points::put_and_delete(s).await,
        Case::ByteOrder => scans::byte_order(s).await,
        Case::Checks => commits::checks(s).await,
        Case::ConflictLeavesNothing => commits::conflict_leaves_nothing(s).await,
        Case::FailureLeavesNothing => commits::failure_leaves_nothing(s).await,
        Case::MutationsInOrder => commits::mutations_in_order(s).await,
        Case::DeleteRange => commits::delete_range(s).await,
        Case::Counters => points::counters(s).await,
        Case::Append => points::append(s).await,
        Case::Scan => scans::scan(s).await,
        Case::Read => scans::read(s).await,
        Case::Follow => scans::follow(s).await,
        Case::LongScan => scans::long_scan(s).await,
        Case::Count => scans::count(s).await,
        Case::Limits => sizes::limits(s).await,
        Case::TenantsIsolated => tenants::isolated(s).await,
        Case::ConcurrentAdds
        | Case::AppendTail
        | Case::ReadYourCommit
        | Case::CreateRace
        | Case::NoLostUpdate
        | Case::OneSnapshot => races::take_part(case, s, part, of).await,
    }
}

/// Looks at what `of` parts have left behind, and removes it.
pub async fn conclude<S: Subject>(subject: &S, case: Case, of: u32) -> Verdict {
    let space = Space::open(subject, &case.tenant()).await?;
    match races::conclude(case, &space, of).await {
        Ok(()) => space.clear().await,
        Err(ended) => Err(clean(subject, case, ended).await),
    }
}

/// Removes what a case has left that ended early. That a broken storage fails in this as well is no news.
async fn clean<S: Subject>(subject: &S, case: Case, ended: Ended) -> Ended {
    if let Ok(space) = Space::open(subject, &case.tenant()).await {
        let _ = space.clear().await;
    }
    ended
}
