//! Lists that are the same for every caller, written once.

use std::sync::{Arc, OnceLock};

use serde_json::Value;

use crate::mcp::{
    Call, Peer,
    headers::{HANDSHAKE, STATELESS},
    peer::NotificationFilter,
};

/// The lists as JSON text, by method and revision.
#[derive(Default)]
pub(super) struct ConstantLists([[OnceLock<Arc<str>>; REVISIONS]; LISTS.len()]);

impl ConstantLists {
    /// The place of the list that `call` requests. `None` for other methods, and for a page after the first.
    pub(super) fn place(&self, call: &Call) -> Option<&OnceLock<Arc<str>>> {
        let list = LISTS.iter().position(|method| *method == call.method)?;
        let mut revisions = HANDSHAKE.iter().chain(&STATELESS);
        let revision = revisions.position(|revision| *revision == call.era.version())?;
        let is_first_page = call.params.keys().all(|name| name == "_meta");
        is_first_page.then(|| &self.0[list][revision])
    }
}

/// The request for a list without anything of its sender: no capabilities, no metadata, and no way to send to the client.
pub(super) fn anonymous(call: Call) -> (Call, Peer) {
    let (params, capabilities) = Default::default();
    (Call { id: Value::from(0), params, capabilities, ..call }, Peer::new(NotificationFilter::Nothing, None))
}

/// The methods of lists.
const LISTS: [&str; 4] = ["prompts/list", "resources/list", "resources/templates/list", "tools/list"];

const REVISIONS: usize = HANDSHAKE.len() + STATELESS.len();
