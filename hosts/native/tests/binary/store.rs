//! The place of the records, and secrets in files.

use std::{fs, path::Path, process::Command};

use harness::postgres::cluster;

use crate::support::{GOOD, READY, Running, deputy, free_ports, get, run, serve, stderr};

/// `deputy serve` in this folder with this database.
fn serve_on(folder: &Path, url: &str) -> Command {
    let mut command = serve(folder, 0);
    command.env("STORE_URL", url);
    command
}

#[test]
fn database_url_beside_an_sqlite_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("data")).unwrap();
    fs::write(folder.path().join("data/deputy.sqlite3"), "").unwrap();
    let output = run(serve_on(folder.path(), "postgres://deputy:hunter2@127.0.0.1:1/deputy"));
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("deputy store copy") && text.contains("./data/deputy.sqlite3"), "{text}");
    assert!(!text.contains("hunter2"), "{text}");
}

#[test]
fn wrong_database_url_is_refused_without_its_password() {
    let folder = tempfile::tempdir().unwrap();
    for (url, reason, status) in [
        ("mysql://deputy:hunter2@127.0.0.1/deputy", "STORE_URL is not a valid PostgreSQL URL", 2),
        ("postgres://deputy:hunter2@db.example/deputy?sslmode=prefer", "sslmode=verify-full", 2),
        ("postgres://deputy:hunter2@127.0.0.1:1/deputy", "deputy at 127.0.0.1:1 cannot be used", 1),
    ] {
        let output = run(serve_on(folder.path(), url));
        let text = stderr(&output);
        assert_eq!(output.status.code(), Some(status), "{text}");
        assert!(text.contains(reason) && !text.contains("hunter2"), "{text}");
    }
    let mut help = deputy(folder.path(), &["serve", "--help"]);
    help.env("STORE_URL", "postgres://deputy:hunter2@127.0.0.1/deputy");
    let help = String::from_utf8(run(help).stdout).unwrap();
    assert!(help.contains("STORE_URL") && !help.contains("hunter2"), "{help}");
    fs::write(folder.path().join(".env"), "STORE_URL=postgres://deputy:hunter2@127.0.0.1/deputy").unwrap();
    let help = String::from_utf8(run(deputy(folder.path(), &["serve", "--help"])).stdout).unwrap();
    assert!(help.contains("STORE_URL") && !help.contains("hunter2"), "{help}");
}

#[test]
fn backup_with_a_database_url_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for action in ["backup", "restore"] {
        let mut command = deputy(folder.path(), &[action, "file"]);
        command.env("STORE_URL", "postgres://deputy:hunter2@127.0.0.1:1/deputy");
        let output = run(command);
        let text = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(text.contains("pg_dump") && !text.contains("hunter2"), "{text}");
    }
}

#[test]
fn copy_without_a_source_or_a_url_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let output = run(deputy(folder.path(), &["store", "copy", "./data", "./other"]));
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("there is no database ./data/deputy.sqlite3"), "{}", stderr(&output));
    let output = run(deputy(folder.path(), &["store", "copy", "./data", "STORE_URL"]));
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("STORE_URL is not set"), "{}", stderr(&output));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "nothing was created");
}

#[test]
fn secrets_are_read_from_files() {
    let folder = tempfile::tempdir().unwrap();
    let (key, secret) = (folder.path().join("key"), folder.path().join("secret"));
    fs::write(&key, format!("{}\n", GOOD[6].1)).unwrap();
    fs::write(&secret, "hunter2").unwrap();
    let mut command = serve(folder.path(), 0);
    command.env_remove("COOKIE_ENCRYPTION_KEY").env("SERVER_KEY_FILE", &key);
    command.env_remove("MCP_SERVER_CLIENT_SECRET").env("PINGONE_CLIENT_SECRET_FILE", &secret);
    drop(Running::start(command, READY));
    let mut command = serve(folder.path(), 0);
    command.env("COOKIE_ENCRYPTION_KEY_FILE", &secret);
    let text = stderr(&run(command));
    assert!(text.contains("COOKIE_ENCRYPTION_KEY and COOKIE_ENCRYPTION_KEY_FILE are both set"), "{text}");
    assert!(!text.contains("hunter2"), "{text}");
}

mod on_postgres {
    use super::*;

    #[test]
    #[ignore = "needs PostgreSQL"]
    fn server_on_a_database_uses_its_folder_for_the_audit_log_alone() {
        let folder = tempfile::tempdir().unwrap();
        let [port] = free_ports();
        let url = cluster().schema();
        fs::write(folder.path().join("url"), &url).unwrap();
        for audit in ["off", "on"] {
            let mut command = serve(folder.path(), port);
            command.env("STORE_URL_FILE", folder.path().join("url")).env("AUDIT", audit);
            let mut running = Running::start(command, READY);
            assert!(get(port, "/health").starts_with("HTTP/1.1 200 "));
            assert_eq!(folder.path().join("data").exists(), audit == "on");
            running.signal("TERM");
            assert_eq!(running.ended().0.code(), Some(0));
        }
        assert!(folder.path().join("data/audit").exists());
        assert!(!folder.path().join("data/deputy.sqlite3").exists());
        let mut doctor = deputy(folder.path(), &["doctor"]);
        doctor.envs(GOOD).env("STORE_URL", &url);
        let seen = String::from_utf8(run(doctor).stdout).unwrap();
        assert!(seen.contains("has the tables of this Deputy"), "{seen}");
    }
}
