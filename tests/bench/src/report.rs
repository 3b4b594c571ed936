//! Results, and the tables that are made of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    path::Path,
    thread,
};

use clap::ValueEnum as _;
use serde::{Deserialize, Serialize};

use crate::{
    Failure,
    load::Measurement,
    plot::{Panel, svg},
    run::Host,
    scenario::Scenario,
};

/// Everything that a run found.
#[derive(Serialize, Deserialize)]
pub(crate) struct Results {
    pub(crate) machine: Machine,
    /// Resident memory of each server, in MiB, before anybody logged in.
    pub(crate) idle: Vec<(Host, String, f64)>,
    /// Seconds until a server was healthy, each time that it was started.
    pub(crate) starts: Vec<(String, Vec<f64>)>,
    pub(crate) rows: Vec<Row>,
}

impl Default for Results {
    fn default() -> Self {
        Self { machine: Machine::this(), idle: Vec::new(), starts: Vec::new(), rows: Vec::new() }
    }
}

/// One measurement.
#[derive(Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) host: Host,
    pub(crate) server: String,
    pub(crate) scenario: Scenario,
    pub(crate) connections: usize,
    pub(crate) round: usize,
    #[serde(flatten)]
    pub(crate) measurement: Measurement,
}

/// The machine of a run.
#[derive(Serialize, Deserialize)]
pub(crate) struct Machine {
    pub(crate) processor: String,
    pub(crate) processors: usize,
    pub(crate) kernel: String,
}

impl Machine {
    pub(crate) fn this() -> Self {
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        let info = read("/proc/cpuinfo");
        let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        let release = read("/proc/sys/kernel/osrelease");
        Self {
            processor: model.map_or("unknown", |(_, model)| model).to_owned(),
            processors: thread::available_parallelism().map_or(1, Into::into),
            // The text after the version may name a builder.
            kernel: release.trim().split('-').next().unwrap_or_default().to_owned(),
        }
    }
}

impl Row {
    /// The text for the terminal during a run.
    pub(crate) fn line(&self) -> String {
        let Self { server, scenario, connections, round, measurement, .. } = self;
        let Measurement { rate, p50_ms, p99_ms, cpu_ms, database_cpu_ms, memory_mib, noise, errors, error } =
            measurement;
        let mut line = format!(
            "{server:<26} {:<12} {connections:>2} connections, round {}: {rate:>8.0} /s, p50 {p50_ms:.2} ms, p99 {p99_ms:.2} ms",
            scenario.title(),
            round + 1
        );
        for (value, unit) in [
            (cpu_ms, "ms CPU"),
            (database_cpu_ms, "ms CPU of the database"),
            (memory_mib, "MiB"),
            (noise, "noise"),
        ] {
            if let Some(value) = value {
                let decimals = if unit == "MiB" { 0 } else { 3 };
                // A string takes everything that is written to it.
                let _ = write!(line, ", {value:.decimals$} {unit}");
            }
        }
        if let Some(error) = error {
            let _ = write!(line, ", {errors} errors: {error}");
        }
        line
    }
}

/// Prints the tables of results that were written before, and draws them into the folder `plots`.
pub(crate) fn print(file: &Path, plots: Option<&Path>) -> Result<(), Failure> {
    let results: Results = serde_json::from_str(&fs::read_to_string(file)?)?;
    print!("{}", results.tables());
    plots.map_or(Ok(()), |folder| results.draw(folder))
}

impl Results {
    pub(crate) fn write(&self, file: &Path) -> Result<(), Failure> {
        Ok(fs::write(file, serde_json::to_string_pretty(self)? + "\n")?)
    }

    /// Draws a plot for each host into the folder.
    pub(crate) fn draw(&self, folder: &Path) -> Result<(), Failure> {
        fs::create_dir_all(folder)?;
        for host in [Host::Native, Host::Workerd] {
            let panels = self.panels(host);
            if !panels.is_empty() {
                let title = format!("Requests a second, {}, {PLOTTED} connections", host.name());
                fs::write(folder.join(format!("{}.svg", host.name())), svg(&title, &panels))?;
            }
        }
        Ok(())
    }

    /// Markdown: a table for each host and number of connections, then the ratios.
    pub(crate) fn tables(&self) -> String {
        let mut text = String::new();
        for host in Host::value_variants() {
            let name = host.name();
            let connections: BTreeSet<_> = self.of(*host).map(|row| row.connections).collect();
            for connections in &connections {
                let plural = if *connections == 1 { "" } else { "s" };
                let _ = write!(text, "\n### {name}, {connections} connection{plural}\n\n");
                self.rates(*host, *connections, &mut text);
            }
            if !connections.is_empty() {
                let _ = write!(text, "\n### {name}, ratios\n\n");
                self.ratios(*host, &mut text);
                let _ = write!(text, "\n### {name}, memory\n\n");
                self.memory(*host, &mut text);
            }
        }
        for (server, seconds) in &self.starts {
            let milliseconds = median(seconds.iter().copied()).unwrap_or_default() * 1000.0;
            let _ = writeln!(text, "\n{server}: healthy {milliseconds:.0} ms after its start (median).");
        }
        text
    }

    fn panels(&self, host: Host) -> Vec<Panel> {
        let panel = |scenario: Scenario| {
            let bar = |server: &str| {
                let rows = self.of(host).filter(|row| {
                    row.server == server && row.scenario == scenario && row.connections == PLOTTED
                });
                Some((server.to_owned(), median(rows.map(|row| row.measurement.rate))?))
            };
            let bars: Vec<_> = self.servers(host).into_iter().filter_map(bar).collect();
            Panel { title: scenario.title().to_owned(), bars }
        };
        self.scenarios(host).into_iter().map(panel).filter(|panel| !panel.bars.is_empty()).collect()
    }

