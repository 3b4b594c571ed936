//! The public face of the core.

use std::sync::Arc;

use axum::Router;

use crate::{
    app::{App, Build},
    config::Config,
    host::Host,
    mcp::Handler,
    pages::Wording,
    router,
};

/// Deputy on one host, with one set of tools. Cheap to clone.
#[derive(Clone)]
pub struct Server(Arc<App>);

impl Server {
    /// A server on `host` whose tools are those of `handler`.
    pub fn new(config: Config, host: Host, handler: Arc<dyn Handler>, wording: Wording) -> Self {
        Self(Arc::new(App::new(config, host, handler, wording)))
    }

    /// Names the build of the program for `GET /healthz`. A second call has no effect.
    #[must_use]
    pub fn with_build(self, build: Build) -> Self {
        self.0.name_build(build);
        self
    }

    /// This server with values that an operator has replaced: keys, credentials, tokens and the list of clients. Every other
    /// value of `config` must be that of this server. The two share everything that the process remembers. Requests that
    /// this server has begun keep the values that they began with.
    #[must_use]
    pub fn with_replaced_values(&self, config: Config) -> Self {
        Self(Arc::new(self.0.with_config(config)))
    }

    /// Fetches the discovery document and the keys of `PingOne`, so that a wrong `PINGONE_ISSUER` is logged at the start and
    /// not at the first login.
    pub async fn check_pingone(&self) {
        let Self(app) = self;
        if let Err(error) = app.pingone.read_documents(app.host(), &app.config).await {
            let issuer = app.config.pingone.issuer.as_str();
            tracing::warn!(issuer, %error, "PINGONE_ISSUER cannot be used: no user can log in until it is corrected");
        }
    }

    /// The HTTP interface, without the admin interface.
    pub fn router(&self) -> Router {
        router::routes(&self.0, router::Admin::Elsewhere)
    }

    /// The HTTP interface and the admin interface, for a host with one address. Without `ADMIN_TOKEN` there is no admin
    /// interface.
    pub fn router_with_admin(&self) -> Router {
        router::routes(&self.0, router::Admin::Here)
    }

    /// The admin interface alone, for an address of its own.
    pub fn admin_router(&self) -> Router {
        router::admin_routes(&self.0)
    }
}
