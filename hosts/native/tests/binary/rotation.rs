//! Secrets that are replaced in their files while `deputy serve` runs.

use std::{fs, os::unix::fs::symlink, path::Path, process::Command, thread, time::Duration};

use tokio::time::Instant;

use crate::support::{
    GOOD, LONG, READY, Running, approval_page, deputy, free_ports, get, register, rest, run, send, serve,
    stderr, with_default_sighup,
};

const FIRST: &str = "first-operator-0123456789abcdef-operator";
const SECOND: &str = "second-operator-0123456789abcdef-operator";
const OLD_KEY: &str = "b2xkb2xkb2xkb2xkb2xkb2xkb2xkb2xkb2xkb2xkb2w=";
const NEW_KEY: &str = "bmV3bmV3bmV3bmV3bmV3bmV3bmV3bmV3bmV3bmV3bmU=";

const REFUSED: &str = "a changed value cannot be used; Deputy keeps the previous value of each changed file";
const USED: &str = "a value has changed, and new requests use it";

/// `deputy serve` with its key and the token of its operator in the files `key` and `token`.
struct Server {
    folder: tempfile::TempDir,
    running: Running,
    port: u16,
    admin: u16,
}

impl Server {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (key, token) = (folder.path().join("key"), folder.path().join("token"));
        fs::write(&key, OLD_KEY).unwrap();
        fs::write(&token, FIRST).unwrap();
        Self::start_with(folder, &key, &token, &[])
    }

    /// The same, with the URL of its database in the file `url`.
    fn start_with_url(url: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let [key, token, file] = ["key", "token", "url"].map(|name| folder.path().join(name));
        for (path, content) in [(&key, OLD_KEY), (&token, FIRST), (&file, url)] {
            fs::write(path, content).unwrap();
        }
        Self::start_with(folder, &key, &token, &[("STORE_URL_FILE", &file)])
    }

    /// The same, with its files in a folder that [`replace_all`] replaces.
    fn start_with_a_folder() -> Self {
        let folder = tempfile::tempdir().unwrap();
        replace_all(folder.path(), OLD_KEY, FIRST);
        let secrets = folder.path().join("secrets");
        Self::start_with(folder, &secrets.join("key"), &secrets.join("token"), &[])
    }

    fn start_with(folder: tempfile::TempDir, key: &Path, token: &Path, others: &[(&str, &Path)]) -> Self {
        let [port, admin] = free_ports();
        let mut command = serve(folder.path(), port);
        command.env_remove("COOKIE_ENCRYPTION_KEY").env("SERVER_KEY_FILE", key);
        command.envs(others.iter().copied());
        command.env("ADMIN_TOKEN_FILE", token).env("ADMIN_LISTEN", format!("127.0.0.1:{admin}"));
        let running = Running::start(with_default_sighup(&command), READY);
        Self { folder, running, port, admin }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    /// Replaces the content of a file.
    fn write(&self, name: &str, content: &str) {
        fs::write(self.path(name), content).unwrap();
    }

    fn accepts(&self, token: &str) -> bool {
        let head = format!(
            "GET /admin/v1/grants HTTP/1.1\r\nHost: localhost:{}\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n\r\n",
            self.admin
        );
        let response = rest(&mut send(self.admin, &head));
        assert!(
            ["HTTP/1.1 200 ", "HTTP/1.1 401 "].iter().any(|status| response.starts_with(status)),
            "{response}"
        );
        response.starts_with("HTTP/1.1 200 ")
    }

    /// Whether the server knows the client.
    fn knows(&self, client: &str) -> bool {
        get(self.port, &approval_page(client)).starts_with("HTTP/1.1 200 ")
    }

    /// Ends the server, and returns its log.
    fn log(mut self) -> String {
        self.running.signal("TERM");
        let (status, _, log) = self.running.ended();
        assert_eq!(status.code(), Some(0), "{log}");
        for secret in [FIRST, SECOND, OLD_KEY, NEW_KEY] {
            assert!(!log.contains(secret), "{log}");
        }
        log
    }
}

/// Replaces the key and the token at once, as Kubernetes does it: `secrets` becomes a link to another folder.
fn replace_all(folder: &Path, key: &str, token: &str) {
    let next = (1..10).map(|number| folder.join(number.to_string())).find(|path| !path.exists()).unwrap();
    fs::create_dir(&next).unwrap();
    fs::write(next.join("key"), key).unwrap();
    fs::write(next.join("token"), token).unwrap();
    symlink(&next, folder.join("link")).unwrap();
    fs::rename(folder.join("link"), folder.join("secrets")).unwrap();
}

