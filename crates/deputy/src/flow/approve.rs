//! `POST /approve`: what the person decided on the approval page.

use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};

use super::{authorize::is_to_be_remembered, login};
use crate::{
    host::StoreError,
    http::{Answer, cookies, set_cookie},
    oauth::{ApprovedClients, ErrorCode, Fetched, Handle, Params, approval_cookie, browser_is_bound},
    pages,
    records::{self, Approval, NoTicket},
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
    if !from_our_page(server, headers) {
        return Ok(refused("The decision did not come from the approval page."));
    }
    let cookies = cookies(headers);
    let is_bound = |handle: &Handle| browser_is_bound("approve", handle.as_str(), &cookies, &config.keys);
    let Approval { request, client_name } =
        match records::take_ticket(server.host(), &config.keys, handle, is_bound, now).await? {
            Ok(approval) => approval,
            Err(none) => return Ok(without_approval(none)),
        };
    let (approval_name, _) = approval_cookie(handle, &config.keys);
    let had_cookie = cookies.iter().any(|(name, _)| name == ApprovedClients::COOKIE);
    let mut approved = ApprovedClients::among(&cookies, &config.keys, now);
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
    } else if had_cookie {
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

/// The page for a decision that comes without an approval that waits for it.
fn without_approval(none: NoTicket) -> Answer {
    let (title, text) = match none {
        NoTicket::Expired => {
            ("This page has expired", "An approval page can be used for ten minutes, and this one is older.")
        }
        NoTicket::OtherBrowser => {
            return refused(
                "This page was not opened in this browser, or the browser did not keep its cookie.",
            );
        }
        NoTicket::Unknown => {
            return refused(
                "The decision did not come from an approval page of this server, or the server has got a new key since the \
                 page was opened.",
            );
        }
        NoTicket::Used => {
            ("This page was already answered", "The decision was taken before, and counts once.")
        }
    };
    tracing::info!(reason = title, "approval refused");
    let advice = "If the application is connected, there is nothing to do. Otherwise start again from the application.";
    pages::message(StatusCode::CONFLICT, title, text, advice)
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
