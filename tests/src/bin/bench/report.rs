//! The measurements as Markdown, and how they stand against what is expected.

use std::fmt::Write;
use std::time::Duration;

use crate::Extent;
use crate::load::Measured;
use crate::workload::{Row, grouped};

/// Who answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// `scimwell serve`.
    Component,
    /// The same without a line in the log for each request, which the native core writes none of.
    Quiet,
    /// The same core without WebAssembly.
    Native,
}

/// One measurement.
pub(crate) struct Cell {
    /// Who answered.
    pub(crate) way: Way,
    /// What was asked.
    pub(crate) row: Row,
    /// Users of the tenant.
    pub(crate) size: usize,
    /// Connections at once.
    pub(crate) connections: usize,
    /// How it went.
    pub(crate) measured: Measured,
}

/// Peak memory of a server after one of its sizes.
pub(crate) struct Memory {
    /// Whose.
    pub(crate) way: Way,
    /// Users of the tenant.
    pub(crate) size: usize,
    /// When.
    pub(crate) after: &'static str,
    /// Megabytes resident at most.
    pub(crate) peak: u64,
}

/// Everything of one run.
pub(crate) struct Report {
    extent: Extent,
    /// The measurements.
    pub(crate) cells: Vec<Cell>,
    /// The generator against answers that cost nothing, by connections.
    pub(crate) generator: Vec<(usize, Measured)>,
    /// Memory.
    pub(crate) memory: Vec<Memory>,
    /// What the disk took for a small write and its sync before the rows of a size, in order.
    pub(crate) disk: Vec<(usize, Vec<Duration>)>,
}

impl Report {
    /// Nothing measured yet.
    pub(crate) fn new(extent: Extent) -> Self {
        Self { extent, cells: Vec::new(), generator: Vec::new(), memory: Vec::new(), disk: Vec::new() }
    }

    fn find(&self, way: Way, row: Row, size: usize, connections: usize) -> Option<&Measured> {
        let wanted = (way, row, size, connections);
        self.cells.iter().find(|c| (c.way, c.row, c.size, c.connections) == wanted).map(|c| &c.measured)
    }

    /// Another round of a cell goes to those before it.
    pub(crate) fn add(&mut self, cell: Cell) {
        let key = |c: &Cell| (c.way, c.row, c.size, c.connections);
        match self.cells.iter_mut().find(|there| key(there) == key(&cell)) {
            Some(there) => there.measured.append(cell.measured),
            None => self.cells.push(cell),
        }
    }

    fn sizes(&self) -> Vec<usize> {
        let mut sizes: Vec<usize> = self.cells.iter().map(|cell| cell.size).collect();
        sizes.dedup();
        sizes.sort_unstable();
        sizes.dedup();
        sizes
    }

    /// The whole report.
    pub(crate) fn markdown(&self) -> String {
        let mut text = String::new();
        self.table(&mut text)
            .and_then(|()| self.notes(&mut text))
            .and_then(|()| self.expectations(&mut text))
            .expect("a String takes whatever is written");
        text
    }

    fn table(&self, text: &mut String) -> std::fmt::Result {
        let columns = "op/s | p50 | p99 | CPU";
        writeln!(text, "| Operation | Users | Conn. | {columns} | native {columns} | ÷ native | generator CPU |")?;
        writeln!(text, "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|")?;
        for cell in self.cells.iter().filter(|cell| cell.way == Way::Component) {
            let Cell { row, size, connections, measured, .. } = cell;
            write!(text, "| {} | {} | {connections} | {}", row.name(*size), grouped(*size), columns_of(measured))?;
            match self.find(Way::Native, *row, *size, *connections) {
                Some(native) => write!(text, " {} {:.2} |", columns_of(native), native.rate() / measured.rate())?,
                None => write!(text, " | | | | |")?,
            }
            writeln!(text, " {} |", cost(measured.generator_cost()))?;
        }
        Ok(())
    }

    fn notes(&self, text: &mut String) -> std::fmt::Result {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        writeln!(
            text,
            "\n÷ native: how many times longer an operation takes with the component than with the same core compiled"
        )?;
        writeln!(
            text,
            "natively, over the same HTTP stack and storage. CPU: the server's own for one operation. Server and generator share"
        )?;
        writeln!(text, "{cores} cores.\n")?;
        for (connections, m) in &self.generator {
            writeln!(
                text,
                "- The generator alone, against answers that cost nothing, {connections} connections: {:.0} op/s, p50 {}, {} of its CPU each.",
                m.rate(),
                time(m.percentile(0.5)),
                cost(m.generator_cost()),
            )?;
        }
        for (size, times) in &self.disk {
            let at = |share: f64| times.get((times.len() as f64 * share) as usize).copied().unwrap_or_default();
            let (p50, p99) = (time(at(0.5)), time(at(0.99)));
            writeln!(
                text,
                "- The disk alone, {} users: 2 KiB written and synced in p50 {p50}, p99 {p99}.",
                grouped(*size)
            )?;
        }
        for memory in &self.memory {
            let way = match memory.way {
                Way::Component => "Server",
                Way::Quiet => "Server without request lines",
                Way::Native => "Native server",
            };
            writeln!(
                text,
                "- {way}, {} users, after {}: {} MB resident at most.",
                grouped(memory.size),
                memory.after,
                memory.peak
            )?;
        }
        for cell in self.cells.iter().filter(|cell| cell.measured.failed > 0) {
            writeln!(
                text,
                "- **{} of {} requests failed**: {:?}, {}, {} users, {} connections: {}",
                cell.measured.failed,
                cell.measured.failed + cell.measured.count() as u64,
                cell.way,
                cell.row.name(cell.size),
                grouped(cell.size),
                cell.connections,
                cell.measured.failure.as_deref().unwrap_or_default().replace("\r\n", " "),
            )?;
        }
        Ok(())
    }

