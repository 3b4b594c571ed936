//! A PostgreSQL server for tests, in a folder of its own. Its programs must be installed.

use std::{
    env, fs,
    io::{PipeWriter, pipe},
    os::unix::{fs::chown, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
};

use crate::ports::free_port;

/// A server that runs until it is stopped, or until the test program ends.
#[derive(Debug)]
pub struct Cluster {
    folder: PathBuf,
    programs: PathBuf,
    /// The user and the group of its processes, since PostgreSQL refuses to run as root.
    user: Option<(u32, u32)>,
    port: u16,
    names: AtomicU32,
    /// Whether a confirmed write is on the disk.
    durable: bool,
    /// A shell stops the server when this end of a pipe is closed, even by a kill.
    _alive: PipeWriter,
    _watcher: Child,
}

/// The server that all tests of a program share.
pub fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(Cluster::start)
}

impl Cluster {
    /// Creates and starts a server without durability.
    pub fn start() -> Self {
        Self::start_in(&env::temp_dir(), false)
    }

    /// Creates and starts a server as one for production is: durable, with memory for its pages.
    pub fn start_durable(folder: &Path) -> Self {
        Self::start_in(folder, true)
    }

    fn start_in(folder: &Path, durable: bool) -> Self {
        let cluster = Self::new(folder, durable);
        cluster.create();
        cluster.resume();
        cluster.sql("postgres", "CREATE ROLE deputy LOGIN PASSWORD 'correct horse'");
        cluster.sql("postgres", "CREATE DATABASE tests OWNER deputy");
        cluster
    }

    /// Creates and starts a synchronous standby of this server: from now on, a write is confirmed when both have it.
    #[must_use]
    pub fn standby(&self) -> Self {
        let standby = Self::new(&env::temp_dir(), self.durable);
        let mut copy = standby.program("pg_basebackup");
        copy.args(["-R", "-X", "stream", "-c", "fast", "-U", "postgres", "-p", &self.port.to_string(), "-h"]);
        standby.run(copy.arg(&self.folder).arg("-D").arg(standby.data()));
        standby.resume();
        self.sql("postgres", "ALTER SYSTEM SET synchronous_standby_names = '*'");
        self.sql("postgres", "SELECT pg_reload_conf()");
        standby
    }

    /// Makes a standby the primary.
    pub fn become_primary(&self) {
        self.run(self.program("pg_ctl").args(["promote", "--wait", "--silent"]).arg("-D").arg(self.data()));
    }

    /// The URL of a schema of this server, on whichever of this and another server accepts writes.
    pub fn url_with(&self, other: &Self, url: &str) -> String {
        let host = |cluster: &Self| {
            let folder = cluster.folder.display().to_string();
            format!("{}:{}", folder.replace('/', "%2F"), cluster.port)
        };
        let options = url.split('&').find(|part| part.starts_with("options=")).unwrap_or_default();
        format!("postgres://deputy@{},{}/tests?{options}", host(self), host(other))
    }

