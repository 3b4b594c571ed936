//! The webhook: deliveries of the events that wait, and the responses.
//!
//! Like PingOne's, it delivers a batch until the response is 200, and nothing else meanwhile.

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Value, json};

use crate::{
    outbox::{Event, Outbox, Sent},
    simulator::Simulator,
};

/// A request of the webhook.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The destination.
    pub url: String,
    /// Header fields.
    pub headers: BTreeMap<String, String>,
    /// A JSON array of events.
    pub body: String,
}

impl Simulator {
    /// The delivery that is due, if there is one. The caller sends it and reports the response to [`Simulator::delivered`].
    pub fn next_delivery(&self) -> Option<Delivery> {
        let now = self.now();
        let mut state = self.state();
        let webhook = state.settings.webhook.clone();
        let (url, headers) = state.destination(None)?;
        let outbox = &mut state.outbox;
        if outbox.not_before > now {
            return None;
        }
        if outbox.batch.is_empty() {
            if webhook.newest_first {
                outbox.waiting.sort_by_key(|event| std::cmp::Reverse(event.at));
            }
            let is_due = |event: &Event| event.at + webhook.delay_seconds <= now;
            let (due, later) = std::mem::take(&mut outbox.waiting).into_iter().partition(is_due);
            (outbox.batch, outbox.waiting) = (due, later);
            let rest = outbox.batch.split_off(webhook.batch.min(outbox.batch.len()));
            outbox.waiting.splice(0..0, rest);
        }
        if outbox.batch.is_empty() {
            return None;
        }
        let events: Vec<_> = outbox.batch.iter().map(|event| &event.json).collect();
        Some(Delivery { url, headers, body: json!(events).to_string() })
    }

    /// Notes the response to the last [`Simulator::next_delivery`]: its status, or why there is none.
    pub fn delivered(&self, response: Result<u16, String>) {
        let now = self.now();
        self.change(|state| {
            let (outbox, twice) = (&mut state.outbox, state.settings.webhook.twice);
            let kind = |event: &Event| event.json["action"]["type"].as_str().unwrap_or_default().to_owned();
            let events = outbox.batch.iter().map(kind).collect();
            let text = response.as_ref().map_or_else(Clone::clone, u16::to_string);
            outbox.sent.push(Sent { at: now, events, response: text });
            let surplus = outbox.sent.len().saturating_sub(SHOWN);
            outbox.sent.drain(..surplus);
            if response == Ok(200) {
                outbox.delivered += 1;
                if outbox.delivered > u32::from(twice) {
                    outbox.batch.clear();
                    (outbox.delivered, outbox.failed) = (0, 0);
                }
            } else {
                outbox.failed += 1;
                outbox.not_before = now + (1 << outbox.failed.min(5)) / 2;
            }
        });
    }

    /// Sends deliveries until it is dropped.
    pub async fn send_deliveries(self) {
        let client = match reqwest::Client::builder().no_proxy().timeout(PATIENCE).build() {
            Ok(client) => client,
            Err(error) => {
                eprintln!("the simulator cannot send events: {error}");
                return;
            }
        };
        loop {
            let Some(Delivery { url, headers, body }) = self.next_delivery() else {
                self.environment().sleep(LOOK_AGAIN).await;
                continue;
            };
            let mut request = client.post(url).header("content-type", "application/json").body(body);
            for (name, value) in headers {
                request = request.header(name, value);
            }
            let response = request.send().await;
            let response = response.map(|response| response.status().as_u16());
            self.delivered(response.map_err(|error| error.without_url().to_string()));
        }
    }

    /// The deliveries, and the number of events that wait, as `GET /sim/webhook` shows them.
    pub(crate) fn webhook_json(&self) -> Value {
        let state = self.state();
        let Outbox { waiting, batch, sent, .. } = &state.outbox;
        json!({ "waiting": waiting.len() + batch.len(), "sent": sent })
    }
}

/// Deliveries that are remembered.
const SHOWN: usize = 50;
const PATIENCE: Duration = Duration::from_secs(30);
const LOOK_AGAIN: Duration = Duration::from_millis(20);
