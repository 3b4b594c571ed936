//! The simulated PingOne of the demo.

use std::{path::Path, sync::Arc};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use deputy::secret::Secret;
use pingone_sim::{SimConfig, Simulator, SystemEnvironment};

use super::Api;
use crate::{error::StartError, host::fill_random};

/// A simulator, the application that it registered for Deputy, and its users.
pub(super) struct PingOne {
    pub(super) simulator: Simulator,
    pub(super) issuer: String,
    pub(super) client_id: String,
    pub(super) client_secret: Secret<String>,
    pub(super) policy_id: String,
    /// The secret of its webhook, which reports events to Deputy.
    pub(super) webhook_secret: Secret<String>,
    /// The users who can log in.
    pub(super) users: Vec<User>,
}

/// A user of the simulator.
pub(super) struct User {
    pub(super) sub: String,
    pub(super) username: String,
    pub(super) password: String,
}

impl PingOne {
    /// A simulator at `url`, with the Deputy at `public_url` as its application and its state in `folder`.
    pub(super) fn open(
        url: &str,
        public_url: &str,
        api: &Api<'_>,
        folder: &Path,
    ) -> Result<Self, StartError> {
        let config = SimConfig::demo(url, &format!("{public_url}/callback"), api.identifier);
        let config = config.with_scopes(api.scopes);
        let file = folder.join("pingone.json");
        let simulator = Simulator::with_state_file(config.clone(), Arc::new(SystemEnvironment), &file);
        let simulator =
            simulator.map_err(|error| StartError::PingOne { path: file, cause: error.to_string() })?;
        let mut secret = [0; 32];
        fill_random(&mut secret);
        let secret = STANDARD.encode(secret);
        simulator.configure(|settings| {
            settings.webhook.url = Some(format!("{public_url}/pingone/events"));
            settings.webhook.headers = [("authorization".to_owned(), format!("Bearer {secret}"))].into();
        });
        let SimConfig { application, policy_id, users, .. } = &config;
        let users = users.iter().filter(|user| !user.locked && user.headless.is_none());
        Ok(Self {
            simulator,
            issuer: config.issuer(),
            client_id: application.client_id.clone(),
            client_secret: Secret::new(application.client_secret.clone()),
            policy_id: policy_id.clone(),
            webhook_secret: Secret::new(secret),
            users: users
                .map(|user| User {
                    sub: user.id.clone(),
                    username: user.username.clone(),
                    password: user.password.clone(),
                })
                .collect(),
        })
    }
}