    fn expectations(&self, text: &mut String) -> std::fmt::Result {
        writeln!(text, "\n| Expected | Measured | |\n|---|---|---|")?;
        // What is expected of a million users is stricter.
        let scale = self.extent == Extent::Scale;
        let (writers, memory) = if scale { (20.0, 250) } else { (10.0, 150) };
        let mut line = |expected: &str, measured: String, met: bool| {
            writeln!(text, "| {expected} | {measured} | {} |", if met { "met" } else { "**not met**" })
        };
        if let [small, .., large] = self.sizes()[..] {
            for row in Row::ALL.into_iter().filter(|row| !matches!(row, Row::Empty | Row::DeepPage)) {
                let ratio = |connections: usize| {
                    let few = self.find(Way::Component, row, small, connections)?;
                    let many = self.find(Way::Component, row, large, connections)?;
                    Some((few.rate() / many.rate(), few.percentile(0.5), many.percentile(0.5)))
                };
                let Some((ratio, few, many)) = ratio(1) else { continue };
                let name = row.name(large);
                let expected = format!("{name}: {} users cost at most 1.5 × {}", grouped(large), grouped(small));
                line(&expected, format!("{ratio:.2} × (p50 {} and {})", time(many), time(few)), ratio <= 1.5)?;
            }
        }
        for size in self.sizes() {
            let users = grouped(size);
            let of = |way, row, connections| self.find(way, row, size, connections);
            if let (Some(get), Some(empty), false) =
                (of(Way::Component, Row::Get, 32), of(Way::Component, Row::Empty, 32), scale)
            {
                let share = get.rate() / empty.rate();
                line(
                    &format!("GET by id, {users} users: at least half the rate of an empty response"),
                    format!("{share:.2}"),
                    share >= 0.5,
                )?;
            }
            if let (Some(first), Some(deep)) =
                (of(Way::Component, Row::FirstPage, 1), of(Way::Component, Row::DeepPage, 1))
            {
                let ratio = first.rate() / deep.rate();
                let (name, p50) = (Row::DeepPage.name(size), time(deep.percentile(0.5)));
                let expected = format!("{name}, {users} users: at most 3 × the first page");
                line(&expected, format!("{ratio:.2} × (p50 {p50} and {})", time(first.percentile(0.5))), ratio <= 3.0)?;
            }
            for row in Row::ALL {
                let cost = |way| of(way, row, 32)?.server_cost();
                if let (Some(component), Some(native)) = (cost(Way::Quiet), cost(Way::Native)) {
                    let expected = format!(
                        "{}, {users} users: at most 1.5 × the CPU time of the native core, neither writing a line about it",
                        row.name(size)
                    );
                    let ratio = component / native;
                    line(&expected, format!("{ratio:.2} × ({component:.0} and {native:.0} µs)"), ratio <= 1.5)?;
                }
            }
            for row in Row::ALL.into_iter().filter(|_| !scale) {
                let ratio = |connections| {
                    Some(of(Way::Native, row, connections)?.rate() / of(Way::Component, row, connections)?.rate())
                };
                if let (Some(one), Some(many)) = (ratio(1), ratio(32)) {
                    let expected = format!("{}, {users} users: at most 2 × native", row.name(size));
                    let measured = format!("{one:.2} × with 1 connection, {many:.2} × with 32");
                    line(&expected, measured, one.max(many) <= 2.0)?;
                }
            }
            if let (Some(one), Some(many)) = (of(Way::Component, Row::Post, 1), of(Way::Component, Row::Post, 64)) {
                let ratio = many.rate() / one.rate();
                let expected =
                    format!("64 concurrent POSTs, {users} users: at least {writers:.0} × the rate of one at a time");
                line(
                    &expected,
                    format!("{ratio:.1} × ({:.0} and {:.0} op/s)", many.rate(), one.rate()),
                    ratio >= writers,
                )?;
            }
        }
        if let Some(peak) = self.memory.iter().filter(|m| m.way == Way::Component).map(|m| m.peak).max() {
            line(&format!("the server stays under {memory} MB"), format!("{peak} MB"), peak < memory)?;
        }
        Ok(())
    }
}

/// Four columns of the table.
/// Operations a second, p50, p99 and the server's CPU time each, as columns.
pub(crate) fn columns_of(measured: &Measured) -> String {
    let (p50, p99) = (time(measured.percentile(0.5)), time(measured.percentile(0.99)));
    format!("{:.0} | {p50} | {p99} | {} |", measured.rate(), cost(measured.server_cost()))
}

fn time(time: Duration) -> String {
    match time.as_micros() {
        micros @ 0..1_000 => format!("{micros} µs"),
        _ => format!("{:.1} ms", time.as_secs_f64() * 1e3),
    }
}

fn cost(micros: Option<f64>) -> String {
    micros.map_or_else(|| "?".into(), |micros| format!("{micros:.0} µs"))
}
