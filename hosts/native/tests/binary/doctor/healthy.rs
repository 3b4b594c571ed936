//! Right set-ups, which cause no alarm.

use deputy::config::ClientKey;
use pingone_sim::{ResourceMode, Settings, Simulator, Subscription};

use serde_json::{Value, json};

use super::upstream::{KEY, Run, Upstream};
use crate::support::{READY, Running, deputy, free_ports};

/// A right set-up.
struct SetUp {
    name: &'static str,
    make: fn(&mut Settings),
    variables: &'static [(&'static str, &'static str)],
    login: bool,
}

const SET_UPS: [SetUp; 6] = [
    SetUp { name: "docs/pingone.md, with a login", make: |_| (), variables: &[], login: true },
    SetUp {
        name: "client_secret_post, no resource in requests",
        make: |settings| {
            settings.tenant.application.token_endpoint_auth_method = "CLIENT_SECRET_POST".into();
            settings.resource_mode = ResourceMode::Rejected;
        },
        variables: &[("PINGONE_CLIENT_AUTH", "client_secret_post"), ("PINGONE_SEND_RESOURCE", "off")],
        login: true,
    },
    SetUp {
        name: "a key instead of the client secret",
        make: |settings| {
            settings.tenant.application.token_endpoint_auth_method = "PRIVATE_KEY_JWT".into();
            settings.tenant.application.jwks = Some(json!({ "keys": [public_key()] }));
        },
        variables: &KEY_VARIABLES,
        login: true,
    },
    SetUp {
        name: "pushed authorization requests, which the application requires",
        make: |settings| settings.tenant.application.par_requirement = "REQUIRED".into(),
        variables: &[("PINGONE_PAR", "on")],
        login: true,
    },
    SetUp {
        name: "usernames as sub of access tokens, consent in every login, sessions not validated",
        make: |settings| {
            settings.tenant.resource.subject_is_username = true;
            settings.always_prompt = true;
            settings.skip_token_session_validation = true;
        },
        variables: &[],
        login: true,
    },
    SetUp {
        name: "a webhook, further redirect URIs, further scopes of the consent node",
        make: |settings| {
            let tenant = &mut settings.tenant;
            tenant.subscriptions.push(webhook());
            tenant.application.redirect_uris = Some(
                ["https://other.example/cb", "http://127.0.0.1/callback", "http://localhost:8787/callback"]
                    .map(str::to_owned)
                    .to_vec(),
            );
            tenant.flow.consent_scopes =
                Some(["profile", "todo:read", "todo:write"].map(str::to_owned).to_vec());
        },
        variables: &WEBHOOK_VARIABLES,
        login: false,
    },
];

/// A webhook as docs/pingone.md describes it.
pub(super) fn webhook() -> Subscription {
    let events = ["OAUTH_CONSENT.REVOKED", "SESSION.DELETED", "USER.DELETED", "USER.DISABLED", "USER.LOCKED"];
    Subscription {
        enabled: true,
        url: "http://localhost:8787/pingone/events".to_owned(),
        action_types: events.map(str::to_owned).to_vec(),
        verify_tls: true,
    }
}

/// The public key that belongs to [`CLIENT_KEY`].
pub(super) fn public_key() -> Value {
    ClientKey::parse(CLIENT_KEY).unwrap().public_jwk()
}

/// Every secret that a run gets or receives.
pub(super) fn secrets(pingone: &Simulator) -> [&str; 5] {
    let config = pingone.config();
    [&config.application.client_secret, &config.worker.client_secret, KEY, PRIVATE_EXPONENT, WEBHOOK_SECRET]
}

#[test]
fn right_set_up_causes_no_alarm() {
    let (upstream, folder) = (Upstream::start(), tempfile::tempdir().unwrap());
    for SetUp { name, make, variables, login } in SET_UPS {
        upstream.restore();
        upstream.pingone.configure(make);
        let variables = [&upstream.worker(), variables].concat();
        let run = if login {
            upstream.doctor_with_login(folder.path(), &["--strict"], &variables)
        } else {
            upstream.doctor(folder.path(), &["--strict"], &variables)
        };
        assert_eq!(run.alarms(), [""; 0], "{name}: {:#}", run.document);
        assert!(run.output.status.success(), "{name}: {}", run.printed());
        for secret in secrets(&upstream.pingone) {
            assert!(!run.printed().contains(secret), "{name}");
        }
        assert!(!run.printed().contains("eyJ"), "{name}: a token: {}", run.printed());
    }
}

#[test]
fn login_without_a_redirect_uri_here_takes_the_pasted_address() {
    let (upstream, folder) = (Upstream::start(), tempfile::tempdir().unwrap());
    upstream.pingone.configure(|settings| {
        settings.tenant.application.redirect_uris = Some(vec!["https://deputy.example/callback".to_owned()]);
    });
    let variables = [&upstream.worker()[..], &[("PUBLIC_URL", "https://deputy.example")]].concat();
    let run = upstream.doctor_with_login(folder.path(), &["--strict"], &variables);
    assert_eq!(run.alarms(), [""; 0], "{:#}", run.document);
    assert_eq!((run.verdict("acr"), run.verdict("API with the token")), ("ok", "ok"), "{:#}", run.document);
    assert!(run.printed().contains("paste it here"), "{}", run.printed());
}

#[test]
fn running_deputy_of_this_configuration_causes_no_alarm() {
    let (upstream, folder) = (Upstream::start(), tempfile::tempdir().unwrap());
    let [port] = free_ports();
    let url = format!("http://localhost:{port}");
    upstream.pingone.configure(|settings| {
        settings.tenant.application.redirect_uris = Some(vec![format!("{url}/callback")]);
    });
    let mut command = deputy(folder.path(), &["serve", "--listen", &format!("127.0.0.1:{port}")]);
    command.envs(upstream.variables());
    let _running = Running::start(command, READY);
    let listen = format!("127.0.0.1:{port}");
    let run = |deployment: &str| -> Run {
        let arguments = ["--strict", "--listen", &listen, "--deployment", deployment];
        upstream.doctor(folder.path(), &arguments, &upstream.worker())
    };
    let right = run(&url);
    assert_eq!(right.alarms(), [""; 0], "{:#}", right.document);
    assert_eq!(right.verdict("MCP endpoint"), "ok", "{:#}", right.document);
    let other = run(&format!("http://127.0.0.1:{port}"));
    assert_eq!(other.verdict("address"), "failure", "{:#}", other.document);
    let absent = run("http://localhost:9");
    assert_eq!(absent.verdict("TLS"), "failure", "{:#}", absent.document);
}

/// Variables of a Deputy that authenticates with a key.
pub(super) const KEY_VARIABLES: [(&str, &str); 2] =
    [("PINGONE_CLIENT_AUTH", "private_key_jwt"), ("PINGONE_CLIENT_KEY", CLIENT_KEY)];

/// Variables of a Deputy with a webhook.
pub(super) const WEBHOOK_VARIABLES: [(&str, &str); 1] = [("PINGONE_WEBHOOK_SECRET", WEBHOOK_SECRET)];

const WEBHOOK_SECRET: &str = "secret-of-the-webhook-0123456789abcdef";

/// A private key.
const CLIENT_KEY: &str = include_str!("../../../../../tests/requests/pingone_client_key.json");

/// The beginning of the private exponent of [`CLIENT_KEY`].
const PRIVATE_EXPONENT: &str = "juKgokLZpFCOtN9vsoxQTXGYwc25nr8Mo9j_nAbx";
