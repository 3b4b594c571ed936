//! A closed loop: each connection sends its next request when it has the response to the last.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep_until},
};

use crate::{client::Client, process, scenario::Scenario};

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
    /// Resident memory of the server at the end.
    pub(crate) memory_mib: Option<f64>,
    /// Processors that were busy with something else.
    pub(crate) noise: Option<f64>,
    pub(crate) errors: usize,
    /// The first of them.
    pub(crate) error: Option<String>,
}

/// Has the first clients put a load on the server, whose process is `pid`. `others` are the processes that belong to the
/// measurement.
pub(crate) async fn measure(
    clients: &mut Vec<Client>,
    scenario: Scenario,
    load: Load,
    pid: u32,
    others: &[u32],
) -> Measurement {
    let from = Instant::now() + load.warm_up;
    let until = from + load.duration;
    let mut running = JoinSet::new();
    for client in clients.drain(..load.connections.min(clients.len())) {
        running.spawn(repeat(client, scenario, from, until));
    }
    let own = std::process::id();
    let used = || {
        let all = process::machine()?;
        let ours = others.iter().chain([&pid, &own]).filter_map(|pid| process::cpu(*pid)).sum::<f64>();
        Some((process::cpu(pid)?, all - ours))
    };
    sleep_until(from).await;
    let before = used();
    sleep_until(until).await;
    let after = used();
    let memory_mib = process::memory(pid);

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
    let used = before.zip(after).map(|(before, after)| (after.0 - before.0, after.1 - before.1));
    Measurement {
        rate: count / seconds,
        p50_ms: quantile(&latencies, 50),
        p99_ms: quantile(&latencies, 99),
        cpu_ms: used.filter(|_| count > 0.0).map(|(server, _)| server * 1000.0 / count),
        memory_mib,
        noise: used.map(|(_, noise)| (noise / seconds).max(0.0)),
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
