//! The todos of one person in one Durable Object. Each operation runs without a break.

use serde::{Deserialize, Serialize};
use todo_api::{MAX_TODOS, Operation, Todo, TodosError};
use worker::{
    DurableObject, Env, Method, ObjectNamespace, Request, RequestInit, Response, SqlStorage, SqlStorageValue,
    State, durable_object, wasm_bindgen,
};

/// All todos as they are after an operation, or why it did nothing.
type Applied = Result<Vec<Todo>, Refused>;

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) enum Refused {
    Full,
    Unknown,
}

impl From<Refused> for TodosError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Full => Self::Full,
            Refused::Unknown => Self::Unknown,
        }
    }
}

/// Has the object of `user` do `operation`.
pub(crate) async fn ask(
    todos: &ObjectNamespace,
    user: &str,
    operation: &Operation,
) -> worker::Result<Applied> {
    let mut init = RequestInit::new();
    init.with_method(Method::Post).with_body(Some(serde_json::to_string(operation)?.into()));
    // Objects have no address of their own; any will do.
    let request = Request::new_with_init("https://object/", &init)?;
    let mut response = todos.get_by_name(user)?.fetch_with_request(request).await?;
    match response.status_code() {
        200 => response.json().await,
        status => Err(format!("it answered {status}").into()),
    }
}

/// The class of objects that `wrangler.jsonc` names.
#[durable_object(fetch)]
pub struct TodosObject {
    state: State,
}

impl DurableObject for TodosObject {
    fn new(state: State, _: Env) -> Self {
        workers_runtime::answer_panics();
        Self { state }
    }

    async fn fetch(&self, mut request: Request) -> worker::Result<Response> {
        let operation = request.json().await?;
        let applied = self.apply(operation)?;
        // An object without storage ceases to exist.
        if applied.as_ref().is_ok_and(Vec::is_empty) && self.has_table()? {
            self.state.storage().delete_all().await?;
        }
        Response::from_json(&applied)
    }
}

impl TodosObject {
    fn apply(&self, operation: Operation) -> worker::Result<Applied> {
        let sql = self.sql();
        let todos = self.read()?;
        let known = |id: &str| todos.iter().any(|todo| todo.id == id);
        match operation {
            Operation::Create(_) if todos.len() >= MAX_TODOS as usize => return Ok(Err(Refused::Full)),
            Operation::Delete(id) | Operation::SetCompleted { id, .. } if !known(&id) => {
                return Ok(Err(Refused::Unknown));
            }
            Operation::Create(Todo { id, text, completed }) => {
                sql.exec(CREATE_TABLE, None)?;
                sql.exec(INSERT, vec![id.into(), text.into(), i32::from(completed).into()])?;
            }
            Operation::Delete(id) => {
                sql.exec(DELETE, vec![id.into()])?;
            }
            Operation::SetCompleted { id, completed } => {
                sql.exec(UPDATE, vec![id.into(), i32::from(completed).into()])?;
            }
            Operation::List => return Ok(Ok(todos)),
        }
        self.read().map(Ok)
    }

    fn read(&self) -> worker::Result<Vec<Todo>> {
        // A `CREATE TABLE IF NOT EXISTS` would make an object of everybody who looks.
        if !self.has_table()? {
            return Ok(Vec::new());
        }
        self.sql().exec(READ, None)?.raw().map(|row| todo(row?)).collect()
    }

    fn has_table(&self) -> worker::Result<bool> {
        Ok(self.sql().exec(HAS_TABLE, None)?.raw().next().is_some())
    }

    fn sql(&self) -> SqlStorage {
        self.state.storage().sql()
    }
}

fn todo(row: Vec<SqlStorageValue>) -> worker::Result<Todo> {
    match <[SqlStorageValue; 3]>::try_from(row) {
        Ok(
            [SqlStorageValue::String(id), SqlStorageValue::String(text), SqlStorageValue::Integer(completed)],
        ) => Ok(Todo { id, text, completed: completed != 0 }),
        Ok(_) | Err(_) => Err("a todo has columns of other types".into()),
    }
}

const HAS_TABLE: &str = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'todo'";

const CREATE_TABLE: &str = "
    CREATE TABLE IF NOT EXISTS todo (
        position INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        text TEXT NOT NULL,
        completed INTEGER NOT NULL
    ) STRICT";

const READ: &str = "SELECT id, text, completed FROM todo ORDER BY position";

const INSERT: &str = "INSERT INTO todo (id, text, completed) VALUES (?1, ?2, ?3)";

const DELETE: &str = "DELETE FROM todo WHERE id = ?1";

const UPDATE: &str = "UPDATE todo SET completed = ?2 WHERE id = ?1";
