//! Metrics for Prometheus, on a listener of their own.

mod measured_store;

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use axum::{Router, http::header, routing::get};
use bounded_http::{Limits, Server, Shutdown, meters};
use deputy::{
    host::Clock as _,
    metrics::{Kind, Metric},
    only_loopback_hosts,
};
use metrics::gauge;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tokio::time::sleep;

use crate::{
    build::BUILD,
    error::StartError,
    host::{NativeHost, since_start},
    listen::{Listen, Listening},
    store::NativeStore,
};
use measured_store::{STORE_FAILURES, STORE_SECONDS};

pub(crate) use measured_store::MeasuredStore;

/// The metrics of this process, and the sockets on which they are served.
pub(crate) struct Metrics {
    handle: PrometheusHandle,
    listening: Listening,
    /// Whether only this computer can connect.
    is_loopback: bool,
}

impl Metrics {
    /// Opens the sockets, and measures from now on. To be called before anything that is measured exists.
    pub(crate) async fn start(listen: &Listen) -> Result<Self, StartError> {
        let listening = listen.bind("--metrics-listen (METRICS_LISTEN)").await?;
        if !listen.is_loopback() {
            tracing::warn!(
                %listen,
                "other computers can connect to the metrics (METRICS_LISTEN), which need no authentication. Let only Prometheus \
                 reach this port"
            );
        }
        let builder = PrometheusBuilder::new().set_buckets(&BUCKETS).map_err(StartError::metrics)?;
        let recorder = builder.build_recorder();
        let handle = recorder.handle();
        metrics::set_global_recorder(recorder).map_err(StartError::metrics)?;
        deputy::metrics::enable(since_start);
        METRICS.iter().for_each(Metric::announce);
        let (commit, target) = (BUILD.commit.unwrap_or("unknown"), BUILD.target.unwrap_or("unknown"));
        gauge!(BUILD_INFO, "version" => BUILD.version, "commit" => commit, "build" => target).set(1);
        Ok(Self { handle, listening, is_loopback: listen.is_loopback() })
    }

    /// Serves the metrics until the task is aborted.
    pub(crate) async fn serve(self, host: Arc<NativeHost>, store: Weak<dyn NativeStore>) {
        let Self { handle, listening, is_loopback } = self;
        let render = handle.clone();
        let counted = store.clone();
        let page = move || {
            // A page that renders while the store closes does not keep it open.
            if let Some(store) = store.upgrade() {
                gauge!(STORE_QUEUE).set(store.waiting());
            }
            std::future::ready(([(header::CONTENT_TYPE, TEXT)], render.render()))
        };
        let router = Router::new().route("/metrics", get(page));
        let router = if is_loopback { only_loopback_hosts(router, listening.port) } else { router };
        let limits = Limits { connections: CONNECTIONS, ..Limits::default() };
        let server = Server { limits, health_paths: &[], name: "metrics", ..Server::default() };
        let serve = server.serve(listening.listeners, router, Shutdown::default());
        tokio::join!(serve, upkeep(handle), count_grants(host, counted));
    }
}

/// Sorts what was recorded into the buckets. Until then every duration takes memory of its own.
async fn upkeep(handle: PrometheusHandle) {
    loop {
        sleep(UPKEEP).await;
        handle.run_upkeep();
    }
}

/// Counts until the store is closed.
async fn count_grants(host: Arc<NativeHost>, store: Weak<dyn NativeStore>) {
    while let Some(store) = store.upgrade() {
        match store.count("grant", host.now()).await {
            Ok(grants) => gauge!(GRANTS).set(u32::try_from(grants).unwrap_or(u32::MAX)),
            Err(error) => tracing::warn!(%error, "the grants could not be counted for the metrics"),
        }
        drop(store);
        sleep(COUNT_GRANTS).await;
    }
}

const BUILD_INFO: &str = "deputy_build_info";
const GRANTS: &str = "deputy_grants";
const STORE_QUEUE: &str = "deputy_store_queue";

/// The metrics of the native host.
pub const METRICS: [Metric; 9] = [
    Metric {
        name: BUILD_INFO,
        kind: Kind::Gauge,
        labels: &["version", "commit", "build"],
        meaning: "Always 1; the labels are those of `deputy --version`",
    },
    Metric {
        name: GRANTS,
        kind: Kind::Gauge,
        labels: &[],
        meaning: "Grants that have not expired, counted once a minute, with those of logins whose code was not redeemed yet",
    },
    Metric {
        name: STORE_SECONDS,
        kind: Kind::Histogram,
        labels: &["operation"],
        meaning: "Time of operations of the store",
    },
    Metric {
        name: STORE_FAILURES,
        kind: Kind::Counter,
        labels: &["operation"],
        meaning: "Operations of the store that failed",
    },
    Metric {
        name: STORE_QUEUE,
        kind: Kind::Gauge,
        labels: &[],
        meaning: "Operations that wait as the metrics are read: writes for the disk, or with PostgreSQL all for a connection",
    },
    Metric { name: meters::CONNECTIONS, kind: Kind::Gauge, labels: &["server"], meaning: "Open connections" },
    Metric {
        name: meters::CONNECTION_SLOTS,
        kind: Kind::Gauge,
        labels: &["server"],
        meaning: "Connections at a time, at most",
    },
    Metric {
        name: meters::CONNECTIONS_REFUSED,
        kind: Kind::Counter,
        labels: &["server"],
        meaning: "Connections that were closed because their address held its quota",
    },
    Metric {
        name: meters::RESPONSES,
        kind: Kind::Counter,
        labels: &["server", "status"],
        meaning: "Responses by the class of their status, also to paths that have no endpoint",
    },
];

/// Upper bounds in seconds: from a read of the store to the longest request.
const BUCKETS: [f64; 13] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 2.5, 10.0, 40.0];

const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Prometheus needs one, and an operator with `curl` another.
const CONNECTIONS: usize = 16;

const UPKEEP: Duration = Duration::from_secs(5);

const COUNT_GRANTS: Duration = Duration::from_mins(1);