/// Waits until `condition` holds.
fn eventually(condition: impl Fn() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < LONG, "it does not become so");
        thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn changed_secret_file_is_read_without_a_restart() {
    let server = Server::start();
    assert!(server.accepts(FIRST) && !server.accepts(SECOND));
    // As Kubernetes does it: another file takes the place.
    server.write("next", SECOND);
    fs::rename(server.path("next"), server.path("token")).unwrap();
    eventually(|| server.accepts(SECOND));
    assert!(!server.accepts(FIRST));
    server.write("token", FIRST);
    server.running.signal("HUP");
    eventually(|| server.accepts(FIRST));
    let log = server.log();
    assert!(log.contains("a value has changed, and new requests use it"), "{log}");
}

#[test]
fn broken_secret_file_keeps_the_value_before() {
    for break_it in [
        |path: &Path| fs::write(path, "too short").unwrap(),
        |path: &Path| fs::write(path, "").unwrap(),
        |path: &Path| fs::remove_file(path).unwrap(),
    ] {
        let server = Server::start();
        break_it(&server.path("token"));
        server.running.signal("HUP");
        server.running.logs(REFUSED, 1);
        assert!(server.accepts(FIRST));
        // A hangup checks it again.
        server.running.signal("HUP");
        server.running.logs(REFUSED, 2);
        server.write("token", SECOND);
        server.running.signal("HUP");
        eventually(|| server.accepts(SECOND));
        let log = server.log();
        assert!(log.contains("ADMIN_TOKEN") && log.contains("token"), "{log}");
    }
}

#[test]
fn key_is_replaced_while_clients_of_both_are_known() {
    let server = Server::start();
    let client = register(server.port);
    // Every login would end.
    server.write("key", NEW_KEY);
    server.running.signal("HUP");
    server.running.logs("every login would end", 1);
    assert!(server.knows(&client));
    server.write("key", &format!("{NEW_KEY},{OLD_KEY}"));
    server.running.signal("HUP");
    server.running.logs(USED, 1);
    assert!(server.knows(&client));
    let later = register(server.port);
    server.write("key", NEW_KEY);
    server.running.signal("HUP");
    eventually(|| !server.knows(&client));
    assert!(server.knows(&later), "it was registered with the new key");
    let verify = |keys: &str| {
        let mut verify = deputy(server.folder.path(), &["audit", "verify"]);
        verify.env("SERVER_KEY", keys);
        let verified = run(verify);
        (verified.status.code(), String::from_utf8_lossy(&verified.stdout).into_owned())
    };
    // More keys than a server takes.
    let all = verify(&format!("{NEW_KEY},{OLD_KEY},YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE="));
    assert_eq!(all.0, Some(0), "{}", all.1);
    let newest = verify(NEW_KEY);
    assert!(newest.0 == Some(1) && newest.1.contains("an earlier SERVER_KEY"), "{newest:?}");
    let log = server.log();
    assert_eq!(log.matches("one key less").count(), 1, "{log}");
}

#[test]
fn folder_with_one_broken_secret_replaces_none_of_them() {
    let server = Server::start_with_a_folder();
    let client = register(server.port);
    // The token is too short.
    replace_all(server.folder.path(), &format!("{NEW_KEY},{OLD_KEY}"), "short");
    server.running.logs(REFUSED, 1);
    assert!(server.accepts(FIRST));
    let later = register(server.port);
    // The new key was not in use, or this would be a retired one.
    replace_all(server.folder.path(), OLD_KEY, SECOND);
    server.running.logs(USED, 1);
    assert!(server.accepts(SECOND) && !server.accepts(FIRST));
    assert!(server.knows(&client) && server.knows(&later));
    replace_all(server.folder.path(), &format!("{NEW_KEY},{OLD_KEY}"), FIRST);
    server.running.logs(USED, 3);
    assert!(server.accepts(FIRST) && server.knows(&client));
    let log = server.log();
    let refused = log.lines().find(|line| line.contains(REFUSED)).unwrap();
    for part in ["ADMIN_TOKEN (", "SERVER_KEY (", "secrets/token", "secrets/key"] {
        assert!(refused.contains(part), "{refused}");
    }
    assert!(!log.contains("one key less"), "{log}");
}

