//! A closed loop: each connection sends its next request when it has the response to the last.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep_until},
};

use crate::{client::Client, process, scenario::Scenario, servers::Server};

/// How long, on how many connections.
#[derive(Clone, Copy)]
pub(crate) struct Load {
    pub(crate) connections: usize,
    pub(crate) warm_up: Duration,
    pub(crate) duration: Duration,
}

/// The results of one server under one load.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Measurement {
    /// Requests, or logins, a second.
    pub(crate) rate: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    /// CPU time of the server for a request, or a login.
    pub(crate) cpu_ms: Option<f64>,
    /// Processor time of its database for a request, in ms, if that is a server of its own.
    #[serde(default)]
    pub(crate) database_cpu_ms: Option<f64>,
    /// Resident memory of the server at the end.
    pub(crate) memory_mib: Option<f64>,
    /// Processors that were busy with something else.
    pub(crate) noise: Option<f64>,
    pub(crate) errors: usize,
    /// The first of them.
    pub(crate) error: Option<String>,
}

/// Has the first clients of a server put a load on it. `others` are the processes that belong to the measurement.
pub(crate) async fn measure(
    server: &mut Server,
    scenario: Scenario,
    load: Load,
    others: &[u32],
) -> Measurement {
    let Server { clients, pids, database, .. } = server;
    let (pids, database) = (&*pids, *database);
    let from = Instant::now() + load.warm_up;
    let until = from + load.duration;
    let mut running = JoinSet::new();
    for client in clients.drain(..load.connections.min(clients.len())) {
        running.spawn(repeat(client, scenario, from, until));
    }
    let own = std::process::id();
    let used = || {
        let sum = |pids: &[u32]| pids.iter().filter_map(|pid| process::cpu(*pid)).sum::<f64>();
        let of_database = database.and_then(process::cpu_with_children);
        let others: Vec<u32> = others.iter().copied().filter(|pid| !pids.contains(pid)).collect();
        let ours = sum(pids) + sum(&others) + process::cpu(own)? + of_database.unwrap_or_default();
        Some((sum(pids), of_database, process::machine()? - ours))
    };
    sleep_until(from).await;
    let before = used();
    sleep_until(until).await;
    let after = used();
    let memory_mib = pids.iter().map(|pid| process::memory(*pid)).sum();

    let (mut latencies, mut errors, mut error) = (Vec::new(), 0, None);
    let mut returned = Vec::new();
    while let Some(done) = running.join_next().await {
        let (client, outcome) = done.expect("a task that is not aborted");
        latencies.extend(outcome.latencies);
        errors += outcome.errors;
        error = error.or(outcome.error);
        returned.push(client);
    }
    clients.splice(0..0, returned);
    latencies.sort_unstable();
    let seconds = load.duration.as_secs_f64();
    let count = number(latencies.len());
    let used = before.zip(after).map(|(before, after)| {
        let of_database = after.1.zip(before.1).map(|(after, before)| after - before);
        (after.0 - before.0, of_database, after.2 - before.2)
    });
    let per_request = |seconds: f64| (count > 0.0).then_some(seconds * 1000.0 / count);
    Measurement {
        rate: count / seconds,
        p50_ms: quantile(&latencies, 50),
        p99_ms: quantile(&latencies, 99),
        cpu_ms: used.and_then(|(server, ..)| per_request(server)),
        database_cpu_ms: used.and_then(|(_, database, _)| per_request(database?)),
        memory_mib,
        noise: used.map(|(.., noise)| (noise / seconds).max(0.0)),
        errors,
        error,
    }
}

#[derive(Default)]
struct Outcome {
    latencies: Vec<Duration>,
    errors: usize,
    error: Option<String>,
}

async fn repeat(mut client: Client, scenario: Scenario, from: Instant, until: Instant) -> (Client, Outcome) {
    let mut outcome = Outcome::default();
    let mut begin = Instant::now();
    while begin < until {
        let result = client.perform(scenario).await;
        let end = Instant::now();
        match result {
            Ok(()) if end >= from && end < until => outcome.latencies.push(end - begin),
            Ok(()) => {}
            Err(error) => {
                outcome.errors += 1;
                outcome.error.get_or_insert(error.to_string());
                // A server that refuses everything is not to be asked all the time.
                sleep_until(end + Duration::from_millis(5)).await;
            }
        }
        begin = Instant::now();
    }
    (client, outcome)
}

/// The time, in milliseconds, that `percent` of the sorted latencies do not exceed.
fn quantile(sorted: &[Duration], percent: usize) -> f64 {
    let index = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    sorted.get(index).map_or(0.0, |latency| latency.as_secs_f64() * 1000.0)
}

#[expect(clippy::cast_precision_loss, reason = "no count here has 52 bits")]
fn number(count: usize) -> f64 {
    count as f64
}
