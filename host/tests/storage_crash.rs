//! The embedded database survives kill -9 at any moment: everything acknowledged is there, each commit is whole, and
//! opening it again needs no repair.
//!
//! The test runs its own binary as the process to be killed.
#![cfg(all(feature = "redb", unix))]

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use scimwell::storage::{KeyRange, Mutation, Redb, ScanOptions, Storage};

/// Names the data directory to the process that is to be killed; its presence makes this binary that process.
const DATA: &str = "SCIMWELL_CRASH_TEST_DATA";
/// Times that the process is killed.
const KILLS: u32 = 12;
/// Tasks that commit at once.
const TASKS: u32 = 8;
/// Keys of each commit.
const PARTS: usize = 5;

#[test]
fn survives_kill_9() {
    if let Some(data) = std::env::var_os(DATA) {
        commit_until_killed(Path::new(&data));
    }
    let directory = tempfile::tempdir().unwrap();
    let mut acknowledged = Vec::new();
    for kill in 0..KILLS {
        let mut child = start(directory.path());
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let mut lines = lines.filter_map(|line| line.strip_prefix("committed ").map(str::to_owned));
        // At least one commit, so that each round tests something, and then some moment that differs each time.
        acknowledged.push(lines.next().expect("the child commits"));
        std::thread::sleep(Duration::from_micros(u64::from(kill) * 7919 % 50_000));
        child.kill().unwrap();
        child.wait().unwrap();
        // What it printed before it died was acknowledged. A line cut short was not printed.
        acknowledged.extend(lines);
        check(directory.path(), &acknowledged);
    }
    assert!(acknowledged.len() > KILLS as usize, "only {} commits were acknowledged", acknowledged.len());
}

fn start(data: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["survives_kill_9", "--exact", "--nocapture"])
        .env(DATA, data)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Commits from several tasks and prints what was acknowledged.
fn commit_until_killed(data: &Path) -> ! {
    let storage = Arc::new(Redb::open(data).unwrap());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    for task in 0..TASKS {
        let storage = Arc::clone(&storage);
        runtime.spawn(async move {
            for round in 0_usize.. {
                let id = format!("{}-{task}-{round}.", std::process::id());
                let mut mutations: Vec<Mutation> = (0..PARTS)
                    .map(|part| Mutation::Put(format!("{part}/{id}").into_bytes(), vec![b'x'; 100 * (1 + round % 30)]))
                    .collect();
                mutations.push(Mutation::Append(b"log/".to_vec(), id.clone().into_bytes()));
                mutations.push(Mutation::Add(b"total".to_vec(), 1));
                storage.commit("t", vec![], mutations).await.unwrap();
                // One write a line, so that the lines of several tasks don't mix.
                std::io::stdout().write_all(format!("committed {id}\n").as_bytes()).unwrap();
            }
        });
    }
    // The parent dies with the test at the latest; then nobody is left to kill this process.
    std::thread::sleep(Duration::from_mins(1));
    std::process::exit(1)
}

fn check(data: &Path, acknowledged: &[String]) {
    let mut builder = redb::Database::builder();
    builder.set_repair_callback(redb::RepairSession::abort);
    drop(builder.open(data.join("scimwell.redb")).expect("the file opens without a repair"));
    let storage = Redb::open(data).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let all = ScanOptions { limit: u32::MAX, ..ScanOptions::default() };
        let range = KeyRange { start: b"log/".to_vec(), end: b"log0".to_vec() };
        let log = storage.scan("t", &range, all).await.unwrap();
        let mut logged: Vec<String> = log.iter().map(|entry| String::from_utf8(entry.value.clone()).unwrap()).collect();
        for (number, entry) in (1_u64..).zip(&log) {
            assert_eq!(entry.key[4..], number.to_be_bytes(), "the log has a gap or a repetition");
        }
        logged.sort_unstable();
        for id in acknowledged {
            assert!(logged.binary_search(id).is_ok(), "{id} was acknowledged and is lost");
        }
        let total = storage.get("t", &[b"total".to_vec()]).await.unwrap().remove(0).unwrap();
        assert_eq!(u64::from_le_bytes(total.try_into().unwrap()), logged.len() as u64);
        for part in 0..PARTS {
            let range = KeyRange { start: format!("{part}/").into_bytes(), end: format!("{part}0").into_bytes() };
            let keys = storage.scan("t", &range, ScanOptions { keys_only: true, ..all }).await.unwrap();
            let ids: Vec<&str> = keys.iter().map(|entry| std::str::from_utf8(&entry.key[2..]).unwrap()).collect();
            assert_eq!(ids, logged, "part {part} of some commit is missing, or there without the rest");
        }
    });
}
