//! The storage check as a component: every storage of ours passes, and each mistake is found by the case that is about it.

use std::sync::Arc;

use scimwell::storage::{Memory, Mutation, Redb, Storage, contract};
use scimwell_tests::data::DataDirectory;
use scimwell_tests::misbehaving::{Fault, Misbehaving};
use scimwell_tests::storage_check::{Checker, Embedder, Verdict};

/// Callers at once in a race.
const PARTS: u32 = 16;

/// One thread, so that those who take part in a race take turns wherever they wait: the outcome is the same every time.
fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime starts")
}

fn threads() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime starts")
}

/// All cases by one caller, then the races by many on many threads.
#[track_caller]
fn passes(runtime: &tokio::runtime::Runtime, storage: &Arc<dyn Storage>) {
    let checker = Arc::new(Checker::new());
    let failures = runtime.block_on(checker.failures(storage));
    assert!(failures.is_empty(), "{failures:#?}");
    for case in runtime.block_on(checker.cases()).iter().filter(|case| case.race) {
        let verdict = runtime.block_on(checker.race(storage, &case.name, PARTS));
        assert!(matches!(verdict, Verdict::Passed), "{}: {verdict:?}", case.name);
    }
}

#[test]
fn memory_passes() {
    passes(&threads(), &(Arc::new(Memory::new()) as Arc<_>));
}

#[test]
fn redb_passes() {
    let directory = DataDirectory::new("storage-check");
    let storage = Redb::open(directory.path()).expect("it opens");
    passes(&threads(), &(Arc::new(storage) as Arc<_>));
}

#[cfg(unix)]
#[test]
fn postgres_passes() {
    use scimwell::storage::Postgres;
    use scimwell_tests::postgres::PostgresServer;

    let server = PostgresServer::shared();
    let options = server.database().parse().expect("a URL");
    let runtime = threads();
    let storage = runtime.block_on(Postgres::connect(&options)).expect("it connects");
    passes(&runtime, &(Arc::new(storage) as Arc<_>));
}

/// The component has the cases that the host's own suite has, and the one about grants; the host has the one about names
/// that no guest can ask for.
#[test]
fn the_cases_are_those_of_the_hosts_own_suite() {
    let cases = runtime().block_on(Checker::new().cases());
    let component: Vec<&str> = cases.iter().map(|case| case.name.as_str()).collect();
    let host: Vec<&str> = contract::clauses().collect();
    assert_eq!(component[1..], host[..host.len() - 1]);
    assert_eq!((component[0], host[host.len() - 1]), ("grants", "tenant-names"));
    assert!(cases.iter().all(|case| case.clause.ends_with('.')));
}

/// The fault is found by this case, among others, run by one caller.
#[track_caller]
fn finds(fault: Fault, case: &str) {
    let storage: Arc<dyn Storage> = Arc::new(Misbehaving::new(fault));
    let failures = runtime().block_on(Checker::new().failures(&storage));
    let names: Vec<&str> = failures.iter().map(|(name, _)| name.as_str()).collect();
    assert!(names.contains(&case), "{fault:?}: {names:?}");
    // What is wrong is told, at a length that can be read.
    assert!(failures.iter().all(|(_, why)| !why.is_empty() && why.len() < 2_000), "{failures:#?}");
}

/// No single caller can find the fault, and those who race find it by this case.
#[track_caller]
fn finds_in_a_race(fault: Fault, case: &str) {
    let storage: Arc<dyn Storage> = Arc::new(Misbehaving::new(fault));
    let (runtime, checker) = (runtime(), Arc::new(Checker::new()));
    assert_eq!(runtime.block_on(checker.failures(&storage)), [], "{fault:?}");
    let verdict = runtime.block_on(checker.race(&storage, case, PARTS));
    assert!(matches!(verdict, Verdict::Failed(_)), "{fault:?}: {verdict:?}");
}

#[test]
fn commits_that_are_wrong_are_found() {
    finds(Fault::IgnoresChecks, "checks");
    finds(Fault::EmptyIsAbsent, "checks");
    finds(Fault::ForgetsCommits, "get");
    finds(Fault::WritesOnConflict, "conflict-leaves-nothing");
    finds(Fault::AlwaysConflict, "put-and-delete");
    finds(Fault::NotAtomic, "failure-leaves-nothing");
    finds(Fault::Reorders, "mutations-in-order");
    finds(Fault::ReadsLate, "read-your-commit");
}

