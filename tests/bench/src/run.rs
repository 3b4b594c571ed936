//! A run: which servers, which loads, in which order.

use std::{path::PathBuf, time::Duration};

use clap::{Args, ValueEnum};

use crate::{
    Failure,
    load::{Load, Measurement, measure},
    replicas,
    report::{Results, Row},
    scenario::Scenario,
    servers::{Peer, Ports, Server, Site},
    stored,
};

/// The measurements of a run, and their length.
#[derive(Args)]
pub(crate) struct Options {
    /// Hosts and scenarios; all where none is named
    #[arg(value_name = "WHAT")]
    what: Vec<What>,
    /// One number of connections, and little time
    #[arg(long)]
    quick: bool,
    /// Connections, several numbers with a comma between them [default: 1,16,64, or 16 with --quick]
    #[arg(long, value_delimiter = ',')]
    connections: Vec<usize>,
    /// How often each load is repeated [default: 5, or 2 with --quick]
    #[arg(long)]
    rounds: Option<usize>,
    /// Seconds of a load [default: 2, or 1 with --quick]
    #[arg(long)]
    seconds: Option<f64>,
    /// Measure a load again, up to this often, while other programs use more than a quarter of a processor; the quietest counts
    /// [default: 4, or 1 with --quick]
    #[arg(long)]
    tries: Option<usize>,
    /// A native Deputy to compare with, such as one that was built before a change
    #[arg(long, value_name = "PROGRAM")]
    before: Option<PathBuf>,
    /// A build of the Worker to compare with: a folder with index.js
    #[arg(long, value_name = "FOLDER")]
    before_worker: Option<PathBuf>,
    /// A running server with OAuth to compare with the Worker
    #[arg(long, value_name = "NAME=URL=PID")]
    beside: Vec<Peer>,
    /// The first of the ports that are used
    #[arg(long, default_value_t = 18600)]
    port: u16,
    /// Where the servers keep their records, each in a folder of its own
    #[arg(long, value_name = "FOLDER", default_value = "target/bench/data")]
    data: PathBuf,
    /// Where the results go, as JSON
    #[arg(long, value_name = "FILE", default_value = "target/bench/results.json")]
    out: PathBuf,
    /// A folder in which to draw the results
    #[arg(long, value_name = "FOLDER")]
    plots: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Host(Host),
    Scenario(Scenario),
}

/// Where servers run that are compared with each other.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Host {
    /// A process on tokio
    Native,
    /// Cloudflare's runtime
    Workerd,
    /// A process on tokio with a million stored grants, beside one without, on SQLite and on PostgreSQL; only where it is named
    Stored,
    /// One to three processes on PostgreSQL, beside one on SQLite; only where it is named
    Postgres,
}

impl Host {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Workerd => "workerd",
            Self::Stored => "stored",
            Self::Postgres => "postgres",
        }
    }
}

impl std::str::FromStr for What {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Host::from_str(text, false)
            .map(Self::Host)
            .or_else(|_| Scenario::from_str(text, false).map(Self::Scenario))
            .map_err(|_| {
                let hosts = Host::value_variants().iter().filter_map(ValueEnum::to_possible_value);
                let scenarios = Scenario::value_variants().iter().filter_map(ValueEnum::to_possible_value);
                let known: Vec<_> = hosts.chain(scenarios).map(|value| value.get_name().to_owned()).collect();
                format!("is none of {}", known.join(", "))
            })
    }
}

impl Options {
    fn hosts(&self) -> Vec<Host> {
        let named: Vec<_> = Host::value_variants()
            .iter()
            .copied()
            .filter(|host| self.what.contains(&What::Host(*host)))
            .collect();
        if named.is_empty() { vec![Host::Native, Host::Workerd] } else { named }
    }

    fn scenarios(&self) -> Vec<Scenario> {
        let all = Scenario::value_variants().iter().copied();
        let named: Vec<_> =
            all.clone().filter(|scenario| self.what.contains(&What::Scenario(*scenario))).collect();
        if named.is_empty() { all.collect() } else { named }
    }

    fn connections(&self) -> Vec<usize> {
        match (self.connections.is_empty(), self.quick) {
            (false, _) => self.connections.clone(),
            (true, false) => vec![1, 16, 64],
            (true, true) => vec![16],
        }
    }

    fn rounds(&self) -> usize {
        self.rounds.unwrap_or(if self.quick { 2 } else { 5 })
    }

