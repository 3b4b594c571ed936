//! Revocation of a grant's refresh token at `PingOne`.

use std::{sync::Arc, time::Duration};

use crate::{app::App, secret::Secret};

/// Revokes a refresh token at `PingOne` (RFC 7009), after the response. A failed request is tried again, three times in
/// all, since the token is stored nowhere else.
pub(crate) fn revoke_at_pingone(app: &Arc<App>, refresh_token: Option<Secret<String>>) {
    let Some(refresh_token) = refresh_token else { return };
    let owner = Arc::clone(app);
    app.host().detach(Box::pin(async move {
        let app = owner;
        for pause in PAUSES {
            match app.pingone.revoke(app.host(), &app.config, &refresh_token).await {
                Ok(()) => return,
                Err(error) => {
                    tracing::warn!(%error, "a refresh token could not be revoked at PingOne yet");
                    app.host().clock.sleep(Duration::from_secs(pause)).await;
                }
            }
        }
        tracing::error!("a refresh token could not be revoked at PingOne, and lives until it expires");
    }));
}

/// Seconds to wait after each failed attempt. On Workers, work after a response may take half a minute.
const PAUSES: [u64; 3] = [1, 5, 0];
