//! `cargo xtask bench --postgres`: servers on one PostgreSQL database, held against bare statements through the same kind of
//! pool.

use std::error::Error;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use deadpool_postgres::{Manager, Pool, Runtime};
use scimwell_tests::postgres::PostgresServer;
use scimwell_tests::server::{Server, workspace};
use tokio::task::JoinSet;

use crate::load::{self, Load, Measured};
use crate::network;
use crate::process;
use crate::workload::{Population, Row, grouped};

/// Connections of a pool: what a server has where its URL doesn't say otherwise.
const POOL: usize = 16;
const BARE_NAME: &str = "bare SELECT of one key";
/// Ends the names of rows with a network.
const FAR: &str = "0.5 ms away";
const BARE: &str = "SELECT value FROM scimwell_keys WHERE tenant = $1 AND key = $2";
/// How often the whole table is measured.
const ROUNDS: u32 = 3;
/// One way between a server and its database, in the rows with a network: half a millisecond there and back, as between two
/// machines of one region.
const NETWORK: Duration = Duration::from_micros(250);

/// What was measured.
struct Line {
    name: String,
    hosts: usize,
    connections: usize,
    measured: Measured,
    /// CPU time of the hosts, or of whoever else asks, and of the database.
    cpu: [Duration; 2],
}

/// Measures, prints and writes the table.
pub(crate) fn bench(quick: bool) -> Result<(), Box<dyn Error>> {
    if !PostgresServer::is_installed() {
        return Err("PostgreSQL's server programs are not installed: `apt-get install postgresql`".into());
    }
    let size = if quick { 1_000 } else { 10_000 };
    let time = Duration::from_secs(if quick { 1 } else { 3 });
    let postgres = PostgresServer::start_with(&[], &[]);
    let database = postgres.database();
    let hosts: Vec<Server> = (0..4).map(|_| Server::start(&["--storage", &database])).collect();
    let far = network::relay(postgres.address(), NETWORK)?;
    let far_database = database.replace(&postgres.address().to_string(), &far.to_string());
    let far_host = Server::start(&["--storage", &far_database]);
    eprintln!("bench: {} users: seeding", grouped(size));
    let population = Population::seed(hosts[0].address(), size)?;
    postgres.sql(database.rsplit('/').next().unwrap_or_default(), "VACUUM ANALYZE")?;

    let mut lines: Vec<Line> = Vec::new();
    let cpu = || {
        let all = hosts.iter().chain([&far_host]);
        let hosts = all.filter_map(|host| process::cpu_time(host.pid())).sum::<Duration>();
        [hosts, process::children_cpu_time(postgres.pid()).unwrap_or_default()]
    };
    let mut before = cpu();
    let mut add = |name: String, hosts, connections, measured: Measured| {
        let after = cpu();
        let used = [0, 1].map(|at| after[at].saturating_sub(before[at]));
        before = after;
        let same = |line: &&mut Line| (&line.name, line.hosts, line.connections) == (&name, hosts, connections);
        match lines.iter_mut().find(same) {
            Some(line) => {
                line.measured.append(measured);
                line.cpu = [line.cpu[0] + used[0], line.cpu[1] + used[1]];
            }
            None => lines.push(Line { name, hosts, connections, measured, cpu: used }),
        }
    };
    for round in 1..=ROUNDS {
        eprintln!("bench: round {round} of {ROUNDS}");
        for connections in [1, 32] {
            let bare = bare_selects(&database, connections, time / ROUNDS, population.users())?;
            add(BARE_NAME.to_owned(), 1, connections, bare);
        }
        for row in [Row::Empty, Row::Get, Row::ByUserName, Row::PatchAttribute, Row::MemberOfLarge, Row::Post] {
            for &connections in row.connections() {
                let at = (hosts[0].address(), hosts[0].pid());
                add(row.name(size), 1, connections, population.measure(row, connections, at, time / ROUNDS)?);
            }
        }
        for connections in [1, 32] {
            let bare = bare_selects(&far_database, connections, time / ROUNDS, population.users())?;
            add(format!("{BARE_NAME}, {FAR}"), 1, connections, bare);
        }
        for row in [Row::Get, Row::ByUserName, Row::PatchAttribute, Row::Post] {
            for &connections in row.connections() {
                let at = (far_host.address(), far_host.pid());
                let measured = population.measure(row, connections, at, time / ROUNDS)?;
                add(format!("{}, {FAR}", row.name(size)), 1, connections, measured);
            }
        }
        for row in [Row::Get, Row::PatchAttribute, Row::Post] {
            let load = |host: &Server| population.load(row, host.address(), 64 / hosts.len(), time / ROUNDS);
            let together = at_once(&hosts.iter().map(load).collect::<Vec<_>>())?;
            add(row.name(size), hosts.len(), 64, together);
        }
    }
    let text = table(&lines, size)?;
    println!("{text}");
    std::fs::write(workspace().join("target").join("bench-postgres.md"), text)?;
    eprintln!("bench: written to target/bench-postgres.md");
    Ok(())
}

