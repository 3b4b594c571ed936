//! [`bounded_http`] with Deputy's settings.

use axum::Router;
use deputy::host::ClientAddress;
use tokio::{net::TcpListener, sync::watch};

pub use bounded_http::{Limits, Server, Shutdown};

/// Serves `router`. Every request carries the [`ClientAddress`] that rate limits count.
pub async fn serve(server: Server, listeners: Vec<TcpListener>, router: Router, shutdown: Shutdown) {
    with_settings(server).serve(listeners, router, shutdown).await;
}

/// Serves a router that can be replaced. A request gets its response from the one that was the latest when it began.
pub(crate) async fn serve_latest(
    server: Server,
    listeners: Vec<TcpListener>,
    router: watch::Receiver<Router>,
    shutdown: Shutdown,
) {
    with_settings(server).serve_latest(listeners, router, shutdown).await;
}

fn with_settings(server: Server) -> Server {
    Server {
        attribute: |extensions, bounded_http::ClientAddress(address)| {
            extensions.insert(ClientAddress(address));
        },
        quiet_paths: &["/favicon.ico", "/icon"],
        client_address_setting: "--client-address-header (CLIENT_ADDRESS_HEADER)",
        ..server
    }
}
