//! Audit events of `PingOne`, as its webhooks deliver them, and the logins that they end.
//!
//! The documentation of `PingOne` names the members of an event, but shows none about a consent or a session. So the user, the
//! application and the session of such an event are read from the resources that it names, and from the path of their URLs.

use chrono::DateTime;
use serde_json::Value;

use crate::{
    config::Config,
    encoding::{JsonError, json},
    host::{DAY, PingOneEvent, Timestamp},
    jose::LEEWAY,
    oauth::{LoginsEnd, session_digest},
};

/// An event that ends logins.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct LoginEvent {
    pub(crate) kind: PingOneEvent,
    /// The logins that it ends, each with `sub` of the user.
    pub(crate) ends: Vec<(String, LoginsEnd)>,
}

/// An event of a delivery, or its type, if that ends logins, and why it has no effect.
pub(crate) type DeliveredEvent = Result<LoginEvent, (Option<PingOneEvent>, NoEffect)>;

/// Why an event ends no logins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub(crate) enum NoEffect {
    /// It is about another application.
    Application,
    /// It is about another environment.
    Environment,
    /// Its time is missing, or cannot be read.
    NoTime,
    /// It names no user, or no session.
    NoUser,
    /// It is older than two weeks.
    Old,
    /// Its type ends no logins.
    Type,
    /// The action failed.
    Unsuccessful,
}

/// Why a delivery is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RefusedDelivery {
    #[error("the body is not JSON, or has too many values")]
    Json,
    #[error(
        "the body has no event with action.type; choose Ping Activity Format as the format of the webhook"
    )]
    Format,
}

/// Reads a delivery: an array of events, one event, or a list in the form of the activities API.
pub(crate) fn read_delivery(
    body: &[u8],
    config: &Config,
    now: Timestamp,
) -> Result<Vec<DeliveredEvent>, RefusedDelivery> {
    let body = json(body, MOST_VALUES).map_err(|_: JsonError| RefusedDelivery::Json)?;
    let events = match &body {
        Value::Array(events) => &events[..],
        event if event["action"].is_object() => std::slice::from_ref(event),
        list => list["_embedded"]["activities"].as_array().ok_or(RefusedDelivery::Format)?,
    };
    let is_event = |event: &Value| event["action"]["type"].is_string();
    if !events.is_empty() && !events.iter().any(is_event) {
        return Err(RefusedDelivery::Format);
    }
    let read = |json| {
        let kind = kind(json, config).ok_or((None, NoEffect::Type))?;
        let ends = Event { json, config }.ends(kind, now).map_err(|reason| (Some(kind), reason))?;
        Ok(LoginEvent { kind, ends })
    };
    Ok(events.iter().map(read).collect())
}

/// The type of an event that ends logins.
fn kind(event: &Value, config: &Config) -> Option<PingOneEvent> {
    let kind: PingOneEvent = event["action"]["type"].as_str()?.parse().ok()?;
    let passwords_end = config.pingone.webhook.as_ref().is_some_and(|webhook| webhook.password_events_end);
    (passwords_end || !kind.is_of_password()).then_some(kind)
}

struct Event<'a> {
    json: &'a Value,
    config: &'a Config,
}

impl<'a> Event<'a> {
    fn ends(&self, kind: PingOneEvent, now: Timestamp) -> Result<Vec<(String, LoginsEnd)>, NoEffect> {
        let status = self.json["result"]["status"].as_str().unwrap_or_default();
        if !status.eq_ignore_ascii_case("success") {
            return Err(NoEffect::Unsuccessful);
        }
        let environments = self.resources().filter_map(|resource| resource["environment"]["id"].as_str());
        if !environments.into_iter().all(|id| self.is_own_environment(id)) {
            return Err(NoEffect::Environment);
        }
        let at = self.time().ok_or(NoEffect::NoTime)?;
        if now.since(at) > OLDEST {
            return Err(NoEffect::Old);
        }
        // This computer's clock may be slow. The event must not be lost, and must not end logins to come.
        let at = at.min(now.plus(LEEWAY));
        let mut users = self.named("USER", "users");
        let ends = match kind {
            PingOneEvent::SessionDeleted => {
                users.extend(self.acting_user());
                let sessions = self.named("SESSION", "sessions").into_iter();
                sessions.map(|id| LoginsEnd { at, session: Some(session_digest(id)) }).collect()
            }
            PingOneEvent::ConsentRevoked => {
                let applications = self.named("APPLICATION", "applications");
                if !applications.is_empty() && !applications.contains(&&*self.config.pingone.client_id) {
                    return Err(NoEffect::Application);
                }
                if users.is_empty() {
                    users.extend(self.acting_user());
                }
                vec![LoginsEnd { at, session: None }]
            }
            _ => vec![LoginsEnd { at, session: None }],
        };
        let ends: Vec<_> = users
            .iter()
            .take(MOST_USERS)
            .flat_map(|user| ends.iter().take(MOST_SESSIONS).map(|end| ((*user).to_owned(), *end)))
            .collect();
        if ends.is_empty() { Err(NoEffect::NoUser) } else { Ok(ends) }
    }

