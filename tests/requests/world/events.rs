//! PingOne's webhook.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::{Value, json};

use super::{DEPUTY, Response, World};

/// The secret of the webhook, in worlds that have one.
pub(crate) const WEBHOOK_SECRET: &str = "webhook-0123456789abcdef-webhook-1";

impl World {
    /// A world whose PingOne reports events to Deputy, with these variables.
    pub(crate) fn with_webhook(variables: &[(&str, &str)]) -> Self {
        let secret = [("PINGONE_WEBHOOK_SECRET", WEBHOOK_SECRET)];
        let world = Self::with(&[&secret[..], variables].concat());
        world.pingone.configure(|pingone| {
            pingone.webhook.url = Some(format!("{DEPUTY}/pingone/events"));
            let authorization = ("authorization".to_owned(), format!("Bearer {WEBHOOK_SECRET}"));
            pingone.webhook.headers = BTreeMap::from([authorization]);
        });
        world
    }

    /// Sends what the webhook has to send. Returns the statuses of the responses.
    pub(crate) async fn deliver_events(&self) -> Vec<u16> {
        let mut statuses = Vec::new();
        while let Some(delivery) = self.pingone.next_delivery() {
            let mut request = http::Request::post(delivery.url).header("content-type", "application/json");
            for (name, value) in delivery.headers {
                request = request.header(name, value);
            }
            let request = request.body(Bytes::from(delivery.body)).expect("a request");
            let status = self.network.send(request).await.map(|response| response.status().as_u16());
            statuses.extend(&status);
            self.pingone.delivered(status);
        }
        statuses
    }

    /// Posts `events` with the secret of the webhook.
    pub(crate) async fn post_events(&self, events: &Value) -> Response {
        self.post_events_as(&format!("Bearer {WEBHOOK_SECRET}"), &events.to_string()).await
    }

    pub(crate) async fn post_events_as(&self, authorization: &str, body: &str) -> Response {
        let headers = [("authorization", authorization), ("content-type", "application/json")];
        self.request("POST", "/pingone/events", &headers, body).await
    }

    /// An event of now about a user.
    pub(crate) fn event(&self, kind: &str, username: &str) -> Value {
        let user = self.config.users.iter().find(|user| user.username == username).expect("a user");
        self.event_about(kind, &user.id)
    }

    /// An event of now about the user with this id.
    pub(crate) fn event_about(&self, kind: &str, id: &str) -> Value {
        json!({
            "id": "1", "recordedAt": self.timestamp(self.now()), "action": { "type": kind },
            "resources": [{ "type": "USER", "id": id, "environment": { "id": self.config.environment_id } }],
            "result": { "status": "SUCCESS" },
        })
    }

    /// RFC 3339.
    #[expect(clippy::unused_self, reason = "reads as the world's clock")]
    pub(crate) fn timestamp(&self, seconds: u64) -> String {
        let seconds = seconds.try_into().expect("a time");
        chrono::DateTime::from_timestamp(seconds, 0).expect("a time").to_rfc3339()
    }
}
