//! PingOne's documents, as an unauthenticated client sees them.

use bytes::Bytes;
use deputy::{
    config::Config,
    host::{FetchError, Timestamp},
    http_date,
    oidc::{Discovery, KeySet, clocks_differ},
};
use http::{Response, header};
use serde_json::Value;

use super::check::{Check, Finding, Group, Seen, Unknown, judge};
use crate::management::Probe;

/// PingOne's discovery document and key set.
pub(super) struct Documents {
    pub(super) discovery: Result<Discovery, Seen>,
    /// The discovery document, with all of its members.
    pub(super) members: Value,
    issuer: String,
    /// The method of client authentication.
    method: &'static str,
    /// Seconds by which the clock of this computer is ahead of PingOne's, if a response tells its time.
    ahead: Option<i64>,
    keys: Option<Result<Response<Bytes>, FetchError>>,
}

impl Documents {
    pub(super) async fn read(probe: &Probe, config: &Config) -> Self {
        let issuer = config.pingone.issuer.as_str();
        let mut documents = Self {
            discovery: Err(Seen::failure("the issuer is not a URL", FIX)),
            members: Value::Null,
            issuer: issuer.to_owned(),
            method: config.pingone.client_auth.method(),
            ahead: None,
            keys: None,
        };
        let Some(request) = Discovery::request(issuer) else { return documents };
        let response = match probe.fetch(request).await {
            Ok(response) => response,
            Err(error) => {
                documents.discovery = Err(unreachable(issuer, "PINGONE_ISSUER", &error));
                return documents;
            }
        };
        documents.ahead = pingone_time(&response).map(|date| probe.host().now().ahead_of(date));
        documents.members = serde_json::from_slice(response.body()).unwrap_or_default();
        documents.discovery =
            Discovery::read(&response, issuer).map_err(|error| Seen::failure(error.to_string(), FIX));
        if let Ok(discovery) = &documents.discovery {
            documents.keys = Some(probe.get(discovery.jwks_uri.as_str(), None).await);
        }
        documents
    }

    pub(super) fn findings(&self) -> Vec<Finding> {
        judge(Group::Network, CHECKS, self)
    }

    fn valid(&self) -> Result<&Discovery, Unknown> {
        self.discovery.as_ref().map_err(|_| Unknown("PingOne's discovery document cannot be used".to_owned()))
    }

    /// Whether the discovery document has no such list, or a list with the value.
    fn lists(&self, name: &str, value: &str) -> Result<bool, Unknown> {
        self.valid()?;
        let list = self.members[name].as_array();
        Ok(list.is_none_or(|list| list.iter().any(|held| held == value)))
    }
}

const CHECKS: &[Check<Documents>] = &[
    Check {
        name: "discovery",
        looked_at: "<PINGONE_ISSUER>/.well-known/openid-configuration",
        place: "Applications → Deputy → Overview → Issuer ID",
        look: |documents| {
            Ok(match &documents.discovery {
                Ok(_) => Seen::ok(format!("{} names its endpoints", documents.issuer)),
                Err(seen) => seen.clone(),
            })
        },
    },
    Check { name: "keys", looked_at: "jwks_uri", place: "Settings → Key Rotation Policies", look: keys },
    Check {
        name: "clock",
        looked_at: "Date of the discovery response",
        place: "this computer",
        look: |documents| {
            if documents.ahead.is_none() {
                documents.valid()?;
            }
            Ok(clock(documents.ahead))
        },
    },
    Check {
        name: "signing algorithm",
        looked_at: "id_token_signing_alg_values_supported",
        place: "",
        look: |documents| {
            let lists = documents.lists("id_token_signing_alg_values_supported", "RS256")?;
            Ok(Seen::failure_unless(
                lists,
                if lists { "RS256 is offered" } else { "RS256 is not offered" },
                "set PINGONE_ISSUER to the issuer of a PingOne environment",
            ))
        },
    },
    Check {
        name: "PKCE",
        looked_at: "code_challenge_methods_supported",
        place: "",
        look: |documents| {
            let lists = documents.lists("code_challenge_methods_supported", "S256")?;
            Ok(Seen::failure_unless(
                lists,
                if lists { "S256 is offered" } else { "S256 is not offered" },
                "set PINGONE_ISSUER to the issuer of a PingOne environment",
            ))
        },
    },
    Check {
        name: "authentication methods",
        looked_at: "token_endpoint_auth_methods_supported",
        place: "PINGONE_CLIENT_AUTH",
        look: |documents| {
            let method = documents.method;
            let lists = documents.lists("token_endpoint_auth_methods_supported", method)?;
            Ok(Seen::failure_unless(
                lists,
                format!("{method} is {}offered", if lists { "" } else { "not " }),
                "set PINGONE_CLIENT_AUTH to another method",
            ))
        },
    },
];

fn keys(documents: &Documents) -> Result<Seen, Unknown> {
    let url = documents.valid()?.jwks_uri.as_str();
    Ok(match &documents.keys {
        None => return Err(Unknown("they were not fetched".to_owned())),
        Some(Err(error)) => unreachable(url, "PINGONE_ISSUER", error),
        Some(Ok(response)) if KeySet::read(response).is_some() => {
            Seen::ok(format!("{url} has keys that Deputy can use"))
        }
        Some(Ok(response)) => Seen::failure(
            format!("{url} has no keys that Deputy can use (status {})", response.status().as_u16()),
            "let the application in PingOne sign with RS256, and look at PingOne's status page",
        ),
    })
}

fn clock(ahead: Option<i64>) -> Seen {
    match ahead {
        None => Seen::warning(
            "PingOne's response does not tell its time",
            "compare the clock of this computer with another source, such as NTP",
        ),
        Some(ahead) if ahead.unsigned_abs() > TOLERATED => Seen::failure(
            clocks_differ(ahead),
            "set the clock of this computer, or let NTP do so: logins fail otherwise",
        ),
        Some(ahead) => Seen::ok(format!("it differs from PingOne's by {} s", ahead.unsigned_abs())),
    }
}

/// The time of the server that just made the response, unless a cache kept it.
fn pingone_time(response: &Response<Bytes>) -> Option<Timestamp> {
    let date =
        response.headers().get(header::DATE).filter(|_| !response.headers().contains_key(header::AGE))?;
    http_date(date)
}

pub(super) fn unreachable(url: &str, variable: &str, error: &FetchError) -> Seen {
    let fix = format!("check {variable}, and the network, DNS and certificates of this computer");
    Seen::failure(format!("{url}: {error}"), fix)
}

const FIX: &str = "copy PINGONE_ISSUER from the application in PingOne, with its region and environment";

/// Seconds by which the clocks may differ.
const TOLERATED: u64 = 30;