/// All loads at once.
fn at_once(loads: &[Load]) -> Result<Measured, Box<dyn Error>> {
    let started = Instant::now();
    let measured: Vec<_> = std::thread::scope(|scope| {
        let running: Vec<_> = loads.iter().map(|load| scope.spawn(|| load::run(load, None))).collect();
        running.into_iter().map(|run| run.join().map_err(|_| "a load generator panicked")).collect::<Result<_, _>>()
    })?;
    let mut all = Measured::default();
    for one in measured {
        all.append(one?);
    }
    Ok(all.within(started.elapsed()))
}

/// What the database itself gives: the document of one user by its key, through a pool like the server's.
fn bare_selects(database: &str, tasks: usize, time: Duration, users: &[String]) -> Result<Measured, Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let manager = Manager::new(database.parse()?, tokio_postgres::NoTls);
        let pool = Pool::builder(manager).max_size(POOL).runtime(Runtime::Tokio1).build()?;
        let keys: Arc<Vec<Vec<u8>>> = Arc::new(users.iter().map(|id| [b"dUser\0", id.as_bytes()].concat()).collect());
        let next = Arc::new(AtomicU64::new(0));
        let started = Instant::now();
        let mut running = JoinSet::new();
        for _ in 0..tasks {
            let (pool, keys, next) = (pool.clone(), keys.clone(), next.clone());
            running.spawn(async move {
                let mut latencies = Vec::new();
                while started.elapsed() < time {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    let key = &keys[crate::workload::pick(n, keys.len())];
                    let sent = Instant::now();
                    let client = pool.get().await.map_err(|error| error.to_string())?;
                    let statement = client.prepare_cached(BARE).await.map_err(|error| error.to_string())?;
                    let row = client.query_one(&statement, &[&b"default".as_slice(), key]).await;
                    let value: Vec<u8> = row.and_then(|row| row.try_get(0)).map_err(|error| error.to_string())?;
                    drop(client);
                    latencies.push(sent.elapsed());
                    drop(value);
                }
                Ok::<_, String>(latencies)
            });
        }
        let mut latencies = Vec::new();
        while let Some(ended) = running.join_next().await {
            latencies.extend(ended??);
        }
        Ok(Measured::of(latencies, started.elapsed()))
    })
}

fn table(lines: &[Line], size: usize) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    writeln!(
        text,
        "| Operation, {} users | hosts | connections | op/s | p50 | p99 | CPU of the hosts | of the database | p50 ÷ bare SELECT | time ÷ bare SELECT |",
        grouped(size)
    )?;
    writeln!(text, "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|")?;
    for Line { name, hosts, connections, measured, cpu } in lines {
        let is_far = name.ends_with(FAR);
        let is_bare = |line: &&Line| line.name.starts_with(BARE_NAME) && line.name.ends_with(FAR) == is_far;
        let bare = lines.iter().filter(is_bare).find(|line| line.connections == (*connections).min(32));
        let ratio = bare.map_or(0.0, |bare| bare.measured.rate() / measured.rate());
        let nearer = bare.map_or(0.0, |bare| measured.percentile(0.5).div_duration_f64(bare.measured.percentile(0.5)));
        let [host, database] = cpu.map(|cpu| cpu.as_secs_f64() * 1e6 / measured.count().max(1) as f64);
        let micros = |share| measured.percentile(share).as_secs_f64() * 1e3;
        let (rate, p50, p99) = (measured.rate(), micros(0.5), micros(0.99));
        writeln!(
            text,
            "| {name} | {hosts} | {connections} | {rate:.0} | {p50:.2} ms | {p99:.2} ms | {host:.0} µs | {database:.0} µs | {nearer:.2} | {ratio:.2} |"
        )?;
        if measured.failed > 0 {
            writeln!(
                text,
                "| **{} failed**: {} | | | | | | |",
                measured.failed,
                measured.failure.as_deref().unwrap_or("")
            )?;
        }
    }
    Ok(text)
}
