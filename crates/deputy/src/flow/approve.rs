//! `POST /approve`: what the person decided on the approval page.

use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};

use super::{authorize::is_to_be_remembered, login};
use crate::{
    host::StoreError,
    http::{Answer, cookies, set_cookie},
    oauth::{ApprovedClients, ErrorCode, Fetched, Params, approval_cookie, browser_is_bound},
    pages,
    records::{self, Approval},
    server::Server,
};

pub(crate) async fn approve(server: &Server, headers: &HeaderMap, form: Bytes) -> Result<Answer, StoreError> {
    let now = server.now();
    let (config, params) = (&server.config, Params::decode(&form));
    let (Ok(Some(handle)), Ok(Some(decision @ ("approve" | "deny")))) =
        (params.one("handle"), params.one("decision"))
    else {
        return Ok(refused("The form that was sent is not the one of the approval page."));
    };
    if handle.len() != HANDLE || !from_our_page(server, headers) {
        return Ok(refused("The decision did not come from the approval page."));
    }
    let cookies = cookies(headers);
    if !browser_is_bound("approve", handle, &cookies, &config.keys) {
        return Ok(refused(
            "This page was answered before, or it was not opened in this browser, or the browser did not keep its cookie.",
        ));
    }
    let Some(Approval { request, client_name }) = records::take_ticket(server.host(), handle, now).await?
    else {
        const ANSWERED: &str = "This page was already answered";
        tracing::info!(reason = ANSWERED, "approval refused");
        return Ok(pages::message(
            StatusCode::CONFLICT,
            ANSWERED,
            "The decision was taken before, or more than ten minutes ago.",
            "If the application is connected, there is nothing to do. Otherwise start again from the application.",
        ));
    };
    let (approval_name, _) = approval_cookie(handle, &config.keys);
    let value =
        cookies.iter().find(|(name, _)| name == ApprovedClients::COOKIE).map(|(_, value)| value.as_str());
    let mut approved = ApprovedClients::parse(value, &config.keys, now);
    let mut response = if decision == "deny" {
        // Who denies takes back what they approved before.
        approved.forget(request.target.client_id());
        tracing::info!(client = request.target.client_id(), "the person denied a client");
        login::refused(server, &request.target, ErrorCode::AccessDenied, "the person denied the request")
    } else {
        if is_to_be_remembered(server, &request) {
            approved.add(&request, client_name.as_deref(), now);
        }
        login::begin(server, request, client_name, now).await?
    };
    if !approved.is_empty() {
        let value = approved.render(&config.keys);
        set_cookie(&mut response, ApprovedClients::COOKIE, &value, ApprovedClients::LIFETIME);
    } else if value.is_some() {
        set_cookie(&mut response, ApprovedClients::COOKIE, "", 0);
    }
    set_cookie(&mut response, &approval_name, "", 0);
    Ok(response)
}

/// Whether the browser, as far as it says, posts from our own page. The page's own policy makes browsers send
/// `Origin: null`; who has the handle and its cookie is then told apart by `Sec-Fetch-Site`.
fn from_our_page(server: &Server, headers: &HeaderMap) -> bool {
    let origin = headers.get(header::ORIGIN).map(http::HeaderValue::as_bytes);
    let ours = origin
        .is_none_or(|origin| origin == b"null" || origin == server.config.public_url.issuer().as_bytes());
    let site = headers.get("sec-fetch-site").map(http::HeaderValue::as_bytes);
    ours && (site.is_none() || Fetched::parse(site) == Fetched::FromUs)
}

fn refused(text: &str) -> Answer {
    tracing::info!(reason = text, "approval refused");
    pages::message(
        StatusCode::BAD_REQUEST,
        "Not approved",
        text,
        "Start the connection again from the application.",
    )
}

const HANDLE: usize = 43;
