//! A client with rmcp.

use std::sync::Once;

use rmcp::{
    ClientLifecycleMode, ClientServiceExt as _, RoleClient,
    model::{CallToolRequestParams, CallToolResult, ClientConfig, ProtocolVersion},
    service::{ClientInitializeError, RunningService, ServiceError},
    transport::{
        AuthClient, AuthorizationManager, AuthorizationSession, StreamableHttpClientTransport,
        auth::{AuthorizationRequest, CredentialStore as _, InMemoryCredentialStore},
        streamable_http_client::StreamableHttpClientTransportConfig,
    },
};
use serde_json::Value;
use url::Url;

use crate::{demo::Demo, user::User};

pub(crate) const NAME: &str = "rmcp's client";
/// Nothing listens on this port.
pub(crate) const REDIRECT_URI: &str = "http://127.0.0.1:33418/callback";

/// A connection to Deputy.
pub(crate) type Client = RunningService<RoleClient, ClientConfig>;

/// A client, with its registration and its tokens.
#[derive(Default)]
pub(crate) struct Application {
    credentials: InMemoryCredentialStore,
}

impl Application {
    /// A client with which `user` has just logged in.
    pub(crate) async fn of(user: &User, demo: &Demo) -> Self {
        let application = Self::default();
        application.log_in(user, demo).await;
        application
    }

    /// Logs a user in, starting at the `401`, and redeems the code. Returns the URL of the authorization response.
    pub(crate) async fn log_in(&self, user: &User, demo: &Demo) -> Url {
        let refused = self.connect(demo).await.expect_err("no token yet");
        let challenge = refused.auth_challenge().expect("a challenge").to_owned();
        let mut manager = self.manager(demo).await;
        let resolved = manager.resolve_metadata_from_challenge(Some(&challenge)).await.unwrap();
        manager.set_metadata(resolved.metadata);
        let request = AuthorizationRequest::new(REDIRECT_URI).with_client_name(NAME);
        let session = AuthorizationSession::new(manager, request).await.map_err(|(_, error)| error).unwrap();
        let url = user.authorize(demo, session.get_authorization_url()).await;
        session.handle_callback_url(url.as_str()).await.unwrap();
        url
    }

    /// Connects with the stored tokens.
    pub(crate) async fn connect(&self, demo: &Demo) -> Result<Client, ClientInitializeError> {
        let preferred_versions = vec![ProtocolVersion::V_2026_07_28];
        self.connect_as(demo, ClientLifecycleMode::Discover { preferred_versions }).await
    }

    /// Connects, either with `initialize` or without it.
    pub(crate) async fn connect_as(
        &self,
        demo: &Demo,
        lifecycle: ClientLifecycleMode,
    ) -> Result<Client, ClientInitializeError> {
        let mut manager = self.manager(demo).await;
        manager.initialize_from_store().await.unwrap();
        let client = AuthClient::new(reqwest::Client::new(), manager);
        let config = StreamableHttpClientTransportConfig::with_uri(demo.mcp.as_str());
        let transport = StreamableHttpClientTransport::with_client(client, config);
        ClientConfig::default().serve_with_lifecycle(transport, lifecycle).await
    }

    /// The credentials, as a client would write them to its disk.
    pub(crate) async fn stored(&self) -> Value {
        serde_json::to_value(self.credentials.load().await.unwrap()).unwrap()
    }

    /// A client that has read `stored` from its disk.
    pub(crate) async fn with(stored: Value) -> Self {
        let application = Self::default();
        application.credentials.save(serde_json::from_value(stored).unwrap()).await.unwrap();
        application
    }

    /// The access token or the refresh token.
    pub(crate) async fn token(&self, name: &str) -> String {
        self.stored().await["token_response"][name].as_str().unwrap().to_owned()
    }

    async fn manager(&self, demo: &Demo) -> AuthorizationManager {
        static TLS: Once = Once::new();
        // reqwest needs a provider even without TLS.
        TLS.call_once(|| rustls::crypto::ring::default_provider().install_default().unwrap());
        let mut manager = AuthorizationManager::new(demo.mcp.clone()).await.unwrap();
        manager.set_credential_store(self.credentials.clone());
        manager
    }
}

pub(crate) async fn call(
    client: &Client,
    tool: &'static str,
    arguments: Value,
) -> Result<CallToolResult, ServiceError> {
    let Value::Object(arguments) = arguments else { panic!("{arguments} is not an object") };
    client.call_tool(CallToolRequestParams::new(tool).with_arguments(arguments)).await
}
