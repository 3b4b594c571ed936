//! Why a tool gets no response of the API, in words that can be shown to a model.

use std::fmt;

use http::{HeaderMap, Response, StatusCode, header};

use crate::{host::Timestamp, http::list, retry::retry_after};

/// Why a tool gets no response of the API. Safe to show to a model: the only text in it from elsewhere are names of
/// scopes, which are checked. With rmcp, a tool that returns it as its error gives a result with `isError` and this
/// text.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ApiError {
    /// `429` or `503`: the API is busy.
    Busy {
        /// Seconds until the API accepts the next request, from `Retry-After` or `RateLimit`.
        retry_after: Option<u64>,
    },
    /// The API requires a token with more scopes (RFC 6750 §3.1).
    InsufficientScope {
        /// The scopes that the challenge names. Empty if it does not name them.
        scopes: Vec<String>,
    },
    /// The user's login at `PingOne` has ended.
    LoginRequired,
    /// The request's URI is not a path below `API_URL`.
    NotTheApi,
    /// The API responds with `401` to a token that `PingOne` has just issued. The login has not ended: the API has a
    /// problem, or is configured for other tokens.
    Refused,
    /// Deputy could not read or write its own records, so it did not send the request. Trying again later may help.
    Storage,
    /// The response of the API did not arrive in time, or not whole.
    NoResponse {
        /// Whether the request may have changed something: its method is not safe (RFC 9110 §9.2.1).
        may_change: bool,
    },
    /// The access token has expired, and `PingOne` issues no new one at the moment.
    TokenUnavailable {
        /// Seconds after which to try again.
        retry_after: u64,
    },
    /// The response of the API is larger than Deputy accepts.
    TooLarge,
    /// The API could not be reached. Trying again later may help.
    Unavailable,
}

impl std::error::Error for ApiError {}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Busy { retry_after: None | Some(0) } => f.write_str("The API is busy. Try again later."),
            Self::Busy { retry_after: Some(seconds) } => {
                write!(f, "The API is busy. Try again in {seconds} seconds, and not before.")
            }
            Self::InsufficientScope { scopes } if scopes.is_empty() => {
                f.write_str("The API refuses this: the user's token lacks a scope that it needs.")
            }
            Self::InsufficientScope { scopes } => write!(
                f,
                "The API refuses this: it needs the scope {}, which the user's token does not have. The user can grant it \
                 by connecting again.",
                scopes.join(" ")
            ),
            Self::LoginRequired => {
                f.write_str("The user's login at PingOne has ended. The user has to log in again.")
            }
            Self::NotTheApi => f.write_str("The request does not go to the API."),
            Self::Refused => f.write_str(
                "The API refuses the user's token, although PingOne has just issued it. The user need not log in again: \
                 try again later, and tell the operator of the API if this lasts.",
            ),
            Self::Storage => f.write_str(
                "This server has a problem with its own storage at the moment, so the API was not asked. Try again later.",
            ),
            Self::NoResponse { may_change: true } => {
                f.write_str("The response of the API did not arrive. The API may have made the change.")
            }
            Self::NoResponse { may_change: false } => {
                f.write_str("The response of the API did not arrive. Try again later.")
            }
            Self::TokenUnavailable { retry_after } => write!(
                f,
                "PingOne issues no new token for the user at the moment. Try again in {retry_after} seconds. If this \
                 lasts, the user can connect again."
            ),
            Self::TooLarge => f.write_str("The response of the API is too large. Ask for less."),
            Self::Unavailable => f.write_str("The API cannot be reached at the moment. Try again later."),
        }
    }
}

impl rmcp::model::IntoContents for ApiError {
    fn into_contents(self) -> Vec<rmcp::model::ContentBlock> {
        vec![rmcp::model::ContentBlock::text(self.to_string())]
    }
}

impl ApiError {
    /// The response, unless the API refuses the token or is busy.
    pub(super) fn check<T>(response: Response<T>, now: Timestamp) -> Result<Response<T>, Self> {
        match response.status() {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN if lacks_scope(&response) => {
                Err(Self::InsufficientScope { scopes: challenged_scopes(response.headers()) })
            }
            StatusCode::UNAUTHORIZED => Err(Self::Refused),
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                Err(Self::Busy { retry_after: retry_after(&response, now) })
            }
            _ => Ok(response),
        }
    }
}

