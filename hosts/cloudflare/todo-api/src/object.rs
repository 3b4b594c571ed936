//! The todos of one user in one Durable Object. An operation does not wait between its reads and its writes.

use serde::{Deserialize, Serialize};
use todo_api::{FIRST_TODOS, MAX_TODOS, Operation, Todo, TodosError};
use worker::{
    DurableObject, Env, Method, ObjectNamespace, Request, RequestInit, Response, SqlStorage, SqlStorageValue,
    State, durable_object, wasm_bindgen,
};

/// All todos after an operation, or the reason why it changed nothing.
type Applied = Result<Vec<Todo>, OperationError>;

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) enum OperationError {
    Full,
    Unknown,
}

impl From<OperationError> for TodosError {
    fn from(error: OperationError) -> Self {
        match error {
            OperationError::Full => Self::Full,
            OperationError::Unknown => Self::Unknown,
        }
    }
}

/// Applies `operation` in the object of `user`.
pub(crate) async fn apply(
    todos: &ObjectNamespace,
    user: &str,
    operation: &Operation,
) -> worker::Result<Applied> {
    let mut init = RequestInit::new();
    init.with_method(Method::Post).with_body(Some(serde_json::to_string(operation)?.into()));
    // An object has no URL. The runtime requires one, and ignores it.
    let request = Request::new_with_init("https://object/", &init)?;
    let mut response = todos.get_by_name(user)?.fetch_with_request(request).await?;
    match response.status_code() {
        200 => response.json().await,
        status => Err(format!("it returned the status {status}").into()),
    }
}

/// The class that `wrangler.jsonc` names.
#[durable_object(fetch)]
pub struct TodosObject {
    state: State,
    /// Whether a new list begins with [`FIRST_TODOS`]. The object then exists without todos too.
    has_first_todos: bool,
}

impl DurableObject for TodosObject {
    fn new(state: State, env: Env) -> Self {
        workers_runtime::install_panic_hook();
        let has_first_todos = env.var("FIRST_TODOS").is_ok_and(|value| value.to_string() == "on");
        Self { state, has_first_todos }
    }

    async fn fetch(&self, mut request: Request) -> worker::Result<Response> {
        let operation = request.json().await?;
        if self.has_first_todos && !self.has_table()? {
            self.add_first_todos()?;
        }
        let applied = self.apply(operation)?;
        // An object without storage ceases to exist.
        if applied.as_ref().is_ok_and(Vec::is_empty) && !self.has_first_todos && self.has_table()? {
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
            Operation::Create(_) if todos.len() >= MAX_TODOS as usize => {
                return Ok(Err(OperationError::Full));
            }
            Operation::Delete(id) | Operation::SetCompleted { id, .. } if !known(&id) => {
                return Ok(Err(OperationError::Unknown));
            }
            Operation::Create(todo) => self.add(todo)?,
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

    fn add(&self, Todo { id, text, completed }: Todo) -> worker::Result<()> {
        self.sql().exec(CREATE_TABLE, None)?;
        self.sql().exec(INSERT, vec![id.into(), text.into(), i32::from(completed).into()])?;
        Ok(())
    }

    fn add_first_todos(&self) -> worker::Result<()> {
        for (place, (text, completed)) in FIRST_TODOS.into_iter().enumerate() {
            self.add(Todo { id: format!("first-{place}"), text: text.to_owned(), completed })?;
        }
        Ok(())
    }

    fn read(&self) -> worker::Result<Vec<Todo>> {
        // `CREATE TABLE IF NOT EXISTS` would create an object for every user who only lists todos.
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
        Ok(_) | Err(_) => Err("the columns of a todo have unexpected types".into()),
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
