//! The likely cause of a login that ended, and a way to mend it.

use crate::host::LoginStep as Step;

/// The cause and the remedy for a login of which the next step never came. `none_returned`: no login came back from `PingOne`.
pub(super) fn for_silence(at: Step, none_returned: bool) -> (&'static str, &'static str) {
    match at {
        Step::Approval | Step::Authorize => (
            "the user closed the approval page or left it open for longer than ten minutes",
            "ask the user to connect again, and to decide within ten minutes",
        ),
        Step::Pingone if none_returned => (
            "no login comes back from PingOne: PUBLIC_URL/callback is probably not a redirect URI of the application at PingOne",
            "run `deputy doctor`, which prints the redirect URI, and add it to the application in PingOne",
        ),
        Step::Pingone => (
            "the browser did not come back from PingOne within ten minutes: the user closed the window or did not finish \
             the DaVinci flow",
            "ask the user to connect again; if it happens to many users, look at the log of the DaVinci flow, and whether \
             PUBLIC_URL/callback is a redirect URI of the application in PingOne",
        ),
        Step::Callback => (
            "the login was cut off after the browser came back from PingOne: Deputy stopped, or was killed",
            "ask the user to connect again; look for a restart in the log",
        ),
        Step::Redemption | Step::Refresh => (
            "the client never redeemed its code: it was closed, it could not receive the redirect, or it cannot reach PUBLIC_URL",
            "ask the user whether the application was still running; check that it can reach PUBLIC_URL, and that its redirect \
             URI leads to it",
        ),
    }
}

/// A way to mend a refusal with this code, where the reason does not say it.
pub(super) fn for_refusal(at: Step, code: &str) -> Option<&'static str> {
    let fix = match (at, code) {
        (Step::Authorize, "not_registered") => {
            "remove the server in the application and add it again, so that it registers again; registrations end with the \
             SERVER_KEY and the PUBLIC_URL that they were made with"
        }
        (Step::Authorize, "document" | "url") => {
            "open the client_id in a browser; let Deputy reach it through the firewall or proxy, or set \
             CLIENT_ID_METADATA_DOCUMENTS=off, so that clients register instead"
        }
        (Step::Authorize, "redirect_uri") => {
            "compare redirect_uri with those that the client registered; a changed one needs a new registration"
        }
        (Step::Authorize, "not_admitted" | "host") => NOT_ADMITTED,
        (Step::Authorize, "private_use") => {
            "add the redirect URI to PRIVATE_USE_REDIRECT_URIS, or use a client with an https or loopback address"
        }
        (Step::Authorize, "own_origin" | "client_id") => {
            "the client sends a wrong request: report it to its publisher"
        }
        (Step::Authorize | Step::Redemption, "blocked") => {
            "`deputy clients blocked` has the list, and `deputy clients unblock` admits the client again"
        }
        (Step::Authorize, "background") => {
            "connect from the application, not from a page that embeds this server"
        }
        (Step::Authorize, "scope") => {
            "ask the client for scopes of API_SCOPES, or add the scope there and in PingOne"
        }
        (Step::Authorize, "resource") => "connect the client to the URL that ends with /mcp under PUBLIC_URL",
        (
            Step::Authorize,
            "login_hint" | "max_age" | "pkce" | "repeated" | "response_mode" | "response_type" | "state",
        ) => "the client does not follow OAuth 2.1: update it, or report it to its publisher",
        (Step::Approval | Step::Callback, "expired") => {
            "ask the user to connect again, and to finish within ten minutes"
        }
        (Step::Approval | Step::Callback, "other_browser") => {
            "use one browser window for the whole login, allow cookies of this server, and do not open the link in a private window"
        }
        (Step::Approval | Step::Callback, "used") => {
            "the user went back, or reloaded the page; connect again if it is not connected"
        }
        (Step::Approval, "origin" | "form") => {
            "the form was not sent by the approval page: a proxy or an extension changed it"
        }
        (Step::Approval, "nothing_left") => "the user unchecked every scope; ask for at least one",
        (Step::Pingone, _) | (Step::Callback, "discovery" | "fetch" | "keys" | "not_yet") => {
            "run `deputy doctor`: PINGONE_ISSUER must be reachable from here, and right"
        }
        (Step::Callback, "token") => {
            "compare PINGONE_CLIENT_ID and PINGONE_CLIENT_SECRET with the application in PingOne"
        }
        (Step::Callback, "no_scopes") => {
            "grant the scopes of API_SCOPES to the application in PingOne, under Resources"
        }
        (Step::Callback, "access_token") => {
            "compare API_IDENTIFIER with the audience of the resource in PingOne, and the clocks"
        }
        (Step::Callback, "id_token") => {
            "compare PINGONE_ISSUER, PINGONE_CLIENT_ID and PINGONE_DV_POLICY_ID with the application in PingOne, and the clocks"
        }
        (Step::Callback, "no_id_token" | "user_info") => {
            "the application in PingOne must be an OIDC web app with the scope openid"
        }
        (
            Step::Callback,
            "failed"
            | "interaction"
            | "not_logged_in"
            | "other"
            | "request"
            | "response_type"
            | "scope"
            | "target"
            | "unauthorized_client",
        ) => {
            "correct what the cause names; the log line of this login has PingOne's correlation id, which PingOne's audit and the \
             log of the DaVinci flow can be searched for"
        }
        (Step::Callback, "denied") => "the user declined at PingOne: ask them",
        (Step::Callback, "unavailable") => "wait for PingOne; https://status.pingidentity.com has its state",
        (Step::Callback, "expired_token") => {
            "compare the clocks, and the lifetime of access tokens of the resource in PingOne"
        }
        (Step::Callback, "params") => {
            "the browser was sent to /callback by something other than PingOne, or a proxy drops the query"
        }
        (Step::Redemption, "verifier" | "redirect_uri" | "client" | "replayed" | "unknown") => {
            "the client mixes up its logins, or sends the code twice: update it, or report it to its publisher"
        }
        (Step::Redemption, "ended" | "expired") => {
            "the client took longer than two minutes: look for a proxy or a sleep on its side"
        }
        (Step::Redemption, "client_authentication") => {
            "the client uses another client_id or secret than it registered: remove the server in it and add it again"
        }
        _ => return None,
    };
    Some(fix)
}

const NOT_ADMITTED: &str = "add the client to CLIENTS, or its host to CLIENT_HOSTS; DYNAMIC_CLIENT_REGISTRATION=on lets clients register";
