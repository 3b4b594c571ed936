//! The protected API that the Todo tools call.
//!
//! It is a resource server (RFC 6749 §1.1): it knows its issuer, its audience and the todos of each user. It does not
//! know Deputy and gets no tokens of Deputy. Each request has a PingOne access token, which is verified before anything
//! else of the request is read ([RFC 9068 §4], [RFC 8725 §3]). The token's `sub` is the user.
//!
//! | Request | Scope | Response |
//! | --- | --- | --- |
//! | `GET /api/todos` | `todo:read` | `200 {"todos":[{"id","text","completed"}]}` |
//! | `POST /api/todos` with `{"todoText"}` | `todo:write` | `201`, the same list |
//! | `PATCH /api/todos/{id}` with `{"completed"}` | `todo:write` | `200`, the same list |
//! | `DELETE /api/todos/{id}` | `todo:write` | `200`, the same list |
//!
//! Below `/v1` it is also the API of `examples/invoices/openapi.yaml`, with invoices in memory.
//!
//! Every error is JSON, `{"error","message"}`. Errors about the token also have a challenge (RFC 6750 §3).
//!
//! The [`router`] gets clock, randomness, outgoing HTTP and storage from a [`Backend`], so that it runs natively and as
//! a Worker. [`native`] is the backend of the native program.
//!
//! [RFC 9068 §4]: https://www.rfc-editor.org/rfc/rfc9068#section-4
//! [RFC 8725 §3]: https://www.rfc-editor.org/rfc/rfc8725#section-3

mod api;
mod backend;
mod config;
mod error;
mod invoices;
mod keys;
#[cfg(feature = "native")]
pub mod native;
mod todos;
mod token;

pub use api::router;
pub use backend::{Backend, BoxFuture, TodosError};
pub use config::{Config, ConfigError};
pub use invoices::OPERATIONS as INVOICE_OPERATIONS;
pub use todos::{FIRST_TODOS, MAX_TEXT_CHARACTERS, MAX_TODOS, Operation, Todo};
