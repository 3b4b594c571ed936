//! The end of a grant at `PingOne`.

use std::{sync::Arc, time::Duration};

use crate::{app::App, secret::Secret};

/// Revokes a refresh token at `PingOne` (RFC 7009) after the response: nobody can use it any more. While `PingOne` is busy or
/// broken the request is repeated, since nothing else knows of the token.
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
                    app.host().sleep(Duration::from_secs(pause)).await;
                }
            }
        }
        tracing::error!("a refresh token could not be revoked at PingOne, and lives until it expires");
    }));
}

/// Seconds. On Workers, work after a response has half a minute.
const PAUSES: [u64; 3] = [1, 5, 0];
