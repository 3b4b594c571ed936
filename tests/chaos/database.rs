//! The PostgreSQL database of replicas.

use std::sync::Arc;

use harness::postgres::Cluster;

/// A server with the database, and perhaps a second one.
#[derive(Clone)]
pub(crate) struct Database {
    pub(crate) primary: Arc<Cluster>,
    /// A synchronous standby.
    pub(crate) standby: Option<Arc<Cluster>>,
}

impl Database {
    /// Creates and starts the servers.
    pub(crate) fn start(standby: bool) -> Self {
        let primary = Cluster::start();
        let standby = standby.then(|| Arc::new(primary.standby()));
        Self { primary: Arc::new(primary), standby }
    }

    /// The URL of a new schema, on the server that accepts writes.
    pub(crate) fn url(&self) -> String {
        let url = self.primary.schema();
        self.standby.as_ref().map_or_else(|| url.clone(), |standby| self.primary.url_with(standby, &url))
    }
}
