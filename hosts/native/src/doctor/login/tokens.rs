//! The tokens of the login.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use deputy::{
    config::Config,
    host::{FetchError, Timestamp},
    oidc::{AccessTokenClaims, Authentication, KeySet, TokenResponse, UserInfo, VerifiedIdToken},
};
use http::Response;
use serde_json::Value;

use crate::{
    doctor::check::{Check, Seen, Unknown},
    management::grace_remedy,
};

/// The result of a login.
pub(super) struct Login {
    pub(super) config: Config,
    /// The time before the authentication request.
    pub(super) requested_at: Timestamp,
    /// The time after the token response.
    pub(super) now: Timestamp,
    pub(super) authentication: Authentication,
    pub(super) keys: KeySet,
    pub(super) tokens: TokenResponse,
    pub(super) userinfo: Result<Response<Bytes>, FetchError>,
    /// The result of a refresh.
    pub(super) refreshed: Option<Result<TokenResponse, String>>,
    /// The result of a second refresh with the first refresh token.
    pub(super) repeated: Option<Result<(), String>>,
    /// Whether PingOne refuses a refresh after the revocation.
    pub(super) revoked: Option<bool>,
}

pub(super) const CHECKS: &[Check<Login>] = &[
    Check {
        name: "ID token",
        looked_at: "signature, iss, aud, nonce, acr, exp",
        place: "Applications → Deputy → Policies → DaVinci Policies",
        look: |login| Ok(id_token(login)),
    },
    Check {
        name: "acr",
        looked_at: "acr of the ID token",
        place: "Applications → Deputy → Policies → DaVinci Policies",
        look: acr,
    },
    Check {
        name: "new login",
        looked_at: "auth_time of the ID token, after a request with prompt=login",
        place: "DaVinci → Flows → your flow",
        look: new_login,
    },
    Check {
        name: "access token",
        looked_at: "signature, iss, aud, client_id, exp",
        place: "Applications → Resources → your API",
        look: |login| Ok(access_token(login)),
    },
    Check {
        name: "granted scopes",
        looked_at: "scope of the token response",
        place: "Applications → Deputy → Resources",
        look: |login| Ok(scopes(login)),
    },
    Check {
        name: "type of the access token",
        looked_at: "typ of the access token",
        place: "Applications → Deputy → Configuration",
        look: |login| {
            let kind =
                part(login.tokens.access_token.expose(), 0)["typ"].as_str().unwrap_or("missing").to_owned();
            let later = if kind.eq_ignore_ascii_case("at+jwt") {
                ""
            } else {
                "; PingOne sends at+jwt from 2027-03-02, and the API must accept it"
            };
            Ok(Seen::ok(format!("it is {kind}{later}")))
        },
    },
    Check {
        name: "UserInfo",
        looked_at: "sub of UserInfo and of the ID token",
        place: "DaVinci → Flows → your flow → Return Success Response (Redirect Flows) → ID Token Claims",
        look: userinfo,
    },
    Check {
        name: "refresh token",
        looked_at: "refresh_token of the token response",
        place: "Applications → Deputy → Configuration → Refresh Token Format",
        look: |login| {
            let fix = "enable Refresh Token, and allow the scope offline_access";
            let Some(token) = &login.tokens.refresh_token else {
                return Ok(Seen::failure("PingOne issues no refresh token", fix));
            };
            let is_jwt = token.expose().split('.').count() == 3;
            let fix = "set the format to Opaque: PingOne ends JWT refresh tokens on 2027-03-02";
            Ok(Seen::warning_unless(!is_jwt, if is_jwt { "it is a JWT" } else { "it is opaque" }, fix))
        },
    },
    Check {
        name: "refresh",
        looked_at: "token endpoint: a refresh",
        place: "Applications → Deputy → Configuration → Grant Type",
        look: refresh,
    },
    Check {
        name: "grace period",
        looked_at: "token endpoint: the same refresh again",
        place: "Applications → Deputy → Configuration → Refresh Token Rolling Grace Period",
        look: |login| match &login.repeated {
            None => Err(Unknown("the refresh token was not rotated".to_owned())),
            Some(Ok(())) => Ok(Seen::ok("PingOne accepts a rotated refresh token for a while")),
            Some(Err(_)) => {
                Ok(Seen::warning("PingOne refuses a rotated refresh token at once", grace_remedy()))
            }
        },
    },
    Check {
        name: "revocation",
        looked_at: "revocation endpoint, then a refresh",
        place: "",
        look: |login| {
            let revoked = login
                .revoked
                .ok_or_else(|| Unknown("there is no refresh token, or no revocation endpoint".to_owned()))?;
            let seen = if revoked {
                "the login of this check has ended"
            } else {
                "a refresh works after the revocation"
            };
            Ok(Seen::failure_unless(revoked, seen, "look into the audit of PingOne"))
        },
    },
];

fn id_token(login: &Login) -> Seen {
    let Some(token) = &login.tokens.id_token else {
        let fix = "let the application be an OIDC web app";
        return Seen::failure("PingOne issues no ID token", fix);
    };
    match verified(login, token.expose()) {
        Ok(_) => Seen::ok("Deputy accepts it"),
        Err(_) if acr_differs(login, token.expose()) => Seen::ok("Deputy accepts it, except for its acr"),
        Err(error) => Seen::failure(error.to_string(), "compare the groups configuration and client"),
    }
}

