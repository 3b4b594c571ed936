//! The API of `examples/invoices/openapi.yaml`, in memory, for the demo and the tests. A restart forgets the invoices.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    Router,
    extract::{Path, RawQuery, Request, State},
    response::{IntoResponse as _, Response},
    routing::{get, post, put},
};
use http::{StatusCode, header};
use serde::{Deserialize, Serialize};
use url::form_urlencoded;

use crate::{
    api::{Api, ApiResult, read, whole},
    error::{ApiError, json},
    todos,
    token::AccessToken,
};

/// The routes, below the path of the document's server.
pub(crate) fn routes() -> Router<Arc<Api>> {
    Router::new()
        .route("/invoices", get(list).post(create))
        .route("/invoices/{id}", get(read_one).delete(delete))
        .route("/invoices/{id}/note", put(set_note))
        .route("/invoices/{id}/pdf", get(pdf))
        .route("/invoices/{id}/send", post(send))
        .route("/customers", get(customers))
        .route("/health", get(async || json(StatusCode::OK, &Health { ok: true })))
}

/// The operations of the document, as methods and paths.
pub const OPERATIONS: [&str; 9] = [
    "DELETE /invoices/{id}",
    "GET /customers",
    "GET /health",
    "GET /invoices",
    "GET /invoices/{id}",
    "GET /invoices/{id}/pdf",
    "POST /invoices",
    "POST /invoices/{id}/send",
    "PUT /invoices/{id}/note",
];

/// The invoices of each user, the oldest first.
#[derive(Default)]
pub(crate) struct Invoices(Mutex<BTreeMap<String, Vec<Invoice>>>);

#[derive(Clone, Serialize)]
pub(crate) struct Invoice {
    id: String,
    status: &'static str,
    #[serde(flatten)]
    draft: Draft,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

#[derive(Clone, Deserialize, Serialize)]
struct Draft {
    customer: String,
    lines: Vec<Line>,
}

#[derive(Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Line {
    text: String,
    cents: i64,
}

#[derive(Serialize)]
struct Health {
    ok: bool,
}

impl Invoices {
    /// Applies `change` to the invoices of the user of `token`.
    fn change<T>(
        &self,
        token: AccessToken,
        change: impl FnOnce(&mut Vec<Invoice>) -> Result<T, ApiError>,
    ) -> Result<T, ApiError> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        change(all.entry(token.subject).or_default())
    }
}

fn find<'a>(invoices: &'a mut [Invoice], id: &str) -> Result<&'a mut Invoice, ApiError> {
    let found = invoices.iter_mut().find(|invoice| invoice.id == id);
    found.ok_or(ApiError::NotFound("there is no invoice with this id"))
}

async fn list(State(api): State<Arc<Api>>, RawQuery(query): RawQuery, request: Request) -> ApiResult {
    #[derive(Serialize)]
    struct Page {
        items: Vec<Invoice>,
        next: Option<String>,
    }
    let query = query.unwrap_or_default();
    let of = |wanted: &str| {
        let pairs = form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name == wanted);
        pairs.map(|(_, value)| value.into_owned()).collect::<Vec<_>>()
    };
    let (statuses, limit) = (of("status"), of("limit").first().and_then(|limit| limit.parse().ok()));
    let is_wanted =
        |invoice: &&Invoice| statuses.is_empty() || statuses.iter().any(|status| status == invoice.status);
    let token = api.authorize(request.headers(), READ).await?;
    let items = api.invoices.change(token, |invoices| {
        Ok(invoices.iter().rev().filter(is_wanted).take(limit.unwrap_or(20)).cloned().collect())
    })?;
    Ok(json(StatusCode::OK, &Page { items, next: None }))
}

async fn create(State(api): State<Arc<Api>>, request: Request) -> ApiResult {
    let (parts, body) = request.into_parts();
    let token = api.authorize(&parts.headers, WRITE).await?;
    let draft: Draft = read(&parts, body, "an invoice with a customer and lines").await?;
    let mut random = [0; 16];
    api.backend.fill_random(&mut random);
    let invoice = Invoice { id: todos::id(random), status: "draft", draft, note: None };
    api.invoices.change(token, |invoices| {
        invoices.push(invoice.clone());
        Ok(())
    })?;
    Ok(json(StatusCode::CREATED, &invoice))
}

async fn read_one(State(api): State<Arc<Api>>, Path(id): Path<String>, request: Request) -> ApiResult {
    let token = api.authorize(request.headers(), READ).await?;
    let invoice = api.invoices.change(token, |invoices| find(invoices, &id).cloned())?;
    Ok(json(StatusCode::OK, &invoice))
}

async fn delete(State(api): State<Arc<Api>>, Path(id): Path<String>, request: Request) -> ApiResult {
    let token = api.authorize(request.headers(), WRITE).await?;
    api.invoices.change(token, |invoices| {
        find(invoices, &id)?;
        invoices.retain(|invoice| invoice.id != id);
        Ok(())
    })?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn set_note(State(api): State<Arc<Api>>, Path(id): Path<String>, request: Request) -> ApiResult {
    let (parts, body) = request.into_parts();
    let token = api.authorize(&parts.headers, WRITE).await?;
    let text = String::from_utf8(whole(body).await?.into()).map_err(|_| ApiError::Malformed("text"))?;
    api.invoices.change(token, |invoices| {
        find(invoices, &id)?.note = Some(text);
        Ok(())
    })?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn pdf(State(api): State<Arc<Api>>, Path(id): Path<String>, request: Request) -> ApiResult {
    let token = api.authorize(request.headers(), READ).await?;
    api.invoices.change(token, |invoices| find(invoices, &id).map(|_| ()))?;
    Ok(([(header::CONTENT_TYPE, "application/pdf")], "%PDF-1.7\n").into_response())
}

async fn send(State(api): State<Arc<Api>>, Path(id): Path<String>, request: Request) -> ApiResult {
    let token = api.authorize(request.headers(), WRITE).await?;
    let customer = api.invoices.change(token, |invoices| {
        let invoice = find(invoices, &id)?;
        invoice.status = "sent";
        Ok(invoice.draft.customer.clone())
    })?;
    Ok(text(format!("The invoice is on its way to {customer}.")))
}

async fn customers(State(api): State<Arc<Api>>, request: Request) -> ApiResult {
    let token = api.authorize(request.headers(), READ).await?;
    let names = api.invoices.change(token, |invoices| {
        let mut names: Vec<_> = invoices.iter().map(|invoice| invoice.draft.customer.clone()).collect();
        names.sort_unstable();
        names.dedup();
        Ok(names)
    })?;
    Ok(json(StatusCode::OK, &names))
}

fn text(text: String) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response()
}

/// The scope for reading.
const READ: &str = "invoice.read";

/// The scope for changes.
const WRITE: &str = "invoice.write";
