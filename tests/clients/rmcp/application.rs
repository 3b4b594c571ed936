//! An application with rmcp in it.

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

use crate::{demo::Demo, person::Person};

pub(crate) const NAME: &str = "rmcp's client";
/// Nobody listens there.
pub(crate) const REDIRECT_URI: &str = "http://127.0.0.1:33418/callback";

/// A connection.
pub(crate) type Client = RunningService<RoleClient, ClientConfig>;

/// The application, and what it keeps: its registration and its tokens.
#[derive(Default)]
pub(crate) struct Application {
    credentials: InMemoryCredentialStore,
}

impl Application {
    /// An application that a person has just logged in with.
    pub(crate) async fn of(person: &Person, demo: &Demo) -> Self {
        let application = Self::default();
        application.log_in(person, demo).await;
        application
    }

    /// Asks a person in, starting from the 401, and redeems the code. Returns where the browser arrived.
    pub(crate) async fn log_in(&self, person: &Person, demo: &Demo) -> Url {
        let refused = self.connect(demo).await.expect_err("nobody is logged in");
        let challenge = refused.auth_challenge().expect("a challenge").to_owned();
        let mut manager = self.manager(demo).await;
        let resolved = manager.resolve_metadata_from_challenge(Some(&challenge)).await.unwrap();
        manager.set_metadata(resolved.metadata);
        let request = AuthorizationRequest::new(REDIRECT_URI).with_client_name(NAME);
        let session = AuthorizationSession::new(manager, request).await.map_err(|(_, error)| error).unwrap();
        let url = person.authorize(demo, session.get_authorization_url()).await;
        session.handle_callback_url(url.as_str()).await.unwrap();
        url
    }

    /// Connects with what is kept.
    pub(crate) async fn connect(&self, demo: &Demo) -> Result<Client, ClientInitializeError> {
        let preferred_versions = vec![ProtocolVersion::V_2026_07_28];
        self.connect_as(demo, ClientLifecycleMode::Discover { preferred_versions }).await
    }

    /// Connects in one of the ways that there are.
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

    /// What it would write to its disk.
    pub(crate) async fn kept(&self) -> Value {
        serde_json::to_value(self.credentials.load().await.unwrap()).unwrap()
    }

    /// An application that has read `kept` from its disk.
    pub(crate) async fn with(kept: Value) -> Self {
        let application = Self::default();
        application.credentials.save(serde_json::from_value(kept).unwrap()).await.unwrap();
        application
    }

    /// One of its tokens.
    pub(crate) async fn token(&self, name: &str) -> String {
        self.kept().await["token_response"][name].as_str().unwrap().to_owned()
    }

    async fn manager(&self, demo: &Demo) -> AuthorizationManager {
        static TLS: Once = Once::new();
        // reqwest asks for one even where nothing is encrypted.
        TLS.call_once(|| rustls::crypto::ring::default_provider().install_default().unwrap());
        let mut manager = AuthorizationManager::new(demo.mcp.clone()).await.unwrap();
        manager.set_credential_store(self.credentials.clone());
        manager
    }
}

/// Calls a tool.
pub(crate) async fn call(
    client: &Client,
    tool: &'static str,
    arguments: Value,
) -> Result<CallToolResult, ServiceError> {
    let Value::Object(arguments) = arguments else { panic!("{arguments} is no object") };
    client.call_tool(CallToolRequestParams::new(tool).with_arguments(arguments)).await
}
