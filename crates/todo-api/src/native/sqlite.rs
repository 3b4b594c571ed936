//! Todos in a SQLite database.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use rusqlite::{Connection, Transaction, TransactionBehavior};

use crate::{
    backend::TodosError,
    todos::{MAX_TODOS, Operation, Todo},
};

/// The todos of all users, in one file that only its owner can read.
pub struct SqliteTodos(Mutex<Connection>);

/// Why the database cannot be opened. The text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The database belongs to another program or to a later version.
    #[error("{} is not a file of this todo-api; choose another folder with --data-dir", .0.display())]
    Foreign(PathBuf),
    /// The file or its folder cannot be read, written or created.
    #[error("cannot use {path}: {1}", path = .0.display())]
    Io(PathBuf, #[source] io::Error),
    /// SQLite cannot use the file.
    #[error(
        "cannot use {path}: {1}; restore a backup of it, or move it away to start with an empty one",
        path = .0.display()
    )]
    Sqlite(PathBuf, #[source] rusqlite::Error),
}

impl SqliteTodos {
    /// Opens the file. Creates it and its folder if they do not exist.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        prepare(path).map_err(|error| OpenError::Io(path.to_owned(), error))?;
        let failed = |error| OpenError::Sqlite(path.to_owned(), error);
        let mut connection = Connection::open(path).map_err(failed)?;
        if !is_ours(&connection).map_err(failed)? {
            return Err(OpenError::Foreign(path.to_owned()));
        }
        migrate(&mut connection).map_err(failed)?;
        Ok(Self(Mutex::new(connection)))
    }

    /// Implements [`Backend::apply`](crate::Backend::apply). It blocks on the disk.
    pub fn apply(&self, user: &str, operation: Operation) -> Result<Vec<Todo>, TodosError> {
        // If a holder of the lock panicked, its transaction was rolled back.
        let mut connection = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let behavior = match operation {
            Operation::List => TransactionBehavior::Deferred,
            _ => TransactionBehavior::Immediate,
        };
        let transaction = connection.transaction_with_behavior(behavior).map_err(storage)?;
        change(&transaction, user, operation)?;
        let todos = list(&transaction, user).map_err(storage)?;
        transaction.commit().map_err(storage)?;
        Ok(todos)
    }
}

fn change(transaction: &Transaction<'_>, user: &str, operation: Operation) -> Result<(), TodosError> {
    let found = match operation {
        Operation::Create(Todo { id, text, completed }) => transaction
            .execute(INSERT, (user, id, text, completed, MAX_TODOS))
            .map_err(storage)
            .and_then(|rows| if rows == 0 { Err(TodosError::Full) } else { Ok(rows) })?,
        Operation::Delete(id) => transaction
            .execute("DELETE FROM todos WHERE user = ?1 AND id = ?2", (user, id))
            .map_err(storage)?,
        Operation::List => return Ok(()),
        Operation::SetCompleted { id, completed } => transaction
            .execute("UPDATE todos SET completed = ?3 WHERE user = ?1 AND id = ?2", (user, id, completed))
            .map_err(storage)?,
    };
    if found == 0 { Err(TodosError::Unknown) } else { Ok(()) }
}

fn list(transaction: &Transaction<'_>, user: &str) -> rusqlite::Result<Vec<Todo>> {
    transaction
        .prepare_cached("SELECT id, text, completed FROM todos WHERE user = ?1 ORDER BY position")?
        .query_map([user], |row| Ok(Todo { id: row.get(0)?, text: row.get(1)?, completed: row.get(2)? }))?
        .collect()
}

fn is_ours(connection: &Connection) -> rusqlite::Result<bool> {
    let application: i32 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let version: i32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let tables: u32 = connection.query_row("SELECT count(*) FROM sqlite_schema", (), |row| row.get(0))?;
    Ok((application, version) == (APPLICATION_ID, VERSION) || (application, version, tables) == (0, 0, 0))
}

fn migrate(connection: &mut Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY)?;
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute_batch(SCHEMA)?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", VERSION)?;
    transaction.commit()
}

/// Creates the file with a mode for its owner only. SQLite would use the default mode, and gives its other files the
/// mode of this one.
fn prepare(path: &Path) -> io::Result<()> {
    let mut file = fs::OpenOptions::new();
    file.append(true).create(true);
    let mut folder = fs::DirBuilder::new();
    folder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
        folder.mode(0o700);
        file.mode(0o600);
    }
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        folder.create(parent)?;
    }
    let file = file.open(path)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        file.set_permissions(fs::Permissions::from_mode(0o600))?;
    }
    file.sync_all()
}

fn storage(error: rusqlite::Error) -> TodosError {
    TodosError::Storage(error.to_string())
}

/// `position` keeps the order of creation.
const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS todos (
        position INTEGER PRIMARY KEY AUTOINCREMENT,
        user TEXT NOT NULL,
        id TEXT NOT NULL,
        text TEXT NOT NULL,
        completed INTEGER NOT NULL
    ) STRICT;
    CREATE UNIQUE INDEX IF NOT EXISTS todos_of_user ON todos (user, id);
";

const INSERT: &str = "
    INSERT INTO todos (user, id, text, completed)
    SELECT ?1, ?2, ?3, ?4 WHERE (SELECT count(*) FROM todos WHERE user = ?1) < ?5
";

/// The bytes of `todo` in ASCII.
const APPLICATION_ID: i32 = 0x746f_646f;

const VERSION: i32 = 1;

/// The time to wait for another process that writes to the file.
const BUSY: Duration = Duration::from_secs(5);
