//! PingOne's webhook, and how often a login is checked without one.

use std::ops::RangeInclusive;

use super::{
    variable::{DefaultValue, Syntax, Variable},
    vars::Vars,
};
use crate::{
    encoding::{credentials, decode_basic},
    host::Digest,
    seal::{constant_time_eq, digest},
};

/// The events that `PingOne` may report.
#[derive(Clone, Debug)]
pub struct Webhook {
    secrets: Vec<Digest>,
    /// `PINGONE_PASSWORD_EVENTS`: whether an event of a password ends the user's grants.
    pub password_events_end: bool,
}

impl Webhook {
    pub(super) fn read(vars: &Vars<'_>) -> Option<Self> {
        let secrets = vars.read(&WEBHOOK_SECRET, secrets);
        let password_events_end = vars.choose(&PASSWORD_EVENTS, ends);
        Some(Self { secrets: secrets?, password_events_end: password_events_end? })
    }

    /// Whether there is a secret, and so a webhook.
    pub(super) const fn has_secret(&self) -> bool {
        !self.secrets.is_empty()
    }

    /// The webhook with the first of its secrets only. While a secret is replaced, the new one comes first.
    #[must_use]
    pub fn newest(&self) -> Self {
        let secrets = self.secrets.iter().take(1).copied().collect();
        Self { secrets, password_events_end: self.password_events_end }
    }

    /// Whether an `Authorization` header has a secret of this webhook, as bearer token (RFC 6750 §2.1) or as password (RFC 7617).
    /// The username has no meaning.
    pub fn accepts(&self, authorization: &[u8]) -> bool {
        let password =
            credentials(authorization, "basic").and_then(decode_basic).map(|(_, password)| password);
        password.is_some_and(|password| self.knows(&password))
            || credentials(authorization, "bearer").is_some_and(|token| self.knows(token))
    }

    /// Whether `presented` is a secret of this webhook. Takes the same time for every text of its length.
    fn knows(&self, presented: &[u8]) -> bool {
        let presented = digest(PURPOSE, presented);
        // Every secret is compared, also after one that is equal.
        self.secrets.iter().fold(false, |known, secret| known | constant_time_eq(&secret.0, &presented.0))
    }
}

pub(super) static WEBHOOK_SECRET: Variable = Variable {
    name: "PINGONE_WEBHOOK_SECRET",
    former_name: None,
    summary: "secret with which PingOne reports events to Deputy",
    details: "With it, `POST /pingone/events` takes the events of a webhook of PingOne, and ends the grants of a user who is \
              locked, disabled or deleted, or whose consent or session ends. Without it there is no such endpoint. Its \
              holder can end grants, and nothing else. \
              [pingone.md](pingone.md#6-the-webhook) describes the set-up, and how to replace the secret.",
    syntax: Syntax::Text(
        "32 visible ASCII characters or more, without commas, as from `openssl rand -base64 32`; while it is \
         replaced, the new and the old one with a comma between them",
    ),
    default: DefaultValue::Value(""),
    example: None,
    on_workers: None,
    secret: true,
};

fn secrets(value: &str) -> Result<Vec<Digest>, &'static str> {
    let secrets: Vec<_> = value.split(',').map(str::trim).filter(|secret| !secret.is_empty()).collect();
    if secrets.len() > 2 {
        return Err("must be one secret, or two with a comma between them");
    }
    for secret in &secrets {
        if secret.bytes().any(|byte| !byte.is_ascii_graphic()) {
            return Err("must be visible ASCII characters; make one with: openssl rand -base64 32");
        }
        if secret.len() < 32 {
            return Err("must have at least 32 characters; make one with: openssl rand -base64 32");
        }
    }
    Ok(secrets.into_iter().map(|secret| digest(PURPOSE, secret.as_bytes())).collect())
}

pub(super) static PASSWORD_EVENTS: Variable = Variable {
    name: "PINGONE_PASSWORD_EVENTS",
    former_name: None,
    summary: "effect of events about a user's password",
    details: "These are `PASSWORD.FORCE_CHANGE`, `PASSWORD.RECOVERY`, `PASSWORD.RESET` and `PASSWORD.SET`. PingOne sends those \
              that its webhook is subscribed to.",
    syntax: Syntax::Choice(&[
        ("ignore", "they have no effect"),
        ("end", "each ends all grants of its user, who connects every client again"),
    ]),
    default: DefaultValue::Value("ignore"),
    example: Some("end"),
    on_workers: None,
    secret: false,
};