fn verified(login: &Login, token: &str) -> Result<VerifiedIdToken, deputy::oidc::IdTokenError> {
    let access_token = login.tokens.access_token.expose();
    let Login { authentication, config, keys, now, .. } = login;
    VerifiedIdToken::verify(token, access_token, keys, &config.pingone, authentication, *now)
}

fn acr_differs(login: &Login, token: &str) -> bool {
    matches!(verified(login, token), Err(deputy::oidc::IdTokenError::Acr))
}

fn acr(login: &Login) -> Result<Seen, Unknown> {
    let token = login.tokens.id_token.as_ref().ok_or_else(|| Unknown("there is no ID token".to_owned()))?;
    let claims = part(token.expose(), 1);
    let acr = claims["acr"].as_str().unwrap_or("missing");
    let is_policy = acr == login.config.pingone.policy_id;
    let fix = "assign the flow policy PINGONE_DV_POLICY_ID alone: another policy may not ask for consent";
    Ok(Seen::failure_unless(is_policy, format!("it is {acr}"), fix))
}

/// Whether a login with `prompt=login` proves that it is a new one.
fn new_login(login: &Login) -> Result<Seen, Unknown> {
    let token = login.tokens.id_token.as_ref().ok_or_else(|| Unknown("there is no ID token".to_owned()))?;
    let auth_time = part(token.expose(), 1)["auth_time"].as_u64();
    let is_new = auth_time.is_some_and(|time| time.saturating_add(CLOCKS) >= login.requested_at.0);
    let seen = match auth_time {
        _ if is_new => "auth_time is that of the new login",
        Some(_) => {
            "auth_time is before the request: the flow asked for no login, or keeps the time of an earlier one"
        }
        None => "there is no auth_time, so Deputy cannot tell a new login from an earlier one",
    };
    let fix = "let the flow ask for a login at prompt=login; with PINGONE_PAR=on, Deputy relies on that, and without it on auth_time, \
               since the browser could have removed the prompt";
    Ok(Seen::warning_unless(is_new, seen, fix))
}

fn access_token(login: &Login) -> Seen {
    let token = login.tokens.access_token.expose();
    match AccessTokenClaims::verify(token, &login.keys, &login.config, login.now) {
        Ok(claims) => Seen::ok(format!("aud is {}", claims.audience.join(", "))),
        Err(error) => Seen::failure(
            format!("{error}; aud is {}", part(token, 1)["aud"]),
            "set API_IDENTIFIER to the audience of the resource, and grant the application its scopes",
        ),
    }
}

fn scopes(login: &Login) -> Seen {
    let Some(granted) = &login.tokens.scope else {
        return Seen::ok("those that were requested");
    };
    let granted: Vec<_> = granted.split(' ').collect();
    let missing: Vec<_> = login.config.api.scopes.iter().filter(|scope| !granted.contains(scope)).collect();
    let seen = if missing.is_empty() { granted.join(" ") } else { format!("missing: {}", missing.join(" ")) };
    let fix = "grant the application every scope of API_SCOPES, and do not reduce scopes in the flow";
    Seen::failure_unless(missing.is_empty(), seen, fix)
}

fn userinfo(login: &Login) -> Result<Seen, Unknown> {
    let token = login.tokens.id_token.as_ref().ok_or_else(|| Unknown("there is no ID token".to_owned()))?;
    let claims = part(token.expose(), 1);
    let response = login.userinfo.as_ref().map_err(|error| Unknown(error.to_string()))?;
    Ok(match UserInfo::read(response, claims["sub"].as_str().unwrap_or_default()) {
        Ok(_) => Seen::ok("its sub is that of the ID token"),
        Err(error @ deputy::oidc::UserInfoError::Subject) => {
            Seen::failure(error.to_string(), "do not set sub in the ID token claims of the flow")
        }
        Err(error @ deputy::oidc::UserInfoError::Malformed) => Seen::warning(
            format!("{error} (status {})", response.status().as_u16()),
            "look into the audit of PingOne: logins work without it, and their pages lack the user's name",
        ),
    })
}

fn refresh(login: &Login) -> Result<Seen, Unknown> {
    let old =
        login.tokens.refresh_token.as_ref().ok_or_else(|| Unknown("there is no refresh token".to_owned()))?;
    Ok(match &login.refreshed {
        None => return Err(Unknown("it was not tried".to_owned())),
        Some(Err(error)) => Seen::failure(error, "enable Refresh Token in the application"),
        Some(Ok(response)) => {
            let rotates = response.refresh_token.as_ref().is_some_and(|new| new.expose() != old.expose());
            let seen = if rotates {
                "PingOne refreshes the tokens, and rotates the refresh token"
            } else {
                "PingOne refreshes the tokens, and does not rotate the refresh token"
            };
            Seen::warning_unless(rotates, seen, "turn replay protection on in the application")
        }
    })
}

/// Seconds by which the clocks of PingOne and of this computer may differ, as at a login.
const CLOCKS: u64 = 60;

/// The header (0) or the claims (1) of a token, for the operator to see. They are not verified.
fn part(token: &str, at: usize) -> Value {
    let part = token.split('.').nth(at).and_then(|part| URL_SAFE_NO_PAD.decode(part).ok());
    part.and_then(|part| serde_json::from_slice(&part).ok()).unwrap_or_default()
}