#[test]
fn command_reads_only_the_files_of_secrets_that_it_uses() {
    let folder = tempfile::tempdir().unwrap();
    let unreadable = |arguments: &[&str]| {
        let mut command = deputy(folder.path(), arguments);
        for name in ["ADMIN_TOKEN", "PINGONE_CLIENT_SECRET", "PINGONE_WORKER_CLIENT_SECRET", "STORE_URL"] {
            command.env(format!("{name}_FILE"), "/nowhere");
        }
        stderr(&run(command))
    };
    let audit = unreadable(&["audit", "verify"]);
    assert!(audit.contains("there is no audit log"), "{audit}");
    let tools = unreadable(&["tools"]);
    assert!(tools.contains("no document is named"), "{tools}");
    let served = unreadable(&["serve"]);
    assert!(served.contains("ADMIN_TOKEN_FILE"), "{served}");
    let mut command: Command = serve(folder.path(), 0);
    command.envs(GOOD).env("PINGONE_WORKER_CLIENT_SECRET_FILE", "/nowhere");
    drop(Running::start(command, READY));
}

mod on_postgres {
    use harness::postgres::cluster;

    use super::*;

    /// The URL of a new database of the role `name` with the password `one`, for other passwords.
    fn database_of(name: &str) -> impl Fn(&str) -> String {
        cluster().sql("postgres", &format!("CREATE ROLE {name} LOGIN PASSWORD 'one'"));
        cluster().sql("postgres", &format!("CREATE DATABASE {name} OWNER {name}"));
        let certificate = cluster().certificate().display().to_string();
        let place = format!("{}/{name}?sslrootcert={certificate}", cluster().tcp());
        let name = name.to_owned();
        move |password| format!("postgres://{name}:{password}@{place}")
    }

    /// Ends the connections of a role.
    fn disconnect(name: &str) {
        let connections = format!("FROM pg_stat_activity WHERE usename = '{name}'");
        cluster().sql("postgres", &format!("SELECT pg_terminate_backend(pid) {connections}"));
    }

    fn is_healthy(server: &Server) -> bool {
        get(server.port, "/health").starts_with("HTTP/1.1 200 ")
    }

    #[test]
    #[ignore = "needs PostgreSQL"]
    fn replaced_password_of_the_database_counts_for_new_connections() {
        let url = database_of("rotating");
        let server = Server::start_with_url(&url("one"));
        assert!(is_healthy(&server));
        cluster().sql("postgres", "ALTER ROLE rotating PASSWORD 'two'");
        disconnect("rotating");
        eventually(|| !is_healthy(&server));
        server.write("url", &url("two"));
        server.running.signal("HUP");
        eventually(|| is_healthy(&server));
        server.write("url", &url("two").replace("/rotating?", "/postgres?"));
        server.running.signal("HUP");
        server.running.logs("another database than before", 1);
        disconnect("rotating");
        eventually(|| is_healthy(&server));
        let log = server.log();
        assert!(!log.contains("two@") && !log.contains("rotating:two"), "{log}");
    }

    #[test]
    #[ignore = "needs PostgreSQL"]
    fn password_that_the_database_refuses_is_not_used() {
        let url = database_of("mistaken");
        let server = Server::start_with_url(&url("one"));
        server.write("url", &url("two"));
        server.write("token", SECOND);
        server.running.signal("HUP");
        server.running.logs("password authentication failed", 1);
        disconnect("mistaken");
        eventually(|| is_healthy(&server));
        assert!(server.accepts(FIRST) && !server.accepts(SECOND), "the files were changed at once");
        // No file changes from now on.
        cluster().sql("postgres", "ALTER ROLE mistaken PASSWORD 'two'");
        server.running.logs(USED, 2);
        disconnect("mistaken");
        eventually(|| is_healthy(&server));
        assert!(server.accepts(SECOND));
        let log = server.log();
        assert!(log.contains(REFUSED) && log.contains("tries again") && !log.contains("two@"), "{log}");
    }

    #[test]
    #[ignore = "needs PostgreSQL"]
    fn url_with_other_tables_or_without_rights_is_not_used() {
        let url = database_of("misled");
        let server = Server::start_with_url(&url("one"));
        cluster().sql(
            "misled",
            "CREATE ROLE powerless LOGIN PASSWORD 'one'; CREATE SCHEMA other AUTHORIZATION misled",
        );
        let mut refusals = 0;
        for (wrong, reason) in [
            (format!("{}&options=-c%20search_path%3Dother", url("one")), "other tables"),
            (url("one").replace("misled:", "powerless:"), "may not read and write"),
        ] {
            server.write("url", &wrong);
            server.running.signal("HUP");
            server.running.logs(reason, 1);
            refusals += 1;
            disconnect("misled");
            eventually(|| is_healthy(&server));
        }
        server.write("url", &url("one"));
        let log = server.log();
        assert!(log.matches(REFUSED).count() >= refusals && !log.contains(USED), "{log}");
    }
}
