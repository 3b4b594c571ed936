//! `GET /authorize`: check the request, then ask the person, or go on at once if this browser approved it before.

use std::{fmt::Display, net::IpAddr};

use http::{HeaderMap, StatusCode};

use super::{client, login};
use crate::{
    config::ClientApproval,
    encoding::base64url_encode,
    host::StoreError,
    http::{Answer, cookies, redirect, set_cookie},
    oauth::{
        ApprovedClients, AuthorizationRequest, AuthorizeError, Client, ClientIdUrl, Fetched, Handle, Params,
        approval_cookie, presentable,
    },
    pages,
    records::{self, Approval},
    seal::random_bytes,
    server::Server,
};

pub(crate) async fn authorize(
    server: &Server,
    headers: &HeaderMap,
    source: Option<IpAddr>,
    query: &str,
) -> Result<Answer, StoreError> {
    let now = server.now();
    let params = Params::decode(query.as_bytes());
    let id = match AuthorizationRequest::client_id(&params) {
        Ok(id) => id,
        Err(error) => return Ok(refused(error)),
    };
    let client = match client::client(server, id, source, now).await? {
        Ok(client) => client,
        Err(unknown) => return Ok(unknown_client(unknown, id)),
    };
    let request = match AuthorizationRequest::parse(&params, &client, &server.config) {
        Ok(request) => request,
        Err(AuthorizeError::Page(error)) => return Ok(refused(error)),
        Err(AuthorizeError::Redirect { target, error }) => {
            tracing::info!(client = client.id, %error, "authorization request refused");
            let description = error.to_string();
            let answer = [("error", error.code().as_str()), ("error_description", description.as_str())];
            return Ok(redirect(&target.answer(server.config.public_url.issuer(), &answer)));
        }
    };
    if remembered(server, headers, &request, &client) {
        return login::begin(server, request, client.name, now).await;
    }
    let handle = records::new_handle::<Approval>(server.host(), &server.config.keys, now);
    let nonce = base64url_encode(&random_bytes::<16>(&server.random()));
    let told = (is_to_be_remembered(server, &request), server.config.api.reveal_token);
    let mut page = pages::approve(&request, &client, (handle.as_str(), &nonce), &server.wording, told);
    let (name, value) = approval_cookie(handle.as_str(), &server.config.keys);
    set_cookie(&mut page, &name, &value, Handle::LIFETIME);
    records::put_ticket(server.host(), &handle, &Approval { request, client_name: client.name }, now).await?;
    Ok(page)
}

/// Whether this browser has approved exactly this, and no page sent it here. A site that could send a user through silently
/// could collect codes for a client that it controls. Deputy's own pages count as such a site, since they redirect to
/// addresses that clients chose.
fn remembered(server: &Server, headers: &HeaderMap, request: &AuthorizationRequest, client: &Client) -> bool {
    let fetched = Fetched::parse(headers.get("sec-fetch-site").map(http::HeaderValue::as_bytes));
    if request.terms.ask_again || !is_to_be_remembered(server, request) || fetched != Fetched::Directly {
        return false;
    }
    let approved = ApprovedClients::among(&cookies(headers), &server.config.keys, server.now());
    approved.cover(request, client.name.as_deref())
}

/// Whether what is approved now may be used again without the page: where the operator wants that for such a redirect URI,
/// and not for a client with a document, which anybody can present.
///
/// A browser that a program opened does not say where a redirect on the way came from: it still says that nobody sent it. So
/// a link can be silent that the person did not mean, and a new code goes to the client's own redirect URI. On a loopback
/// address it stays on this computer, with a program that the person has approved at that port. A hosted client may have one
/// registration for all of its users, and is safe only if it ties `state` to a session and checks `iss` (RFC 9207); a
/// private-use scheme leads to whichever application claims it (RFC 8252 §8.6). These are remembered with
/// `CLIENT_APPROVAL=remember` only.
pub(super) fn is_to_be_remembered(server: &Server, request: &AuthorizationRequest) -> bool {
    let admitted = match server.config.client_approval {
        ClientApproval::Always => false,
        ClientApproval::Loopback => request.target.redirect_uri().is_loopback(),
        ClientApproval::Remember => true,
    };
    admitted && !ClientIdUrl::is_meant(request.target.client_id())
}

fn refused(error: impl Display) -> Answer {
    tracing::info!(%error, "authorization request refused");
    pages::message(
        StatusCode::BAD_REQUEST,
        "This link cannot be used",
        &error.to_string(),
        "Nothing was sent to the application. Start the connection again from the application itself; if it keeps its \
         registrations, remove this server there first and add it again.",
    )
}

fn unknown_client(unknown: client::Unknown, id: &str) -> Answer {
    // Text of another form may be a secret that the application sends in the wrong place, and is not for the log.
    let logged = (records::is_client_id(id) || ClientIdUrl::is_meant(id)).then(|| presentable(id)).flatten();
    tracing::info!(client = logged, error = %unknown, "authorization request refused");
    // Shown so that a person finds it in what the application keeps.
    let id = presentable(id).unwrap_or_default();
    let text = format!("{unknown} Its client_id is {id}");
    pages::message(StatusCode::BAD_REQUEST, unknown.title(), &text, unknown.advice())
}
