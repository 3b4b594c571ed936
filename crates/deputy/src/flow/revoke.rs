//! `POST /revoke`: a client gives a token back (RFC 7009). Whichever token it is, the whole grant ends.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};

use super::token::{authenticated, unauthenticated};
use crate::{
    host::{StoreError, Timestamp},
    http::{Answer, empty, error, has_media_type},
    oauth::{Client, ErrorCode, Params, ReferenceToken, TokenKind},
    records,
    secret::Secret,
    server::Server,
};

pub(crate) async fn revoke(server: &Server, headers: &HeaderMap, form: Bytes) -> Result<Answer, StoreError> {
    let now = server.now();
    let params = Params::decode(&form);
    let token = match params.one("token") {
        Ok(Some(token)) if has_media_type(headers, "application/x-www-form-urlencoded") => token,
        _ => {
            let text = "the body must be application/x-www-form-urlencoded with one token";
            return Ok(error(StatusCode::BAD_REQUEST, ErrorCode::InvalidRequest, text));
        }
    };
    let client = match authenticated(server, headers, &params, now).await? {
        Ok(client) => client,
        Err(refusal) => return Ok(unauthenticated(refusal)),
    };
    // The hint is no more than that (RFC 7009 §2.1): a token says what it is.
    for kind in [TokenKind::RefreshToken, TokenKind::AccessToken] {
        if let Some(token) = ReferenceToken::parse(kind, token, &server.config.keys) {
            end(server, &client, &token, now).await?;
        }
    }
    // RFC 7009 §2.2: also for tokens that are unknown, or not this client's.
    Ok(empty(StatusCode::OK))
}

async fn end(
    server: &Server,
    client: &Client,
    token: &ReferenceToken,
    now: Timestamp,
) -> Result<(), StoreError> {
    let Some((grant, _)) = records::grant(server.host(), token.grant(), now).await? else { return Ok(()) };
    if grant.client_id != client.id {
        return Ok(());
    }
    let Some(key) = grant.key_for(token, now) else { return Ok(()) };
    records::end_grant(server.host(), grant.id, now).await?;
    tracing::info!(client = client.id, grant = ?grant.id, "grant revoked by its client");
    // Nobody can ask for the rest again: the grant that knows of it is gone.
    give_back(server, grant.open_upstream(&key).and_then(|mut tokens| tokens.refresh_token.take()));
    let unindexed =
        records::unindex_grant(server.host(), &server.config, &grant.user.sub, grant.id, now).await;
    if let Err(error) = unindexed {
        tracing::error!(grant = ?grant.id, %error, "a revoked grant could not be taken out of its person's index");
    }
    Ok(())
}

/// Revokes a refresh token at PingOne, after the answer: it is of no use to anybody any more. A PingOne that is busy or
/// broken is asked again, since nobody else knows of the token.
pub(super) fn give_back(server: &Server, refresh_token: Option<Secret<String>>) {
    let Some(refresh_token) = refresh_token else { return };
    let server = server.clone();
    server.clone().host().detach(Box::pin(async move {
        for pause in PAUSES {
            match server.provider.revoke(server.host(), &server.config, &refresh_token).await {
                Ok(()) => return,
                Err(error) => {
                    tracing::warn!(%error, "a refresh token could not be revoked at PingOne yet");
                    server.host().sleep(Duration::from_secs(pause)).await;
                }
            }
        }
        tracing::error!("a refresh token could not be revoked at PingOne, and lives until it expires");
    }));
}

/// Seconds. On Workers, work after an answer has half a minute.
const PAUSES: [u64; 3] = [1, 5, 0];
