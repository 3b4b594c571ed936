//! The operations of an OpenAPI document as tools: an API for agents without code for it.
//!
//! [`Catalog::read`] reads a document of OpenAPI 3.0 or 3.1. Each operation becomes a tool, or is refused with a reason
//! ([`Refusal`]); none is served in part. [`OpenApiServer`] is an ordinary rmcp server with these tools, and [`deputy()`] puts
//! Deputy around it.
//!
//! The document describes requests, and nothing else: its `servers` are not read, since `API_URL` is the API. An argument of a
//! tool changes its own place in the request only. Responses are data.
//!
//! The document is read as JSON, part by part, and not into the types of a crate for OpenAPI: those refuse a whole document for a
//! mistake in one operation, have one set of types for each version of OpenAPI, and lose the schemas, which tools need as JSON.

mod body;
mod catalog;
mod changes;
mod curation;
mod digits;
mod document;
mod json_path;
mod keys;
mod listing;
mod markdown;
mod media;
mod names;
mod operation;
mod overlay;
mod parameter;
mod question;
mod refusal;
mod report;
mod request;
mod response;
mod schema;
mod security;
mod selection;
mod server;
mod style;
mod text;
mod warnings;

pub use catalog::{Catalog, RefusedOperation};
pub use operation::Operation;
pub use refusal::{DocumentError, Refusal};
pub use server::{OpenApiServer, deputy};
