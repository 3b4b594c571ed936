//! [`bounded_http`] with Deputy's settings.

use axum::{Router, extract::Request, middleware::map_request};
use deputy::host::ClientAddress;
use tokio::net::TcpListener;

pub use bounded_http::{Limits, Server, Shutdown};

/// Serves `router`. Every request carries the [`ClientAddress`] that rate limits count.
pub async fn serve(server: Server, listeners: Vec<TcpListener>, router: Router, shutdown: Shutdown) {
    let server =
        Server { client_address_setting: "--client-address-header (CLIENT_ADDRESS_HEADER)", ..server };
    server.serve(listeners, router.layer(map_request(with_client_address)), shutdown).await;
}

async fn with_client_address(mut request: Request) -> Request {
    if let Some(bounded_http::ClientAddress(address)) = request.extensions().get().copied() {
        request.extensions_mut().insert(ClientAddress(address));
    }
    request
}
