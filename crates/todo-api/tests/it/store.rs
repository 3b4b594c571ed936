//! The database file.

use std::{fs, thread};

use tempfile::TempDir;
use todo_api::{
    MAX_TODOS, Operation, Todo, TodosError,
    native::{OpenError, SqliteTodos},
};

fn todo(id: &str) -> Todo {
    Todo { id: id.to_owned(), text: "x".to_owned(), completed: false }
}

#[cfg(unix)]
#[test]
fn only_owner_can_read_files() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("data").join("todos.sqlite3");
    let todos = SqliteTodos::open(&path).unwrap();
    todos.apply("alice", Operation::Create(todo("a"))).unwrap();
    let mode = |path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(path.parent().unwrap().to_owned()), 0o700);
    let files: Vec<_> =
        fs::read_dir(path.parent().unwrap()).unwrap().map(|entry| mode(entry.unwrap().path())).collect();
    assert_eq!(files, [0o600; 3], "the database, its log and the index of the log");
}

#[test]
fn database_of_other_program_is_refused_unchanged() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("other.sqlite3");
    let other = rusqlite::Connection::open(&path).unwrap();
    other.execute_batch("CREATE TABLE todos (x); INSERT INTO todos VALUES (1)").unwrap();
    assert!(matches!(SqliteTodos::open(&path), Err(OpenError::Foreign(_))));
    let rows: u32 = other.query_row("SELECT count(*) FROM todos", (), |row| row.get(0)).unwrap();
    assert_eq!(rows, 1);
}

#[test]
fn error_for_file_that_is_no_database_names_file() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("todos.sqlite3");
    fs::write(&path, "not a database, and long enough to look at ".repeat(100)).unwrap();
    let error = SqliteTodos::open(&path).err().unwrap().to_string();
    assert!(error.contains(path.to_str().unwrap()), "{error}");
}

#[test]
fn concurrent_creations_do_not_exceed_limit() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("todos.sqlite3");
    let todos = SqliteTodos::open(&path).unwrap();
    for n in 0..MAX_TODOS - 1 {
        todos.apply("alice", Operation::Create(todo(&n.to_string()))).unwrap();
    }
    // For SQLite, a second connection is like a second process.
    let other = SqliteTodos::open(&path).unwrap();
    let create = |todos: &SqliteTodos, id| todos.apply("alice", Operation::Create(todo(id))).err();
    let (one, two) = thread::scope(|scope| {
        let one = scope.spawn(|| create(&todos, "one"));
        let two = scope.spawn(|| create(&other, "two"));
        (one.join().unwrap(), two.join().unwrap())
    });
    assert!(
        matches!((&one, &two), (None, Some(TodosError::Full)) | (Some(TodosError::Full), None)),
        "{one:?} {two:?}"
    );
}
