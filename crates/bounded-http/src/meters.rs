//! Metrics of a server, for the recorder of the crate `metrics`, if the program installed one before.

use http::StatusCode;
use metrics::{Counter, Gauge, counter, gauge};

/// Connections that are open.
pub const CONNECTIONS: &str = "http_connections";
/// Connections at a time ([`Limits::connections`](crate::Limits::connections)).
pub const CONNECTION_SLOTS: &str = "http_connection_slots";
/// Connections that were closed because their source held its quota.
pub const CONNECTIONS_REFUSED: &str = "http_connections_refused_total";
/// Responses, by the class of their status.
pub const RESPONSES: &str = "http_responses_total";

/// The metrics of one server, found once.
pub(crate) struct Meters {
    connections: Gauge,
    refused: Counter,
    responses: [Counter; 5],
}

impl Meters {
    pub(crate) fn new(server: &'static str, slots: usize) -> Self {
        // Whole numbers of this size are exact.
        gauge!(CONNECTION_SLOTS, "server" => server).set(u32::try_from(slots).unwrap_or(u32::MAX));
        Self {
            connections: gauge!(CONNECTIONS, "server" => server),
            refused: counter!(CONNECTIONS_REFUSED, "server" => server),
            responses: CLASSES.map(|status| counter!(RESPONSES, "server" => server, "status" => status)),
        }
    }

    /// Counts a connection until the value is dropped.
    pub(crate) fn connection(&self) -> OpenConnection {
        self.connections.increment(1);
        OpenConnection(self.connections.clone())
    }

    pub(crate) fn refused(&self) {
        self.refused.increment(1);
    }

    pub(crate) fn response(&self, status: StatusCode) {
        if let Some(counter) = self.responses.get(usize::from(status.as_u16() / 100).wrapping_sub(1)) {
            counter.increment(1);
        }
    }
}

/// An open connection, in the gauge.
pub(crate) struct OpenConnection(Gauge);

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.decrement(1);
    }
}

const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];
