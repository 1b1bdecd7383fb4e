use std::sync::Arc;
use scimwell::policy::AllowAll;
use scimwell::storage::Memory;
use scimwell::tokens::StaticToken;
use scimwell::{Config, Engine, Provider, Request};
use serde_json::{Value, json};

unsafe extern "C" { fn clock_gettime(clock: i32, time: *mut [i64; 2]) -> i32; }
fn cpu() -> u64 {
    let mut t = [0i64; 2];
    unsafe { clock_gettime(3, &raw mut t) };
    (t[0] * 1_000_000_000 + t[1]) as u64
}
fn request(method: &str, target: &str, body: String) -> Request {
    let headers = [("authorization", "Bearer bench"), ("content-type", "application/scim+json")];
    Request {
        method: method.to_owned(), target: target.to_owned(),
        headers: headers.map(|(n, v)| (n.to_owned(), v.to_owned())).into(),
        body: body.into(), base_url: "http://bench/scim/v2".to_owned(), ..Request::default()
    }
}
fn user(n: usize) -> String {
    json!({"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":format!("user{n}@example.com"),"externalId":format!("ext-{n}"),"active":true,
     "name":{"givenName":"Ann","familyName":"Lee","formatted":"Ann Lee"},"displayName":format!("Ann Lee {n}"),"title":"Engineer","locale":"en-GB",
     "emails":[{"value":format!("user{n}@example.com"),"type":"work","primary":true},{"value":format!("u{n}@home.example"),"type":"home"}],
     "phoneNumbers":[{"value":"+1 555 1234","type":"work"}],"addresses":[{"type":"work","streetAddress":"1 Main St","locality":"X","country":"DE"}]}).to_string()
}
fn main() {
    let files: Vec<String> = std::env::args().skip(1).collect();
    let rt = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut ps = vec![];
    for f in &files {
        let bytes = std::fs::read(f).unwrap();
        let s = cpu(); let _ = s;
        let t = std::time::Instant::now();
        let engine = Arc::new(Engine::new(&bytes, Config { kept_instances: 1, ..Config::default() }).unwrap());
        eprintln!("{f}: compiled in {:?}", t.elapsed());
        let p = Provider::new(engine, Arc::new(Memory::new()), Arc::new(StaticToken::new("bench", "bench")), Arc::new(AllowAll));
        let mut ids = vec![];
        for n in 0..300 {
            let c = rt.block_on(p.handle(request("POST", "/Users", user(n))));
            let v: Value = serde_json::from_slice(&c.body).unwrap();
            ids.push(v["id"].as_str().unwrap().to_owned());
        }
        ps.push((p, ids, 1000usize));
    }
    let names = ["GET", "eq", "filter2", "page100", "PATCH", "POST"];
    let mut best = vec![[f64::MAX; 6]; files.len()];
    for _round in 0..60 {
        for (i, (p, ids, next)) in ps.iter_mut().enumerate() {
            for (op, name) in names.iter().enumerate() {
                let count = match *name { "page100" => 6, "POST" => 40, "PATCH" => 60, _ => 300 };
                let started = cpu();
                for k in 0..count {
                    let r = match *name {
                        "GET" => request("GET", &format!("/Users/{}", ids[k]), String::new()),
                        "eq" => request("GET", &format!("/Users?filter=userName%20eq%20%22user{k}%40example.com%22"), String::new()),
                        "filter2" => request("GET", &format!("/Users?filter=userName%20eq%20%22user{k}%40example.com%22%20and%20(emails%5Btype%20eq%20%22work%22%20and%20value%20co%20%22ex%22%5D%20or%20active%20eq%20false)"), String::new()),
                        "page100" => request("GET", "/Users?startIndex=1&count=100", String::new()),
                        "PATCH" => request("PATCH", &format!("/Users/{}", ids[k]), json!({"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","path":"emails[type eq \"work\"].value","value":format!("n{_round}-{k}@example.com")}]}).to_string()),
                        _ => { *next += 1; request("POST", "/Users", user(*next)) }
                    };
                    let a = rt.block_on(p.handle(r));
                    assert!(a.status < 300, "{name} {}", a.status);
                }
                let t = (cpu() - started) as f64 / count as f64 / 1000.0;
                if t < best[i][op] { best[i][op] = t; }
            }
        }
    }
    print!("{:<28}", "");
    for n in names { print!("{n:>16}"); }
    println!();
    for (i, f) in files.iter().enumerate() {
        let f = f.rsplit('/').next().unwrap();
        print!("{f:<28}");
        for op in 0..6 { print!("{:>8.1} ({:.3})", best[i][op], best[i][op] / best[0][op]); }
        println!("  {}", std::fs::metadata(&files[i]).unwrap().len());
    }
}
