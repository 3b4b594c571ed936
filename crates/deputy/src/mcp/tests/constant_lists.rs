//! Lists that an rmcp server declares to be the same for every caller.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    model::{ListPromptsResult, PaginatedRequestParams, Prompt},
    service::RequestContext,
};
use serde_json::{Value, json};

use super::{Response, STATELESS, meta, request, response_to};
use crate::mcp::{Caller, RmcpHandler, rmcp};

/// Counts its lists. Each has one prompt, named after the caller and the page.
#[derive(Clone, Default)]
struct Prompts {
    lists: Arc<AtomicUsize>,
}

impl ServerHandler for Prompts {
    async fn list_prompts(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        self.lists.fetch_add(1, Ordering::SeqCst);
        let page = request.and_then(|request| request.cursor).unwrap_or_default();
        let caller = context.extensions.get::<Caller>().map_or("no caller", |caller| &caller.user().sub);
        let prompt = Prompt::new(format!("{caller}{page}"), None::<String>, None);
        Ok(ListPromptsResult::with_all_items(vec![prompt]))
    }
}

impl Prompts {
    fn lists(&self) -> usize {
        self.lists.load(Ordering::SeqCst)
    }

    fn constant(&self) -> Arc<RmcpHandler<Self>> {
        Arc::new(rmcp(self.clone()).with_constant_lists())
    }
}

async fn handshake(handler: &Arc<RmcpHandler<Prompts>>, version: &str, params: Value) -> Response {
    response_to(handler, &[("mcp-protocol-version", version)], request("prompts/list", params)).await
}

async fn stateless(handler: &Arc<RmcpHandler<Prompts>>) -> Response {
    let headers = [STATELESS, ("mcp-method", "prompts/list")];
    response_to(handler, &headers, request("prompts/list", json!({ "_meta": meta() }))).await
}

fn name(response: &Response) -> Value {
    response.json()["result"]["prompts"][0]["name"].clone()
}

#[tokio::test]
async fn constant_list_is_made_once_for_each_revision() {
    let prompts = Prompts::default();
    let handler = prompts.constant();
    for round in 0..3 {
        let old = handshake(&handler, "2025-06-18", json!({})).await;
        let new = handshake(&handler, "2025-11-25", json!({ "_meta": { "progressToken": round } })).await;
        assert_eq!(old.json(), new.json());
        assert_eq!(old.json()["id"], 7);
        assert_eq!(stateless(&handler).await.json()["result"]["resultType"], "complete");
        assert_eq!(old.json()["result"].get("resultType"), None);
        assert_eq!(prompts.lists(), 3, "round {round}");
    }
}

#[tokio::test]
async fn kept_list_has_the_text_of_the_first_one() {
    let handler = Prompts::default().constant();
    let first = stateless(&handler).await;
    let second = stateless(&handler).await;
    assert_eq!((first.status, &first.headers, &first.text), (second.status, &second.headers, &second.text));
}

#[tokio::test]
async fn constant_list_is_made_without_its_caller() {
    let handler = Prompts::default().constant();
    for _ in 0..2 {
        assert_eq!(name(&handshake(&handler, "2025-11-25", json!({})).await), "no caller");
    }
}

#[tokio::test]
async fn later_page_of_a_constant_list_is_not_kept() {
    let handler = Prompts::default().constant();
    for page in ["2", "3"] {
        let response = handshake(&handler, "2025-11-25", json!({ "cursor": page })).await;
        assert_eq!(name(&response), format!("alice{page}"));
    }
}

#[tokio::test]
async fn constant_list_is_sent_as_an_event_to_a_client_of_events() {
    let handler = Prompts::default().constant();
    for _ in 0..2 {
        let headers = [("mcp-protocol-version", "2025-11-25"), ("accept", "text/event-stream")];
        let response = response_to(&handler, &headers, request("prompts/list", json!({}))).await;
        assert_eq!(response.events()[0]["result"]["prompts"][0]["name"], "no caller");
    }
}

#[tokio::test]
async fn list_without_the_declaration_is_made_for_each_caller() {
    let prompts = Prompts::default();
    let handler = Arc::new(rmcp(prompts.clone()));
    for round in 1..3 {
        assert_eq!(name(&handshake(&handler, "2025-11-25", json!({})).await), "alice");
        assert_eq!(prompts.lists(), round);
    }
}