    fn of(&self, host: Host) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(move |row| row.host == host)
    }

    /// In the order in which they were measured first.
    fn servers(&self, host: Host) -> Vec<&str> {
        let mut servers = Vec::new();
        for row in self.of(host) {
            if !servers.contains(&row.server.as_str()) {
                servers.push(row.server.as_str());
            }
        }
        servers
    }

    fn scenarios(&self, host: Host) -> BTreeSet<Scenario> {
        self.of(host).map(|row| row.scenario).collect()
    }

    fn rates(&self, host: Host, connections: usize, text: &mut String) {
        let scenarios = self.scenarios(host);
        let titles: Vec<_> = scenarios.iter().map(|scenario| scenario.title()).collect();
        let _ = writeln!(text, "| | {} |", titles.join(" | "));
        let _ = writeln!(text, "| --- |{}", " --- |".repeat(titles.len()));
        for server in self.servers(host) {
            let rows = || self.of(host).filter(|row| row.server == server && row.connections == connections);
            let _ = write!(text, "| {server} |");
            for scenario in &scenarios {
                let of = |value: fn(&Measurement) -> Option<f64>| {
                    median(
                        rows()
                            .filter(|row| row.scenario == *scenario)
                            .filter_map(|row| value(&row.measurement)),
                    )
                };
                match (of(|m| Some(m.rate)), of(|m| Some(m.p50_ms)), of(|m| Some(m.p99_ms))) {
                    (Some(rate), Some(p50), Some(p99)) => {
                        let more =
                            of(|m| m.database_cpu_ms).map_or(String::new(), |cpu| format!(" + {cpu:.3}"));
                        let cpu = of(|m| m.cpu_ms).map_or(String::new(), |cpu| format!(" · {cpu:.3}{more}"));
                        let _ = write!(text, " {} · {p50:.2} / {p99:.2}{cpu} |", thousands(rate));
                    }
                    _ => text.push_str(" – |"),
                }
            }
            text.push('\n');
        }
        text.push_str("\nRequests a second · p50 / p99 in ms · CPU of the server, and of its database, for a request in ms. Medians of the rounds.\n");
    }

    /// The medians, over the rounds, of the rate of the first server by the rate of each other, and the same of CPU times.
    fn ratios(&self, host: Host, text: &mut String) {
        let servers = self.servers(host);
        let Some((first, others)) = servers.split_first() else { return };
        let key = |row: &Row| (row.scenario, row.connections);
        let keys: BTreeSet<_> = self.of(host).map(key).collect();
        let _ = writeln!(text, "| {first} by | connections | {} |", others.join(" | "));
        let _ = writeln!(text, "| --- | --- |{}", " --- |".repeat(others.len()));
        for (scenario, connections) in keys {
            let of = |server: &str| -> BTreeMap<usize, &Measurement> {
                let rows =
                    self.of(host).filter(|row| row.server == server && key(row) == (scenario, connections));
                rows.map(|row| (row.round, &row.measurement)).collect()
            };
            let measured = of(first);
            let cell = |other: &&str| {
                let rounds = of(other);
                let pairs =
                    || rounds.iter().filter_map(|(round, other)| Some((*measured.get(round)?, *other)));
                let rates: Vec<_> = pairs().map(|(first, other)| first.rate / other.rate).collect();
                let ratio = median(rates.iter().copied())?;
                let (low, high) = rates
                    .iter()
                    .fold((ratio, ratio), |(low, high), ratio| (low.min(*ratio), high.max(*ratio)));
                let cpu = median(pairs().filter_map(|(first, other)| Some(first.cpu_ms? / other.cpu_ms?)));
                let cpu = cpu.map_or(String::new(), |cpu| format!(" · {cpu:.2}"));
                Some(format!("{ratio:.2} ({low:.2}–{high:.2}){cpu}"))
            };
            let cells: Vec<_> =
                others.iter().map(|other| cell(other).unwrap_or_else(|| "–".to_owned())).collect();
            let _ = writeln!(text, "| {} | {connections} | {} |", scenario.title(), cells.join(" | "));
        }
        text.push_str("\nRatio of the rates: median, lowest and highest of the rounds · ratio of the CPU times: median.\n");
    }

    /// Resident memory before the first request, and after each quarter of the measurements.
    fn memory(&self, host: Host, text: &mut String) {
        let _ = writeln!(text, "| MiB | idle | a quarter | half | three quarters | the end |");
        let _ = writeln!(text, "| --- | --- | --- | --- | --- | --- |");
        for server in self.servers(host) {
            let found: Vec<_> = self
                .of(host)
                .filter(|row| row.server == server)
                .filter_map(|row| row.measurement.memory_mib)
                .collect();
            let after = |quarter: usize| found.get((found.len() * quarter / 4).max(1) - 1);
            let idle = self.idle.iter().find(|(on, name, _)| *on == host && name == server);
            let idle = idle.map(|(.., mib)| mib);
            let cells = [idle, after(1), after(2), after(3), after(4)];
            let cells = cells.map(|cell| cell.map_or("–".to_owned(), |mib| format!("{mib:.0}")));
            let _ = writeln!(text, "| {server} | {} |", cells.join(" | "));
        }
    }
}

fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<_> = values.collect();
    values.sort_unstable_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        length if length % 2 == 1 => Some(values[middle]),
        _ => Some(f64::midpoint(values[middle - 1], values[middle])),
    }
}

/// With a comma after the thousands.
pub(crate) fn thousands(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The number of connections in the plots.
const PLOTTED: usize = 16;
