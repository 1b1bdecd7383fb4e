//! What is measured: the rows, the requests they are made of, and the tenant that they run on.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use scimwell_tests::server::TOKEN;
use serde_json::{Value, json};

use crate::load::{Load, Make, Measured, Sink, run};

/// Members of a small group. Each user that is measured is in one, and in the large group, whatever the size of the tenant.
const SMALL: usize = 10;
/// Groups to which members are added, of the same ten users at first; each request adds to another one, so that they stay small.
const GROWING: usize = 1_000;
/// Users beside the members of the large group: what is added to it, and taken out again after each measurement, and what is added
/// to the growing groups.
const SPARE: usize = 500;
/// Members put into the large group by one request while seeding.
const MEMBERS_AT_ONCE: usize = 5_000;
/// Users on a page of a list.
const PAGE: usize = 100;
/// Connections while seeding.
const SEEDERS: usize = 64;
/// No load ends by time where the number of requests is to end it.
const LONG: Duration = Duration::from_hours(1);

/// One row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Row {
    /// An empty answer from the server's HTTP stack: the ceiling.
    Empty,
    /// GET by id.
    Get,
    /// A list by `userName eq`.
    ByUserName,
    /// A list by `externalId eq`.
    ByExternalId,
    /// The first page of all users.
    FirstPage,
    /// A page nine tenths into them.
    DeepPage,
    /// A group of all users, without its members.
    LargeGroup,
    /// Whether somebody is a member of it.
    MemberTest,
    /// PATCH of one attribute.
    PatchAttribute,
    /// PATCH adding one member to a group of ten.
    MemberOfSmall,
    /// PATCH adding one member to a group of all users.
    MemberOfLarge,
    /// PATCH removing one member from a group of all users.
    MemberLeavesLarge,
    /// POST. Last: it makes the tenant grow.
    Post,
}

impl Row {
    /// In the order measured.
    pub(crate) const ALL: [Self; 13] = [
        Self::Empty,
        Self::Get,
        Self::ByUserName,
        Self::ByExternalId,
        Self::FirstPage,
        Self::DeepPage,
        Self::LargeGroup,
        Self::MemberTest,
        Self::PatchAttribute,
        Self::MemberOfSmall,
        Self::MemberOfLarge,
        Self::MemberLeavesLarge,
        Self::Post,
    ];

    /// The row's name in a table for a tenant of `size`.
    pub(crate) fn name(self, size: usize) -> String {
        match self {
            Self::Empty => "empty response (/healthz)".into(),
            Self::Get => "GET by id".into(),
            Self::ByUserName => "filter userName eq".into(),
            Self::ByExternalId => "filter externalId eq".into(),
            Self::FirstPage => format!("list, {PAGE} from startIndex 1"),
            Self::DeepPage => format!("list, {PAGE} from startIndex {}", grouped(deep(size))),
            Self::LargeGroup => format!("GET a group of {} without members", grouped(size)),
            Self::MemberTest => format!("members eq, in a group of {}", grouped(size)),
            Self::PatchAttribute => "PATCH one attribute".into(),
            Self::MemberOfSmall => format!("PATCH one member into a group of {SMALL}"),
            Self::MemberOfLarge => format!("PATCH one member into a group of {}", grouped(size)),
            Self::MemberLeavesLarge => format!("PATCH one member out of a group of {}", grouped(size)),
            Self::Post => "POST".into(),
        }
    }

    /// How many connections it is measured with.
    pub(crate) fn connections(self) -> &'static [usize] {
        match self {
            Self::Post => &[1, 32, 64],
            _ => &[1, 32],
        }
    }

    fn writes(self) -> bool {
        matches!(
            self,
            Self::PatchAttribute | Self::MemberOfSmall | Self::MemberOfLarge | Self::MemberLeavesLarge | Self::Post
        )
    }
}

/// Where the deep page starts.
fn deep(size: usize) -> usize {
    size / 10 * 9 + 1
}

/// `100,000`
pub(crate) fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A seeded tenant.
pub(crate) struct Population {
    /// The members of the large group.
    users: Arc<Vec<String>>,
    spare: Arc<Vec<String>>,
    growing: Arc<Vec<String>>,
    large_group: String,
    /// Makes what one measurement writes differ from what those before it wrote.
    serial: AtomicU64,
    /// Members added to small groups so far.
    added: Arc<AtomicU64>,
}