fn ends(value: &str) -> Option<bool> {
    match value {
        "ignore" => Some(false),
        "end" => Some(true),
        _ => None,
    }
}

pub(super) static CHECK_INTERVAL: Variable = Variable {
    name: "PINGONE_CHECK_INTERVAL",
    former_name: None,
    summary: "time after which a login that is in use is checked at PingOne",
    details: "The check is a refresh of PingOne's tokens in the background of a tool call: PingOne refuses it if the login has \
              ended, and any other failure ends nothing. Set a grace period in PingOne before you shorten the time, since a \
              lost response to a refresh costs the login otherwise. An access token of PingOne that expires earlier is refreshed earlier. \
              With PingOne's default of an hour, the default costs no request. A shorter time finds an ended login sooner where \
              no webhook reports it, and costs a request to PingOne for each grant in use. Up to a tenth is added at \
              random.",
    syntax: Syntax::Text("whole seconds, from 60 to 86400, or `off`"),
    default: DefaultValue::Value("3600"),
    example: Some("900"),
    on_workers: None,
    secret: false,
};

pub(super) fn check_interval(value: &str) -> Result<Option<u64>, &'static str> {
    if value == "off" {
        return Ok(None);
    }
    let seconds = value.parse().ok().filter(|seconds| SECONDS.contains(seconds));
    seconds.map(Some).ok_or("must be whole seconds, from 60 to 86400, or off")
}

/// One minute to one day.
const SECONDS: RangeInclusive<u64> = 60..=86_400;

/// The purpose of the digests of secrets.
const PURPOSE: &str = "webhook secret";

#[cfg(test)]
mod tests {
    use crate::config::{Config, ConfigErrors, PingOne, test_config};

    const NEW: &str = "0123456789abcdef0123456789abcdef";
    const OLD: &str = "fedcba9876543210fedcba9876543210";

    fn webhook_knows(secrets: &str, presented: &str) -> bool {
        let PingOne { webhook, .. } = test_config(&[("PINGONE_WEBHOOK_SECRET", secrets)]).pingone;
        webhook.expect("a webhook").accepts(format!("Bearer {presented}").as_bytes())
    }

    #[test]
    fn webhook_knows_both_of_two_secrets_and_no_other() {
        for presented in [NEW, OLD] {
            assert!(webhook_knows(&format!("{NEW}, {OLD}"), presented));
        }
        assert!(!webhook_knows(NEW, OLD));
        for wrong in ["", &NEW[1..], &format!("{NEW},{OLD}")] {
            assert!(!webhook_knows(&format!("{NEW},{OLD}"), wrong), "{wrong}");
        }
    }

    #[test]
    fn weak_webhook_secret_is_refused_without_its_value() {
        for wrong in [
            &NEW[1..],
            &format!("{NEW},short"),
            &format!("{NEW},{OLD},{NEW}"),
            "é0123456789abcdef0123456789abcde",
        ] {
            let parsed = Config::parse(|name| (name == "PINGONE_WEBHOOK_SECRET").then(|| wrong.to_owned()));
            let ConfigErrors(errors) = parsed.expect_err(wrong);
            let error = errors.iter().find(|error| error.name == "PINGONE_WEBHOOK_SECRET").expect(wrong);
            assert!(error.problem.starts_with("must ") && !error.problem.contains(wrong), "{error}");
        }
        assert!(test_config(&[]).pingone.webhook.is_none());
    }

    #[test]
    fn environment_is_read_from_the_issuer_of_pingone_alone() {
        let environment = |issuer: &str| {
            test_config(&[("PINGONE_ISSUER", issuer)]).pingone.environment().map(str::to_owned)
        };
        let id = "00000000-0000-4000-8000-00000000000a";
        assert_eq!(environment(&format!("https://auth.pingone.eu/{id}/as")).as_deref(), Some(id));
        assert_eq!(environment("https://login.example.com/as"), None);
        assert_eq!(environment("https://login.example.com/x/as"), None);
    }
}
