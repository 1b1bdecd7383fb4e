//! What the black-box tests and the benchmarks share: a client that sends bytes as told, the server as a process, and the
//! formats that tests are written in.

pub mod client;
pub mod json_path;
pub mod scenario;
pub mod server;