impl Population {
    /// Fill the server's default tenant.
    pub(crate) fn seed(address: SocketAddr, size: usize) -> io::Result<Self> {
        let named = |name: &'static str, count| {
            create(address, count, Arc::new(move |n, out| post(out, "/Users", &user(&format!("{name}{n}")))))
        };
        let (users, crowd, spare) = (Arc::new(named("user", size)?), named("crowd", SMALL)?, named("spare", SPARE)?);
        let members = users.clone();
        create(
            address,
            size / SMALL,
            Arc::new(move |n, out| {
                let first = usize::try_from(n).unwrap_or_default() * SMALL;
                post(out, "/Groups", &group(&format!("small{n}"), &members[first..first + SMALL]));
            }),
        )?;
        let growing =
            Arc::new(move |n, out: &mut Vec<u8>| post(out, "/Groups", &group(&format!("growing{n}"), &crowd)));
        let growing = Arc::new(create(address, GROWING, growing)?);
        let large = create(address, 1, Arc::new(|_, out| post(out, "/Groups", &group("large", &[]))))?;
        let large_group = large.into_iter().next().unwrap_or_default();
        for members in users.chunks(MEMBERS_AT_ONCE) {
            once(address, &patch_members(&large_group, "add", members))?;
        }
        let (spare, serial, added) = (Arc::new(spare), AtomicU64::new(0), Arc::default());
        Ok(Self { users, spare, growing, large_group, serial, added })
    }

    /// Measure one row; `time` is how long reads go on.
    pub(crate) fn measure(
        &self,
        row: Row,
        connections: usize,
        (address, server): (SocketAddr, u32),
        time: Duration,
    ) -> io::Result<Measured> {
        let load = self.load(row, address, connections, time);
        if matches!(row, Row::MemberOfLarge | Row::MemberLeavesLarge) {
            return self.measure_large(row, &load, server);
        }
        if row.writes() {
            // Writes change the tenant: so many of them, and no more.
            return run(&Load { requests: 400 + 50 * connections as u64, time: time * 4, ..load }, Some(server));
        }
        run(&Load { time: time / 10, ..load.clone() }, None)?;
        run(&load, Some(server))
    }

    /// The ids of the users.
    pub(crate) fn users(&self) -> &[String] {
        &self.users
    }

    /// A row as a load that goes on for so long.
    pub(crate) fn load(&self, row: Row, address: SocketAddr, connections: usize, time: Duration) -> Load {
        let serial = self.serial.fetch_add(1, Ordering::Relaxed);
        Load { address, connections, requests: u64::MAX, time, make: self.make(row, serial), sink: None }
    }

    /// The spare users join the large group one by one and leave it all at once, untimed; or the other way round.
    fn measure_large(&self, row: Row, load: &Load, server: u32) -> io::Result<Measured> {
        let spare = &self.spare;
        let load = Load { requests: SPARE as u64, time: load.time * 4, ..load.clone() };
        let all = |op| once(load.address, &patch_members(&self.large_group, op, spare));
        if row == Row::MemberLeavesLarge {
            all("add")?;
        }
        let measured = run(&load, Some(server))?;
        all("remove")?;
        Ok(measured)
    }

    fn make(&self, row: Row, serial: u64) -> Make {
        let users = self.users.clone();
        match row {
            Row::Empty => Arc::new(|_, out| out.extend_from_slice(b"GET /healthz HTTP/1.1\r\nHost: bench\r\n\r\n")),
            Row::Get => {
                Arc::new(move |n, out| request(out, "GET", &format!("/Users/{}", users[pick(n, users.len())]), b""))
            }
            Row::ByUserName => Arc::new(move |n, out| {
                let target = format!("/Users?filter=userName%20eq%20%22user{}@example.com%22", pick(n, users.len()));
                request(out, "GET", &target, b"");
            }),
            Row::ByExternalId => Arc::new(move |n, out| {
                let target = format!("/Users?filter=externalId%20eq%20%2200uuser{}%22", pick(n, users.len()));
                request(out, "GET", &target, b"");
            }),
            Row::FirstPage => page(1),
            Row::DeepPage => page(deep(self.users.len())),
            Row::LargeGroup => {
                let target = format!("/Groups/{}?excludedAttributes=members", self.large_group);
                Arc::new(move |_, out| request(out, "GET", &target, b""))
            }
            Row::MemberTest => {
                let group = self.large_group.clone();
                Arc::new(move |n, out| {
                    let user = &users[pick(n, users.len())];
                    let filter = format!("id%20eq%20%22{group}%22%20and%20members%20eq%20%22{user}%22");
                    request(out, "GET", &format!("/Groups?excludedAttributes=members&filter={filter}"), b"");
                })
            }
            Row::PatchAttribute => Arc::new(move |n, out| {
                let body = patch(&json!([{"op": "replace", "path": "title", "value": format!("title {serial} {n}")}]));
                request(out, "PATCH", &format!("/Users/{}", users[pick(n, users.len())]), body.as_bytes());
            }),
            Row::MemberOfSmall => {
                let (groups, spare, added) = (self.growing.clone(), self.spare.clone(), self.added.clone());
                Arc::new(move |_, out| {
                    let n = usize::try_from(added.fetch_add(1, Ordering::Relaxed)).unwrap_or_default();
                    let member = &spare[n / groups.len() % spare.len()];
                    out.extend_from_slice(&patch_members(
                        &groups[n % groups.len()],
                        "add",
                        std::slice::from_ref(member),
                    ));
                })
            }
            Row::MemberOfLarge | Row::MemberLeavesLarge => {
                let (group, spare) = (self.large_group.clone(), self.spare.clone());
                let op = if row == Row::MemberOfLarge { "add" } else { "remove" };
                Arc::new(move |n, out| {
                    let member = &spare[usize::try_from(n).unwrap_or_default() % spare.len()];
                    out.extend_from_slice(&patch_members(&group, op, std::slice::from_ref(member)));
                })
            }
            Row::Post => Arc::new(move |n, out| post(out, "/Users", &user(&format!("new{serial}x{n}")))),
        }
    }
}