    fn tries(&self) -> usize {
        self.tries.unwrap_or(if self.quick { 1 } else { 4 })
    }

    fn load(&self, connections: usize) -> Load {
        let seconds = self.seconds.unwrap_or(if self.quick { 1.0 } else { 2.0 });
        let duration = Duration::from_secs_f64(seconds);
        Load { connections, warm_up: duration / 4, duration }
    }
}

/// Measures, prints the tables, and writes the results.
pub(crate) async fn run(options: Options) -> Result<(), Failure> {
    let mut site = Site::start(Ports::from(options.port), &options.data)?;
    let mut results = Results::default();
    for host in options.hosts() {
        let mut servers = servers(&mut site, host, &options, &mut results).await?;
        let idle = servers.iter().filter_map(|server| Some((host, server.name.clone(), server.idle_mib?)));
        results.idle.extend(idle);
        measure_all(&mut servers, host, &options, &site.pids(), &mut results).await;
        site.stop_servers();
    }
    results.write(&options.out)?;
    print!("{}", results.tables());
    if let Some(folder) = &options.plots {
        results.draw(folder)?;
    }
    let errors: usize = results.rows.iter().map(|row| row.measurement.errors).sum();
    if errors == 0 { Ok(()) } else { Err(format!("{errors} responses were not as expected").into()) }
}

async fn servers(
    site: &mut Site,
    host: Host,
    options: &Options,
    results: &mut Results,
) -> Result<Vec<Server>, Failure> {
    let clients = options.connections().into_iter().max().unwrap_or(1);
    let scenarios = options.scenarios();
    let mut servers = Vec::new();
    match host {
        Host::Native => {
            let Ports { native, native_before, .. } = site.ports();
            let before =
                options.before.as_deref().map(|program| ("Deputy before", native_before, Some(program)));
            for (name, port, program) in [("Deputy", native, None)].into_iter().chain(before) {
                let (pid, _) = site.start_native(program, port).await?;
                servers.push(site.log_in(name, port, pid, clients).await?);
            }
        }
        Host::Stored => {
            let stored = stored::start(site, clients).await?;
            results.starts = stored.starts;
            return Ok(stored.servers);
        }
        Host::Postgres => return replicas::start(site, clients).await,
        Host::Workerd => {
            servers.push(site.workerd(None, clients).await?);
            if let Some(folder) = &options.before_worker {
                servers.push(site.workerd(Some(folder), clients).await?);
            }
            for peer in &options.beside {
                servers.push(peer.log_in(clients).await?);
            }
        }
    }
    let tools = servers[0].clients[0].tools().await?.to_string();
    let floors = match host {
        Host::Workerd => site.workerd_floors(&tools, clients).await?,
        _ => site.native_floors(&tools, clients).await?,
    };
    servers.extend(floors.into_iter().filter(|floor| scenarios.iter().any(|scenario| floor.has(*scenario))));
    Ok(servers)
}

async fn measure_all(
    servers: &mut [Server],
    host: Host,
    options: &Options,
    site: &[u32],
    results: &mut Results,
) {
    for scenario in options.scenarios() {
        for connections in options.connections() {
            for round in 0..options.rounds() {
                for server in servers.iter_mut().filter(|server| server.has(scenario)) {
                    let measurement =
                        quietest(server, scenario, options.load(connections), options.tries(), site).await;
                    let row =
                        Row { host, server: server.name.clone(), scenario, connections, round, measurement };
                    eprintln!("{}", row.line());
                    results.rows.push(row);
                }
            }
        }
    }
}

/// Measures until the machine is quiet, at most `tries` times.
async fn quietest(
    server: &mut Server,
    scenario: Scenario,
    load: Load,
    tries: usize,
    site: &[u32],
) -> Measurement {
    let mut best: Option<Measurement> = None;
    for _ in 0..tries.max(1) {
        let found = measure(server, scenario, load, site).await;
        let noise = |measurement: &Measurement| measurement.noise.unwrap_or_default();
        let quiet = noise(&found) < NOISE;
        if best.as_ref().is_none_or(|best| noise(&found) < noise(best)) {
            best = Some(found);
        }
        if quiet {
            break;
        }
    }
    best.expect("there was at least one")
}

/// Processors that other programs may use during a measurement.
const NOISE: f64 = 0.25;
