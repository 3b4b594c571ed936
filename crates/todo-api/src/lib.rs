//! The protected API that the Todo tools call.
//!
//! A resource server and nothing else (RFC 6749 §1.1): it knows its issuer, its own name and the todos of each person.
//! It never sees an MCP token, and it knows nothing of Deputy. Each request carries a `PingOne` access token, which is
//! verified here before anything else is read ([RFC 9068 §4], [RFC 8725 §3]); `sub` says whose todos are meant.
//!
//! | request | scope | answer |
//! | --- | --- | --- |
//! | `GET /api/todos` | `todo:read` | `200 {"todos":[{"id","text","completed"}]}` |
//! | `POST /api/todos` with `{"todoText"}` | `todo:write` | `201`, the same list |
//! | `PATCH /api/todos/{id}` with `{"completed"}` | `todo:write` | `200`, the same list |
//! | `DELETE /api/todos/{id}` | `todo:write` | `200`, the same list |
//!
//! Every refusal is JSON, `{"error","message"}`, and those about the token say so as RFC 6750 §3 asks.
//!
//! The [`router`] reaches the machine only through [`Backend`], so that it runs natively and as a Worker alike.
//! [`native`] is the backend for a process with a disk.
//!
//! [RFC 9068 §4]: https://www.rfc-editor.org/rfc/rfc9068#section-4
//! [RFC 8725 §3]: https://www.rfc-editor.org/rfc/rfc8725#section-3

mod api;
mod backend;
mod config;
mod keys;
#[cfg(feature = "native")]
pub mod native;
mod refusal;
mod todos;
mod token;

pub use api::router;
pub use backend::{Backend, BoxFuture, TodosError};
pub use config::{Config, ConfigError};
pub use todos::{MAX_TEXT_CHARACTERS, MAX_TODOS, Operation, Todo};
