//! Tool calls through rmcp's own client, with the real Todo API and signed tokens behind the tools.

#![expect(unreachable_pub, reason = "the modules of a test have no users")]

mod calls;
mod failures;
#[path = "../../../todo-api/tests/it/identity.rs"]
#[expect(dead_code, reason = "the API's own tests use more of it")]
mod identity;
mod manifest;
mod session;
#[path = "../../../todo-api/tests/it/world.rs"]
#[expect(dead_code, reason = "the API's own tests use more of it")]
mod world;
