//! The admin interface on a listener of its own, and the commands that use it, of this or of another Deputy.

mod commands;
mod records;
mod remote;
mod table;

use axum::Router;
use tokio::sync::watch;

use crate::{
    error::StartError,
    http_server::{self, Limits, Server as HttpServer, Shutdown},
    listen::{Listen, Listening},
};

pub(crate) use commands::{ClientsOptions, GrantsOptions, clients, grants};
pub(crate) use records::RemoteRecords;
pub(crate) use remote::{AdminError, Remote};
pub(crate) use table::printable;

/// The sockets of the admin interface.
pub(crate) struct Admin(Listening);

impl Admin {
    /// Opens the sockets.
    pub(crate) async fn start(listen: &Listen) -> Result<Self, StartError> {
        Ok(Self(listen.bind("--admin-listen (ADMIN_LISTEN)").await?))
    }

    pub(crate) fn port(&self) -> u16 {
        self.0.port
    }

    /// Serves the admin interface until the task is aborted.
    pub(crate) async fn serve(self, router: watch::Receiver<Router>) {
        let Self(listening) = self;
        let limits = Limits { connections: CONNECTIONS, ..Limits::default() };
        let http = HttpServer { limits, health_paths: &[], name: "admin", ..HttpServer::default() };
        http_server::serve_latest(http, listening.listeners, router, Shutdown::default()).await;
    }
}

/// An address of this computer: the token of the operator is not sent over the network without TLS.
pub(crate) fn loopback(text: &str) -> Result<Listen, String> {
    let listen: Listen = text.parse()?;
    if listen.is_loopback() {
        Ok(listen)
    } else {
        Err("expected a loopback address, such as 127.0.0.1:8790: other computers need a tunnel, or a proxy with TLS".to_owned())
    }
}

/// An operator needs one.
const CONNECTIONS: usize = 16;
