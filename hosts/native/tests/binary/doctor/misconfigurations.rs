//! Misconfigurations, each with every alarm that it causes.

use pingone_sim::{Failure, Settings, Subscription, Tenant};
use serde_json::{Value, json};

use super::{
    healthy::{KEY_VARIABLES, WEBHOOK_VARIABLES, public_key, webhook},
    seeds::{Make, Seed},
};

pub(super) const SEEDS: &[Seed] = &[
    variables(
        "wrong client secret",
        &[("PINGONE_CLIENT_SECRET", "wrong-secret-of-the-client")],
        &["failure client: client secret"],
    ),
    variables(
        "other authentication method",
        &[("PINGONE_CLIENT_AUTH", "client_secret_post")],
        &["failure client: client secret", "failure tenant: client authentication"],
    ),
    Seed {
        name: "public key of another Deputy",
        make: Make::Tenant(|tenant| {
            let mut other = public_key();
            other["n"] = json!(other["n"].as_str().unwrap_or_default().replace('A', "B"));
            tenant.application.token_endpoint_auth_method = "PRIVATE_KEY_JWT".into();
            tenant.application.jwks = Some(json!({ "keys": [other] }));
        }),
        variables: &KEY_VARIABLES,
        alarms: &["failure client: client secret", "failure tenant: client key"],
    },
    variables(
        "client id of another application",
        &[("PINGONE_CLIENT_ID", "00000000-0000-4000-8000-000000000001")],
        &[
            "failure client: client secret",
            "failure client: authorization request",
            "failure tenant: application",
        ],
    ),
    variables(
        "id of another flow policy",
        &[("PINGONE_DV_POLICY_ID", "00000000000000000000000000000001")],
        &[
            "failure client: authorization request",
            "failure tenant: flow policy",
            "failure tenant: policy assignment",
        ],
    ),
    variables(
        "wrong audience",
        &[("API_IDENTIFIER", "https://other.example")],
        &["failure client: authorization request", "failure tenant: resource"],
    ),
    variables(
        "scope that the resource lacks",
        &[("API_SCOPES", "todo:read todo:admin")],
        &[
            "failure client: authorization request",
            "failure tenant: scopes of the resource",
            "failure tenant: granted scopes",
            "failure tenant: consent node",
        ],
    ),
    variables(
        "redirect URI of another address",
        &[("PUBLIC_URL", "https://deputy.example")],
        &[
            "failure client: authorization request",
            "failure tenant: redirect URIs",
            "warning tenant: Signoff URL",
        ],
    ),
    variables(
        "worker with a wrong secret",
        &[("PINGONE_WORKER_CLIENT_SECRET", "wrong-secret-of-the-worker")],
        &["failure tenant: worker"],
    ),
    variables("API that requires no token", &[("DOCTOR_API_PATH", "/open")], &["failure api: API"]),
    variables("API that is not there", &[("API_URL", "http://localhost:9")], &["failure api: API"]),
    settings(
        "clock a minute ahead",
        |settings| settings.clock_offset_seconds = 60,
        &["failure network: clock"],
    ),
    tenant(
        "disabled application",
        |tenant| tenant.application.enabled = false,
        &[
            "failure client: client secret",
            "failure client: authorization request",
            "failure tenant: application",
        ],
    ),
    tenant(
        "no grant type Refresh Token",
        |tenant| tenant.application.grant_types = vec!["AUTHORIZATION_CODE".to_owned()],
        &["failure client: refresh grant", "failure tenant: grant types"],
    ),
    tenant(
        "no grant type Authorization Code",
        |tenant| tenant.application.grant_types = vec!["REFRESH_TOKEN".to_owned()],
        &["failure client: authorization request", "failure tenant: grant types"],
    ),
    tenant(
        "PKCE optional",
        |tenant| tenant.application.pkce_enforcement = "OPTIONAL".into(),
        &["warning tenant: PKCE enforcement"],
    ),
    tenant(
        "redirect URI not registered",
        |tenant| tenant.application.redirect_uris = Some(vec!["https://other.example/callback".to_owned()]),
        &[
            "failure client: authorization request",
            "failure tenant: redirect URIs",
            "warning tenant: Signoff URL",
        ],
    ),
    tenant(
        "no Signoff URL",
        |tenant| tenant.application.post_logout_redirect_uris = Some(Vec::new()),
        &["warning tenant: Signoff URL"],
    ),
    tenant(
        "wildcards in redirect URIs",
        |tenant| tenant.application.allow_wildcard = true,
        &["warning tenant: redirect URIs"],
    ),
    tenant(
        "pushed authorization requests required",
        |tenant| tenant.application.par_requirement = "REQUIRED".into(),
        &["failure client: authorization request", "failure tenant: request objects"],
    ),
    tenant(
        "signed requests required",
        |tenant| tenant.application.require_signed_request = true,
        &["failure client: authorization request", "failure tenant: request objects"],
    ),
    tenant(
        "JWT refresh tokens",
        |tenant| tenant.application.refresh_token_type = "JSON_WEB_TOKEN".into(),
        &["warning tenant: refresh token type"],
    ),
    tenant(
        "no replay protection",
        |tenant| tenant.application.replay_protection = false,
        &["warning tenant: refresh token rotation"],
    ),
    settings(
        "no grace period",
        |settings| settings.refresh_grace_seconds = 0,
        &["warning tenant: refresh token rotation"],
    ),
    settings(
        "refresh tokens of a day",
        |settings| settings.refresh_token_seconds = 86_400,
        &["warning tenant: refresh token lifetime"],
    ),
    tenant(
        "no key rotation policy",
        |tenant| tenant.application.key_rotation_policy = false,
        &["warning tenant: signing key"],
    ),
    tenant(
        "scope not granted to the application",
        |tenant| tenant.application.api_scopes = Some(vec!["todo:read".to_owned()]),
        &["failure client: authorization request", "failure tenant: granted scopes"],
    ),
    tenant(
        "offline_access not granted",
        |tenant| tenant.application.openid_scopes = vec!["profile".to_owned()],
        &["failure client: authorization request", "warning tenant: OpenID scopes"],
    ),
    tenant(
        "other audience of the resource",
        |tenant| tenant.resource.audience = Some("https://other.example".to_owned()),
        &["failure client: authorization request", "failure tenant: resource"],
    ),
    settings(
        "access tokens of a minute",
        |settings| settings.access_token_seconds = 60,
        &["warning tenant: access token lifetime"],
    ),
    tenant(
        "disabled flow policy",
        |tenant| tenant.policy.enabled = false,
        &["failure client: authorization request", "failure tenant: flow policy"],
    ),
    tenant(
        "flow policy of another type",
        |tenant| tenant.policy.trigger = "SCHEDULE".into(),
        &["failure client: authorization request", "failure tenant: flow policy"],
    ),
    tenant(
        "flow policy not assigned",
        |tenant| tenant.policy.assigned = false,
        &["failure client: authorization request", "failure tenant: policy assignment"],
    ),
    tenant(
        "another flow policy first",
        |tenant| tenant.policy.other_first = true,
        &["warning tenant: policy order"],
    ),
    tenant(
        "PingOne policy instead of a flow policy",
        |tenant| tenant.policy.sign_on_policies = vec!["Single_Factor".to_owned()],
        &[
            "failure client: authorization request",
            "failure tenant: policy assignment",
            "failure tenant: PingOne policies",
        ],
    ),
    tenant("disabled flow", |tenant| tenant.flow.enabled = false, &["failure tenant: flow"]),
    tenant("flow not deployed", |tenant| tenant.flow.deployed = false, &["failure tenant: flow"]),
    tenant("flow that is no PingOne Flow", |tenant| tenant.flow.trigger = None, &["failure tenant: flow"]),
    tenant(
        "flow without consent",
        |tenant| tenant.flow.asks_consent = false,
        &["failure tenant: consent node"],
    ),
    tenant(
        "consent to another application",
        |tenant| tenant.flow.consent_application = Some("00000000-0000-4000-8000-000000000001".to_owned()),
        &["failure tenant: consent node"],
    ),
    tenant(
        "consent to fewer scopes",
        |tenant| tenant.flow.consent_scopes = Some(vec!["todo:read".to_owned()]),
        &["failure tenant: consent node"],
    ),
    tenant(
        "flow without an error response",
        |tenant| tenant.flow.error_response = false,
        &["failure tenant: end of the flow"],
    ),
    settings(
        "declined consent without access_denied",
        |settings| settings.decline_error = "invalid_request".into(),
        &["warning tenant: declined consent"],
    ),
    tenant("flow that sets sub", |tenant| tenant.flow.overrides_subject = true, &["failure tenant: subject"]),
    tenant(
        "misspelled property of the connector",
        |tenant| tenant.connector.properties[2] = "environmentId".into(),
        &["failure tenant: consent connector"],
    ),
    tenant(
        "disabled worker of the connector",
        |tenant| tenant.connector.worker_enabled = false,
        &["failure tenant: consent worker"],
    ),
    tenant(
        "worker of the connector without a role",
        |tenant| tenant.connector.worker_roles.truncate(1),
        &["failure tenant: consent worker"],
    ),
    tenant("environment without DaVinci", |tenant| tenant.products.truncate(1), &["failure tenant: DaVinci"]),
    tenant("worker without roles", |tenant| tenant.worker_roles.clear(), &["failure tenant: worker"]),
    tenant(
        "worker with more roles than needed",
        |tenant| tenant.worker_roles.push("Environment Admin".to_owned()),
        &["warning tenant: worker"],
    ),
    Seed {
        name: "disabled webhook",
        make: Make::Tenant(|tenant| tenant.subscriptions.push(Subscription { enabled: false, ..webhook() })),
        variables: &WEBHOOK_VARIABLES,
        alarms: &["warning tenant: webhook"],
    },
    Seed {
        name: "webhook without the event of a deleted user",
        make: Make::Tenant(|tenant| {
            let mut webhook = webhook();
            webhook.action_types.retain(|action| action != "USER.DELETED");
            tenant.subscriptions.push(webhook);
        }),
        variables: &WEBHOOK_VARIABLES,
        alarms: &["warning tenant: webhook"],
    },
    tenant(
        "webhook whose secret Deputy lacks",
        |tenant| tenant.subscriptions.push(webhook()),
        &["failure tenant: webhook"],
    ),
    variables("secret of a webhook that is not there", &WEBHOOK_VARIABLES, &["warning tenant: webhook"]),
    login(
        "login through another policy",
        || Failure::IdTokenClaim("acr".into(), json!("Single_Factor")),
        &["failure login: acr"],
    ),
    login(
        "wrong nonce in the ID token",
        || Failure::IdTokenClaim("nonce".into(), json!("x")),
        &["failure login: ID token"],
    ),
    login(
        "flow that keeps the time of an earlier login",
        || Failure::IdTokenClaim("auth_time".into(), json!(1_700_000_000)),
        &["warning login: new login"],
    ),
    login(
        "access token for another API",
        || Failure::AccessTokenClaim("aud".into(), json!(["https://other.example"])),
        &["failure login: access token", "failure login: API with the token"],
    ),
    login(
        "scopes that the flow reduces",
        || Failure::TokenMember("scope".into(), json!("openid todo:read")),
        &["failure login: granted scopes"],
    ),
    login("other sub at UserInfo", || Failure::UserInfoSub("other".into()), &["failure login: UserInfo"]),
    login(
        "no refresh token",
        || Failure::TokenMember("refresh_token".into(), Value::Null),
        &["failure login: refresh token"],
    ),
    login("user who declines", || Failure::CallbackError("access_denied".into()), &["failure login: login"]),
    Seed {
        name: "JWT refresh tokens, with a login",
        make: Make::TenantWithLogin(|tenant| {
            tenant.application.refresh_token_type = "JSON_WEB_TOKEN".into();
        }),
        variables: &[],
        alarms: &["warning tenant: refresh token type", "warning login: refresh token"],
    },
    Seed {
        name: "API that accepts tokens for others",
        make: Make::LoginAlone,
        variables: &[("DOCTOR_API_PATH", "/careless")],
        alarms: &["failure login: API with another audience"],
    },
    Seed {
        name: "API that refuses every token",
        make: Make::LoginAlone,
        variables: &[("DOCTOR_API_PATH", "/suspicious")],
        alarms: &["failure login: API with the token"],
    },
];

const fn tenant(name: &'static str, make: fn(&mut Tenant), alarms: &'static [&'static str]) -> Seed {
    Seed { name, make: Make::Tenant(make), variables: &[], alarms }
}

const fn settings(name: &'static str, make: fn(&mut Settings), alarms: &'static [&'static str]) -> Seed {
    Seed { name, make: Make::Settings(make), variables: &[], alarms }
}

const fn login(name: &'static str, failure: fn() -> Failure, alarms: &'static [&'static str]) -> Seed {
    Seed { name, make: Make::Login(failure), variables: &[], alarms }
}

const fn variables(
    name: &'static str,
    variables: &'static [(&'static str, &'static str)],
    alarms: &'static [&'static str],
) -> Seed {
    Seed { name, make: Make::Nothing, variables, alarms }
}
