//! The API, without a token and with tokens.

use bytes::Bytes;
use deputy::{config::Config, host::FetchError};
use http::{Response, StatusCode};
use url::Url;

use super::{
    check::{Finding, Group, Seen, Unknown},
    network::unreachable,
};
use crate::management::Probe;

/// The API, and a path that needs a token.
pub(super) struct Api<'a> {
    pub(super) probe: &'a Probe,
    pub(super) config: &'a Config,
    pub(super) path: Option<&'a str>,
    /// A path that probably needs one, to propose.
    pub(super) example: Option<&'a str>,
}

impl Api<'_> {
    /// Without a token.
    pub(super) async fn finding(&self) -> Finding {
        let looked_at = format!("GET {} without a token", self.url());
        Finding::new(
            Group::Api,
            ("API", looked_at, "API_URL, --api-path (DOCTOR_API_PATH)"),
            Ok(self.without_a_token().await),
        )
    }

    async fn without_a_token(&self) -> Seen {
        let url = self.url();
        if Url::parse(&url).is_err() {
            return Seen::failure(format!("{url} is not a URL"), "correct --api-path (DOCTOR_API_PATH)");
        }
        let response = match self.get(None).await {
            Err(error) => return unreachable(&url, "API_URL", &error),
            Ok(response) => response,
        };
        let status = response.status();
        let seen = format!("{url} responds with {} to a request without a token", status.as_u16());
        match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Seen::ok(seen),
            status if status.is_server_error() => Seen::failure(seen, "look at the log of the API"),
            _ if self.path.is_none() => {
                let example = self.example.map(|path| format!(", such as {path}")).unwrap_or_default();
                Seen::warning(
                    seen,
                    format!(
                        "name a path that needs a token with --api-path (DOCTOR_API_PATH){example}, and check again"
                    ),
                )
            }
            status if status.is_success() => {
                Seen::failure(seen, "protect this path: the API must require a token of PingOne")
            }
            _ => Seen::failure(seen, "correct API_URL, or --api-path (DOCTOR_API_PATH)"),
        }
    }

    /// With the access token of a user, and with the ID token, whose audience is not the API.
    pub(super) async fn findings_with(&self, access_token: &str, id_token: Option<&str>) -> Vec<Finding> {
        const PLACE: &str = "the API: its issuer, key set and audience";
        let accepts = self.judge(Some(access_token), |status| {
            Seen::failure_unless(
                !matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN),
                format!("it responds with {} to the user's access token", status.as_u16()),
                "let the API accept PINGONE_ISSUER, its key set, RS256, the audience API_IDENTIFIER, and typ at+jwt, or no typ",
            )
        });
        let refuses = self.judge(id_token, |status| {
            Seen::failure_unless(
                !status.is_success(),
                format!("it responds with {} to a token for another audience", status.as_u16()),
                "let the API compare aud with API_IDENTIFIER",
            )
        });
        let (accepts, refuses) = tokio::join!(accepts, refuses);
        vec![
            Finding::new(Group::Login, ("API with the token", "GET with the access token", PLACE), accepts),
            Finding::new(
                Group::Login,
                ("API with another audience", "GET with the ID token", PLACE),
                refuses,
            ),
        ]
    }

    async fn judge(&self, token: Option<&str>, judge: fn(StatusCode) -> Seen) -> Result<Seen, Unknown> {
        if self.path.is_none() {
            return Err(Unknown("--api-path (DOCTOR_API_PATH) names no path that needs a token".to_owned()));
        }
        let token = token.ok_or_else(|| Unknown("there is no such token".to_owned()))?;
        let response = self.get(Some(token)).await.map_err(|error| Unknown(error.to_string()))?;
        Ok(judge(response.status()))
    }

    async fn get(&self, token: Option<&str>) -> Result<Response<Bytes>, FetchError> {
        self.probe.get(&self.url(), token).await
    }

    fn url(&self) -> String {
        let base = self.config.api.url.as_str().trim_end_matches('/');
        match self.path {
            Some(path) => format!("{base}/{}", path.trim_start_matches('/')),
            None => self.config.api.url.to_string(),
        }
    }
}
