//! [`bounded_http`] with Deputy's settings.

use axum::Router;
use deputy::host::ClientAddress;
use tokio::net::TcpListener;

pub use bounded_http::{Limits, Server, Shutdown};

/// Serves `router`. Every request carries the [`ClientAddress`] that rate limits count.
pub async fn serve(server: Server, listeners: Vec<TcpListener>, router: Router, shutdown: Shutdown) {
    let server = Server {
        attribute: |extensions, bounded_http::ClientAddress(address)| {
            extensions.insert(ClientAddress(address));
        },
        quiet_paths: &["/favicon.ico", "/icon"],
        client_address_setting: "--client-address-header (CLIENT_ADDRESS_HEADER)",
        ..server
    };
    server.serve(listeners, router, shutdown).await;
}
