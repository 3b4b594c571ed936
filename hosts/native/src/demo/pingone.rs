//! The simulated PingOne of the demo.

use std::{path::Path, sync::Arc};

use axum::Router;
use deputy::secret::Secret;
use pingone_sim::{SimConfig, Simulator, SystemEnvironment};

use crate::error::StartError;

/// A simulator, the application that it registered for Deputy, and its users.
pub(super) struct PingOne {
    pub(super) router: Router,
    pub(super) issuer: String,
    pub(super) client_id: String,
    pub(super) client_secret: Secret<String>,
    pub(super) policy_id: String,
    pub(super) api_identifier: String,
    /// Usernames and passwords.
    pub(super) users: Vec<(String, String)>,
}

impl PingOne {
    /// A simulator at `url`, with the Deputy at `public_url` as its application and its state in `folder`.
    pub(super) fn open(url: &str, public_url: &str, folder: &Path) -> Result<Self, StartError> {
        let config = SimConfig::demo(url, &format!("{public_url}/callback"), API_IDENTIFIER);
        let file = folder.join("pingone.json");
        let simulator = Simulator::with_state_file(config.clone(), Arc::new(SystemEnvironment), &file);
        let simulator =
            simulator.map_err(|error| StartError::PingOne { path: file, cause: error.to_string() })?;
        let SimConfig { application, policy_id, users, .. } = &config;
        let users = users.iter().filter(|user| !user.locked && user.headless.is_none());
        Ok(Self {
            router: simulator.router(),
            issuer: config.issuer(),
            client_id: application.client_id.clone(),
            client_secret: Secret::new(application.client_secret.clone()),
            policy_id: policy_id.clone(),
            api_identifier: API_IDENTIFIER.to_owned(),
            users: users.map(|user| (user.username.clone(), user.password.clone())).collect(),
        })
    }
}

/// The audience of the demo's access tokens. It is a name, and nothing listens there.
const API_IDENTIFIER: &str = "https://todo.deputy.example";
