//! The user's confirmation before a destructive operation.

use serde_json::json;

use crate::session::{INVOICES, SCOPES, Session};

#[tokio::test]
async fn unconfirmed_deletion_sends_no_request() {
    let session = Session::with(INVOICES, SCOPES, (false, false)).await;
    let error = session.error("deleteInvoice", json!({ "id": "1" })).await;
    assert!(
        error.starts_with("Nothing was done") && error.contains("UNCONFIRMED_TOOLS=deleteInvoice"),
        "{error}"
    );
    assert_eq!(session.api.requests(), [""; 0]);
    assert_eq!(session.requests("getInvoice", json!({ "id": "1" })).await, ["GET /invoices/1"]);
}

#[tokio::test]
async fn waived_confirmation_lets_the_tool_act() {
    let session = Session::with(INVOICES, SCOPES, (false, true)).await;
    assert_eq!(session.requests("deleteInvoice", json!({ "id": "1" })).await, ["DELETE /invoices/1"]);
}