    /// An empty folder in `parent`, and the process that stops its server.
    fn new(parent: &Path, durable: bool) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = parent.join(format!("deputy-postgres-{}-{number}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir(&folder).expect("a folder");
        let user = unprivileged();
        if let Some((user, group)) = user {
            chown(&folder, Some(user), Some(group)).expect("the folder belongs to the user of PostgreSQL");
        }
        let (alive, write_end) = pipe().expect("a pipe");
        let watcher =
            "cat >/dev/null; kill -QUIT $(head -n 1 \"$0/data/postmaster.pid\"); sleep 0.5; rm -rf \"$0\"";
        let mut watch = Command::new("sh");
        watch.args(["-c", watcher]).arg(&folder).stdin(alive).stdout(Stdio::null()).stderr(Stdio::null());
        // Ctrl-C ends the test, and the pipe tells.
        let watcher = watch.process_group(0).spawn().expect("a shell");
        let port = free_port();
        let programs = programs();
        let names = AtomicU32::default();
        Self { folder, programs, user, port, names, durable, _alive: write_end, _watcher: watcher }
    }

    fn create(&self) {
        let data = self.data();
        let initdb = ["--no-sync", "--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C"];
        self.run(self.program("initdb").args(initdb).arg("-D").arg(&data));
        let certificate = [
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=localhost",
            "-addext",
            "subjectAltName=DNS:localhost",
            "-addext",
            "basicConstraints=critical,CA:FALSE",
            "-keyout",
            "server.key",
            "-out",
            "server.crt",
        ];
        let mut openssl = self.as_user(Path::new("openssl"));
        self.run(openssl.args(certificate).current_dir(&data));
        let access = "local all all trust\nlocal replication all trust\nhostssl all all 127.0.0.1/32 scram-sha-256\nhostssl all all ::1/128 scram-sha-256\n";
        fs::write(data.join("pg_hba.conf"), access).expect("the file of accesses");
    }

    /// Starts the server again after [`Cluster::stop`].
    pub fn resume(&self) {
        let data = self.data();
        let settings =
            ["listen_addresses=127.0.0.1", "log_min_messages=fatal", "max_connections=400", "ssl=on"];
        let speed = if self.durable {
            ["fsync=on", "full_page_writes=on", "shared_buffers=512MB"]
        } else {
            ["fsync=off", "full_page_writes=off", "shared_buffers=32MB"]
        };
        let mut server = self.program("pg_ctl");
        let options: Vec<_> = settings.iter().chain(&speed).map(|setting| format!("-c {setting}")).collect();
        let options = format!(
            "{} -c unix_socket_directories={} -p {}",
            options.join(" "),
            self.folder.display(),
            self.port
        );
        server.args(["start", "--wait", "--silent", "-o", &options]).arg("-D").arg(&data);
        self.run(server.arg("-l").arg(self.folder.join("log")));
    }

    /// Stops the server as `pg_ctl` does in this mode: `fast` breaks connections, `immediate` is a crash.
    pub fn stop(&self, mode: &str) {
        let mut stop = self.program("pg_ctl");
        self.run(stop.args(["stop", "--wait", "--silent", "-m", mode]).arg("-D").arg(self.data()));
    }

    /// The URL of a new schema in the database that all tests share, over a Unix socket.
    pub fn schema(&self) -> String {
        let name = format!("test_{}", self.names.fetch_add(1, Ordering::Relaxed));
        self.sql("tests", &format!("CREATE SCHEMA {name} AUTHORIZATION deputy"));
        format!("{}&options=-c%20search_path%3D{name}", self.url("tests"))
    }

    /// The URL of a new database, over a Unix socket.
    pub fn database(&self, options: &str) -> String {
        let name = format!("test_{}", self.names.fetch_add(1, Ordering::Relaxed));
        self.sql("postgres", &format!("CREATE DATABASE {name} OWNER deputy {options}"));
        self.url(&name)
    }

    fn url(&self, database: &str) -> String {
        format!("postgres:///{database}?user=deputy&host={}&port={}", self.folder.display(), self.port)
    }

    /// The host and the port of the server over TCP, with TLS and the password `correct horse` of the user `deputy`.
    pub fn tcp(&self) -> String {
        format!("localhost:{}", self.port)
    }

    /// The certificate of the server, for `localhost`.
    pub fn certificate(&self) -> PathBuf {
        self.data().join("server.crt")
    }

    /// Executes statements in a database as an administrator, and returns what they print.
    pub fn sql(&self, database: &str, statements: &str) -> String {
        let mut psql = self.program("psql");
        psql.args(["-qAtX", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-h"]).arg(&self.folder);
        self.run(psql.args(["-p", &self.port.to_string(), "-c", statements, database]))
    }

    /// The output of SQL statements in the database and the schema of a URL of this cluster.
    pub fn sql_at(&self, url: &str, statements: &str) -> String {
        let after = |mark: &str| {
            url.split(mark).nth(1).unwrap_or_default().split(['?', '&']).next().unwrap_or_default()
        };
        let schema = match after("search_path%3D") {
            "" => "public",
            schema => schema,
        };
        self.sql(after("postgres:///"), &format!("SET search_path = {schema}; {statements}"))
    }

    /// The process whose children serve the connections.
    pub fn pid(&self) -> u32 {
        let file = fs::read_to_string(self.data().join("postmaster.pid")).expect("the server runs");
        file.lines()
            .next()
            .and_then(|line| line.trim().parse().ok())
            .expect("the file begins with the process")
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    fn program(&self, name: &str) -> Command {
        self.as_user(&self.programs.join(name))
    }

    fn as_user(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.folder).stdin(Stdio::null());
        if let Some((user, group)) = self.user {
            command.uid(user).gid(group);
        }
        command
    }

    fn run(&self, command: &mut Command) -> String {
        let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let error = String::from_utf8_lossy(&output.stderr);
        let log = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        assert!(output.status.success(), "{command:?}: {error}\n{log}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }
}

/// The folder of the programs: that in `DEPUTY_POSTGRES`, the newest of Debian, or that of `pg_config`.
fn programs() -> PathBuf {
    if let Some(folder) = env::var_os("DEPUTY_POSTGRES") {
        return folder.into();
    }
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let folders = versions.map(|version| version.path().join("bin"));
    let newest = folders.filter(|folder| folder.join("initdb").exists()).max_by_key(|folder| {
        let version = folder.parent().and_then(Path::file_name).and_then(|name| name.to_str());
        version.and_then(|version| version.parse::<u32>().ok())
    });
    newest.unwrap_or_else(|| {
        let asked = Command::new("pg_config").arg("--bindir").output().expect("PostgreSQL is installed");
        String::from_utf8_lossy(&asked.stdout).trim().into()
    })
}

/// The user `postgres`, for a test that runs as root.
fn unprivileged() -> Option<(u32, u32)> {
    let id = |arguments: &[&str]| {
        let output = Command::new("id").args(arguments).output().expect("id");
        String::from_utf8_lossy(&output.stdout).trim().parse::<u32>().expect("a number")
    };
    (id(&["-u"]) == 0).then(|| (id(&["-u", "postgres"]), id(&["-g", "postgres"])))
}