    fn resources(&self) -> impl Iterator<Item = &'a Value> {
        self.json["resources"].as_array().into_iter().flatten()
    }

    /// The ids of the resources of this type, and those in the path of a resource's URL, as in `/users/<id>/sessions/<id>`.
    fn named(&self, kind: &str, collection: &str) -> Vec<&'a str> {
        let mut ids = Vec::new();
        for resource in self.resources() {
            let own = resource["id"].as_str().filter(|_| resource["type"] == kind);
            let mut segments = resource["href"].as_str().unwrap_or_default().split('/');
            let in_path = segments.find(|segment| *segment == collection).and_then(|_| segments.next());
            ids.extend(own.into_iter().chain(in_path).filter(|id| !id.is_empty()));
        }
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    /// The user who did it, unless it was an administrator of another environment.
    fn acting_user(&self) -> Option<&'a str> {
        let user = &self.json["actors"]["user"];
        let is_own = user["environment"]["id"].as_str().is_some_and(|id| self.is_own_environment(id));
        user["id"].as_str().filter(|_| is_own)
    }

    /// The issuer of a custom domain does not tell the environment.
    fn is_own_environment(&self, id: &str) -> bool {
        self.config.pingone.environment().is_none_or(|own| own.eq_ignore_ascii_case(id))
    }

    fn time(&self) -> Option<Timestamp> {
        let text = ["recordedAt", "createdAt"].iter().find_map(|name| self.json[*name].as_str())?;
        let time = DateTime::parse_from_rfc3339(text).ok()?;
        u64::try_from(time.timestamp()).ok().map(Timestamp)
    }
}

/// Seconds after which an event has no effect. A webhook that was disabled may deliver late.
const OLDEST: u64 = 14 * DAY;

/// Users that one event names: the user whom it is about, and the one who acted.
const MOST_USERS: usize = 4;
/// Sessions that one event names. A user has ten at `PingOne`.
const MOST_SESSIONS: usize = 16;