fn page(start: usize) -> Make {
    Arc::new(move |_, out| request(out, "GET", &format!("/Users?startIndex={start}&count={PAGE}"), b""))
}

/// Create `count` resources; their ids, in the order of the requests.
fn create(address: SocketAddr, count: usize, make: Make) -> io::Result<Vec<String>> {
    let ids = Arc::new(Mutex::new(vec![String::new(); count]));
    let found = ids.clone();
    let sink: Sink = Arc::new(move |n, body| {
        let text = String::from_utf8_lossy(body);
        let id = text.split_once("\"id\":\"").and_then(|(_, rest)| rest.split_once('"')).map(|(id, _)| id.to_owned());
        let mut ids = found.lock().unwrap_or_else(PoisonError::into_inner);
        ids[usize::try_from(n).unwrap_or_default()] = id.unwrap_or_default();
    });
    let connections = SEEDERS.min(count);
    let load = Load { address, connections, requests: count as u64, time: LONG, make, sink: Some(sink) };
    let measured = run(&load, None)?;
    if let Some(failure) = measured.failure {
        return Err(io::Error::other(format!("seeding failed: {failure}")));
    }
    let ids = std::mem::take(&mut *ids.lock().unwrap_or_else(PoisonError::into_inner));
    Ok(ids)
}

/// One request outside of any measurement.
fn once(address: SocketAddr, bytes: &[u8]) -> io::Result<()> {
    let bytes = bytes.to_vec();
    let make: Make = Arc::new(move |_, out| out.extend_from_slice(&bytes));
    let measured = run(&Load { address, connections: 1, requests: 1, time: LONG, make, sink: None }, None)?;
    match measured.failure {
        Some(failure) => Err(io::Error::other(format!("setting up failed: {failure}"))),
        None => Ok(()),
    }
}

/// A user of the size that identity providers send.
pub(crate) fn user(name: &str) -> Value {
    json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User", "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"],
        "externalId": format!("00u{name}"),
        "userName": format!("{name}@example.com"),
        "name": {"givenName": "Given", "familyName": name, "formatted": format!("Given {name}")},
        "displayName": format!("Given {name}"),
        "title": "Engineer",
        "preferredLanguage": "en-US",
        "emails": [
            {"value": format!("{name}@example.com"), "type": "work", "primary": true},
            {"value": format!("{name}@home.example"), "type": "home"},
        ],
        "phoneNumbers": [{"value": "+1 555 0100", "type": "work"}, {"value": "+1 555 0101", "type": "mobile"}],
        "addresses": [{"type": "work", "streetAddress": "1 Main Street", "locality": "Springfield", "country": "US"}],
        "active": true,
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {
            "employeeNumber": name, "department": "Engineering", "costCenter": "4130", "organization": "Example",
        },
    })
}

/// A group with these members.
fn group(name: &str, members: &[String]) -> Value {
    json!({"displayName": name, "members": values(members)})
}

fn values(members: &[String]) -> Vec<Value> {
    members.iter().map(|id| json!({"value": id})).collect()
}

/// A creation.
pub(crate) fn post(out: &mut Vec<u8>, path: &str, body: &Value) {
    request(out, "POST", path, body.to_string().as_bytes());
}

fn patch(operations: &Value) -> String {
    json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": operations}).to_string()
}

fn patch_members(group: &str, op: &str, members: &[String]) -> Vec<u8> {
    let body = patch(&json!([{"op": op, "path": "members", "value": values(members)}]));
    let mut out = Vec::new();
    request(&mut out, "PATCH", &format!("/Groups/{group}"), body.as_bytes());
    out
}

/// A request to the token's tenant.
pub(crate) fn request(out: &mut Vec<u8>, method: &str, path: &str, body: &[u8]) {
    let head = format!("{method} /scim/v2{path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {TOKEN}\r\n");
    out.extend_from_slice(head.as_bytes());
    if !body.is_empty() {
        let entity = format!("Content-Type: application/scim+json\r\nContent-Length: {}\r\n", body.len());
        out.extend_from_slice(entity.as_bytes());
    }
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(body);
}

/// An index below `count` that looks random and is the same in every run (SplitMix64).
pub(crate) fn pick(n: u64, count: usize) -> usize {
    let mut x = n.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    usize::try_from((x ^ (x >> 31)) % count as u64).unwrap_or_default()
}