/// Whether the API refuses the token for its scopes (RFC 6750 §3.1). A new token would not help.
pub(crate) fn lacks_scope<T>(response: &Response<T>) -> bool {
    parameters(response.headers(), "error").any(|error| error == "insufficient_scope")
}

/// The scopes that a challenge names, without values that are not scopes (RFC 6749 appendix A.4).
fn challenged_scopes(headers: &HeaderMap) -> Vec<String> {
    let is_scope = |scope: &&str| {
        (1..=100).contains(&scope.len())
            && scope.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\')
    };
    let named = parameters(headers, "scope").next().unwrap_or_default();
    named.split(' ').filter(is_scope).take(20).map(str::to_owned).collect()
}

/// The values of a parameter in the challenges (RFC 9110 §11.6.1).
fn parameters<'a>(headers: &'a HeaderMap, name: &'a str) -> impl Iterator<Item = String> {
    list(headers, &header::WWW_AUTHENTICATE).filter_map(move |part| {
        // A parameter that is not ASCII, such as a description, does not affect the others.
        let part = String::from_utf8_lossy(part);
        // The first parameter of a challenge follows its scheme.
        let (named, value) = part.split_once('=')?;
        let named = named.trim().rsplit(' ').next()?;
        named.eq_ignore_ascii_case(name).then(|| value.trim().trim_matches('"').to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(status: u16, headers: &[(&str, &str)]) -> Response<()> {
        let mut response = Response::builder().status(status);
        for (name, value) in headers {
            response = response.header(*name, *value);
        }
        response.body(()).unwrap()
    }

    fn error(status: u16, headers: &[(&str, &str)]) -> Option<ApiError> {
        ApiError::check(response(status, headers), Timestamp(784_111_770)).err()
    }

    #[test]
    fn scopes_of_challenge_are_read_in_every_notation() {
        let scopes = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        for (challenge, named) in [
            (
                r#"Bearer error="insufficient_scope", scope="todo:read todo:write""#,
                scopes(&["todo:read", "todo:write"]),
            ),
            (r#"Bearer realm="a, b", scope="x", error=insufficient_scope"#, scopes(&["x"])),
            (r#"Basic realm="x", Bearer ERROR="insufficient_scope""#, vec![]),
        ] {
            let expected = Some(ApiError::InsufficientScope { scopes: named });
            for status in [401, 403] {
                assert_eq!(error(status, &[("www-authenticate", challenge)]), expected, "{challenge}");
            }
        }
    }

    #[test]
    fn scopes_of_challenge_with_foreign_bytes_are_read() {
        for description in [&b"\xc3\xa9"[..], b"\xe9", b"\xff \\\", scope=\\\"y"] {
            let value =
                [b"Bearer error_description=\"", description, b"\", scope=\"x\", error=insufficient_scope"];
            let mut refused = response(403, &[]);
            let value = http::HeaderValue::from_bytes(&value.concat()).unwrap();
            refused.headers_mut().insert(header::WWW_AUTHENTICATE, value);
            let error = ApiError::check(refused, Timestamp(0)).err();
            assert_eq!(error, Some(ApiError::InsufficientScope { scopes: vec!["x".to_owned()] }));
        }
    }

    #[test]
    fn busy_api_error_says_when_to_try_again() {
        for (name, value) in [
            ("retry-after", "7"),
            ("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT"),
            ("ratelimit", "\"default\";r=0;t=7"),
        ] {
            for status in [429, 503] {
                let error = error(status, &[(name, value)]).expect("an error");
                assert_eq!(error, ApiError::Busy { retry_after: Some(7) });
                assert!(error.to_string().contains("Try again in 7 seconds"), "{error}");
            }
        }
        assert_eq!(error(429, &[]), Some(ApiError::Busy { retry_after: None }));
        let at_once = error(429, &[("retry-after", "0")]).expect("an error");
        assert_eq!(at_once.to_string(), "The API is busy. Try again later.");
    }

    #[test]
    fn other_error_responses_are_returned_to_the_tool() {
        let invalid =
            [("www-authenticate", r#"Bearer error="invalid_token", error_description="insufficient_scope""#)];
        assert_eq!(error(401, &invalid), Some(ApiError::Refused));
        for status in [200, 302, 403, 404, 500, 502] {
            assert_eq!(error(status, &[]), None, "{status}");
        }
    }
}