#[test]
fn counters_and_logs_that_are_wrong_are_found() {
    finds(Fault::Saturates, "counters");
    finds(Fault::CountsInDigits, "counters");
    finds(Fault::AddsToText, "failure-leaves-nothing");
    finds(Fault::ReusesNumbers, "append");
}

#[test]
fn reads_that_are_wrong_are_found() {
    finds(Fault::DropsLastKey, "get");
    finds(Fault::ExtraValue, "get");
    finds(Fault::CutsValues, "get");
    finds(Fault::RepeatsEntry, "put-and-delete");
    finds(Fault::SwapsEntries, "byte-order");
    finds(Fault::ForeignEntry, "scan");
    finds(Fault::IgnoresCase, "byte-order");
    finds(Fault::ForgetsReverse, "scan");
    finds(Fault::ForgetsSkip, "scan");
    finds(Fault::ExceedsLimit, "scan");
    finds(Fault::IncludesEnd, "scan");
    finds(Fault::IgnoresKeysOnly, "scan");
    finds(Fault::Truncates, "long-scan");
    finds(Fault::FollowsWholeKeys, "follow");
    finds(Fault::FollowsByPrefix, "follow");
}

#[test]
fn what_is_not_kept_as_it_is_is_found() {
    finds(Fault::KeepsText, "bytes");
    finds(Fault::ShortKeys, "limits");
    finds(Fault::NoLimits, "limits");
    finds(Fault::MixesTenants, "tenants-isolated");
}

#[test]
fn what_only_a_race_shows_is_found_by_one() {
    finds_in_a_race(Fault::ChecksThenWrites, "create-race");
    finds_in_a_race(Fault::ChecksThenWrites, "no-lost-update");
    finds_in_a_race(Fault::LosesAdds, "concurrent-adds");
    finds_in_a_race(Fault::NumbersEarly, "append-tail");
    finds_in_a_race(Fault::TornReads, "one-snapshot");
}

#[test]
fn a_store_that_is_open_to_everybody_is_found() {
    let storage: Arc<dyn Storage> = Arc::new(Memory::new());
    let embedder = Embedder { guards: false, ..Embedder::default() };
    let Verdict::Failed(why) = runtime().block_on(Checker::new().run(&storage, embedder, "grants")) else {
        panic!("an unguarded store passes");
    };
    assert!(why.contains("access-denied"), "{why}");
}

#[test]
fn an_application_of_one_tenant_is_checked_in_it_if_it_is_empty() {
    let (runtime, checker) = (runtime(), Checker::new());
    let embedder = || Embedder { only: Some("the-only".to_owned()), ..Embedder::default() };
    let storage: Arc<dyn Storage> = Arc::new(Memory::new());
    let run = |case: &str| runtime.block_on(checker.run(&storage, embedder(), case));
    for case in runtime.block_on(checker.cases()) {
        let verdict = run(&case.name);
        match case.name.as_str() {
            "grants" | "tenants-isolated" => assert!(matches!(verdict, Verdict::Skipped(_)), "{verdict:?}"),
            name => assert!(matches!(verdict, Verdict::Passed), "{name}: {verdict:?}"),
        }
    }
    // Whatever is the application's own stays.
    let put = || vec![Mutation::Put(b"u1".to_vec(), b"ann".to_vec())];
    runtime.block_on(storage.commit("the-only", vec![], put())).expect("it commits");
    let Verdict::Failed(why) = run("get") else { panic!("a tenant in use passes") };
    assert!(why.contains("\"the-only\"") && why.contains("empty"), "{why}");
    let kept = runtime.block_on(storage.get("the-only", &[b"u1".to_vec()]));
    assert_eq!(kept, Ok(vec![Some(b"ann".to_vec())]));
}

#[test]
fn what_is_asked_wrongly_is_told() {
    let (runtime, checker) = (runtime(), Arc::new(Checker::new()));
    let storage: Arc<dyn Storage> = Arc::new(Memory::new());
    let check = |verdict: Verdict, part: &str| match verdict {
        Verdict::Failed(why) => assert!(why.contains(part), "{why}"),
        other => panic!("{other:?}"),
    };
    check(runtime.block_on(checker.run(&storage, Embedder::default(), "gett")), "no case \"gett\"");
    check(runtime.block_on(checker.race(&storage, "get", 2)), "no parts");
    check(runtime.block_on(checker.race(&storage, "create-race", 1)), "part 0 of 1");
}
