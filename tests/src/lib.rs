//! What the black-box tests and the benchmarks share: a client that sends bytes as told, the server as a process, and the
//! formats that tests are written in.

pub mod client;
pub mod data;
pub mod faulty;
pub mod json_path;
pub mod misbehaving;
pub mod native;
#[cfg(unix)]
pub mod postgres;
pub mod race;
pub mod scenario;
pub mod served_check;
pub mod server;
pub mod spin;
pub mod storage_check;
pub mod transcript;
#[cfg(unix)]
pub mod wire;