/// Values in the JSON of a delivery: 500 events have about 25,000.
const MOST_VALUES: usize = 100_000;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::test_config;

    const ENVIRONMENT: &str = "00000000-0000-4000-8000-00000000000e";
    const NOW: Timestamp = Timestamp(1_800_000_000);

    fn config() -> Config {
        let issuer = format!("https://auth.pingone.eu/{ENVIRONMENT}/as");
        let secret = "0123456789abcdef0123456789abcdef";
        test_config(&[("PINGONE_ISSUER", &issuer), ("PINGONE_WEBHOOK_SECRET", secret)])
    }

    fn event(kind: &str, resources: Value) -> Value {
        json!({
            "id": "1", "recordedAt": "2027-01-15T07:59:59.123Z", "action": { "type": kind },
            "resources": resources, "result": { "status": "SUCCESS" },
        })
    }

    fn read(event: &Value) -> Result<Vec<(String, LoginsEnd)>, NoEffect> {
        let read =
            read_delivery(event.to_string().as_bytes(), &config(), NOW).unwrap().pop().expect("one event");
        read.map(|event| event.ends).map_err(|(_, reason)| reason)
    }

    #[test]
    fn user_of_an_event_is_read_from_resources_and_urls() {
        let at = Timestamp(NOW.0 - 1);
        let all = LoginsEnd { at, session: None };
        let href = format!("https://api.pingone.eu/v1/environments/{ENVIRONMENT}/users/u/sessions/s");
        for resources in
            [json!([{ "type": "USER", "id": "u" }]), json!([{ "type": "ACCOUNT", "href": href }])]
        {
            assert_eq!(read(&event("USER.LOCKED", resources)), Ok(vec![("u".to_owned(), all)]));
        }
        let session = LoginsEnd { session: Some(session_digest("s")), ..all };
        let of_session = event("SESSION.DELETED", json!([{ "type": "SESSION", "id": "s", "href": href }]));
        assert_eq!(read(&of_session), Ok(vec![("u".to_owned(), session)]));
        assert_eq!(read(&event("USER.LOCKED", json!([]))), Err(NoEffect::NoUser));
        assert_eq!(
            read(&event("SESSION.DELETED", json!([{ "type": "USER", "id": "u" }]))),
            Err(NoEffect::NoUser)
        );
    }

    #[test]
    fn acting_user_of_another_environment_is_ignored() {
        let mut revoked = event("OAUTH_CONSENT.REVOKED", json!([{ "type": "OAUTH_CONSENT", "id": "c" }]));
        for (environment, users) in [(ENVIRONMENT, 1), ("00000000-0000-4000-8000-00000000000f", 0)] {
            revoked["actors"]["user"] = json!({ "id": "u", "environment": { "id": environment } });
            assert_eq!(read(&revoked).map_or(0, |ends| ends.len()), users, "{environment}");
        }
    }

    #[test]
    fn event_of_another_kind_place_time_or_result_has_no_effect() {
        let user = json!([{ "type": "USER", "id": "u" }]);
        let locked = event("USER.LOCKED", user.clone());
        let with = |pointer: &str, value: Value| {
            let mut changed = locked.clone();
            *changed.pointer_mut(pointer).expect(pointer) = value;
            changed
        };
        let elsewhere = json!([{ "type": "USER", "id": "u", "environment": { "id": "other" } }]);
        let of_another = json!([{ "type": "USER", "id": "u" }, { "type": "APPLICATION", "id": "other" }]);
        for (event, expected) in [
            (event("USER.CREATED", user.clone()), NoEffect::Type),
            (event("PASSWORD.RESET", user), NoEffect::Type),
            (event("OAUTH_CONSENT.REVOKED", of_another), NoEffect::Application),
            (event("USER.LOCKED", elsewhere), NoEffect::Environment),
            (with("/result/status", json!("FAILED")), NoEffect::Unsuccessful),
            (with("/recordedAt", json!("yesterday")), NoEffect::NoTime),
            (with("/recordedAt", json!("2026-12-31T00:00:00Z")), NoEffect::Old),
            (with("/recordedAt", json!("1969-01-01T00:00:00Z")), NoEffect::NoTime),
        ] {
            assert_eq!(read(&event), Err(expected), "{event}");
        }
    }

    #[test]
    fn event_of_the_future_ends_no_login_after_a_minute() {
        let mut locked = event("USER.LOCKED", json!([{ "type": "USER", "id": "u" }]));
        for (time, at) in
            [("2027-01-15T08:00:59Z", 59), ("2027-01-15T08:01:01Z", 60), ("2099-01-01T00:00:00Z", 60)]
        {
            locked["recordedAt"] = json!(time);
            let end = LoginsEnd { at: NOW.plus(at), session: None };
            assert_eq!(read(&locked), Ok(vec![("u".to_owned(), end)]), "{time}");
        }
    }

    #[test]
    fn delivery_without_events_is_not_read() {
        let read = |body: &str| read_delivery(body.as_bytes(), &config(), NOW).map(|events| events.len());
        let locked = event("USER.LOCKED", json!([{ "type": "USER", "id": "u" }]));
        assert_eq!(read(&json!([locked, {}, 1, null]).to_string()), Ok(4));
        assert_eq!(read(&json!({ "_embedded": { "activities": [locked] } }).to_string()), Ok(1));
        assert_eq!(read("[]"), Ok(0));
        assert_eq!(
            read(&json!([{ "event": locked, "source": "PingOne" }]).to_string()),
            Err(RefusedDelivery::Format)
        );
        assert_eq!(read("1"), Err(RefusedDelivery::Format));
        for body in ["", "[{]", &format!("{locked}\n{locked}"), &format!("[{}]", "1,".repeat(MOST_VALUES))] {
            assert_eq!(read(body), Err(RefusedDelivery::Json));
        }
    }
}
