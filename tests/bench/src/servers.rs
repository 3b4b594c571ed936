//! The servers that are measured, each a process of its own.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use clap::ValueEnum as _;
use harness::postgres::Cluster;
use tokio::{
    net::TcpStream,
    time::{Instant, sleep},
};
use url::Url;

use crate::{
    Failure,
    client::{Client, Replica, Session},
    floors::TOKEN,
    http::{Connection, request},
    process::{self, Process},
    registration::Registration,
    scenario::Scenario,
    upstreams,
};

/// Where each server listens.
#[derive(Clone, Copy)]
pub(crate) struct Ports {
    pub(crate) pingone: u16,
    pub(crate) api: u16,
    pub(crate) native: u16,
    pub(crate) native_floors: u16,
    pub(crate) native_before: u16,
    pub(crate) workerd: u16,
    pub(crate) workerd_before: u16,
    pub(crate) workerd_floors: u16,
    /// The first of those of the replicas on PostgreSQL.
    pub(crate) replicas: u16,
}

impl Ports {
    pub(crate) fn from(first: u16) -> Self {
        Self {
            pingone: first,
            api: first + 1,
            native: first + 2,
            native_before: first + 3,
            native_floors: first + 4,
            workerd: first + 5,
            workerd_before: first + 6,
            workerd_floors: first + 7,
            replicas: first + 8,
        }
    }
}

/// A server under a name, with clients that may use it.
pub(crate) struct Server {
    pub(crate) name: String,
    pub(crate) pids: Vec<u32>,
    /// The database server, which several servers of a run may share.
    pub(crate) database: Option<u32>,
    pub(crate) scenarios: Vec<Scenario>,
    pub(crate) clients: Vec<Client>,
    /// Resident memory, in MiB, before anybody logged in.
    pub(crate) idle_mib: Option<f64>,
}

impl Server {
    pub(crate) fn has(&self, scenario: Scenario) -> bool {
        self.scenarios.contains(&scenario)
    }
}

/// Everything that is started for a run. It ends with this value.
pub(crate) struct Site {
    ports: Ports,
    folder: PathBuf,
    processes: Vec<Process>,
    database: Option<Cluster>,
}

impl Site {
    /// Starts PingOne and the API. The servers keep their records in a new folder in `folder`.
    pub(crate) fn start(ports: Ports, folder: &Path) -> Result<Self, Failure> {
        let folder = folder.join(format!("bench-{}", std::process::id()));
        fs::create_dir_all(&folder)?;
        let folder = folder.canonicalize()?;
        let mut site = Self { ports, folder, processes: Vec::new(), database: None };
        site.start_program(
            Command::new(env::current_exe()?).args(["upstreams", "--port"]).arg(site.first_port()),
        )?;
        Ok(site)
    }

    /// The processes that belong to the run.
    pub(crate) fn pids(&self) -> Vec<u32> {
        self.processes.iter().map(Process::id).collect()
    }

    /// Ends what serves, but for PingOne and the API.
    pub(crate) fn stop_servers(&mut self) {
        self.processes.truncate(1);
    }

    /// A PostgreSQL server with its data beside that of the other servers.
    pub(crate) fn database(&mut self) -> &Cluster {
        self.database.get_or_insert_with(|| Cluster::start_durable(&self.folder))
    }

    /// Starts a native Deputy, or the `program` that is one, and waits until it is healthy. Its records are in a folder of its
    /// port. Returns its process, and how long that took.
    pub(crate) async fn start_native(
        &mut self,
        program: Option<&Path>,
        port: u16,
    ) -> Result<(u32, Duration), Failure> {
        self.start_replica(program, port, port, None).await
    }

    /// Starts a server with the URL of the Deputy at the port `public`, and with records at the URL `store` of a database, if there is
    /// one.
    pub(crate) async fn start_replica(
        &mut self,
        program: Option<&Path>,
        port: u16,
        public: u16,
        store: Option<&str>,
    ) -> Result<(u32, Duration), Failure> {
        let begin = Instant::now();
        let program = match (program, env::var_os("DEPUTY")) {
            (Some(program), _) => program.to_owned(),
            (None, Some(named)) => named.into(),
            (None, None) => env::current_exe()?.with_file_name("deputy"),
        };
        let mut command = Command::new(program);
        command.args(["serve", "--listen", &format!("127.0.0.1:{port}"), "--max-connections", "4096"]);
        command.arg("--data-dir").arg(self.folder(port)).envs(self.variables(public));
        command.envs(store.map(|url| ("STORE_URL", url)));
        let process = Process::start(command.env("LOG", "error").stdout(Stdio::null()))?;
        let pid = process.id();
        self.processes.push(process);
        healthy(port, public).await?;
        Ok((pid, begin.elapsed()))
    }

    /// Logs in at a Deputy.
    pub(crate) async fn log_in(
        &self,
        name: &str,
        port: u16,
        pid: u32,
        clients: usize,
    ) -> Result<Server, Failure> {
        let mcp = Url::parse(&format!("http://127.0.0.1:{port}/mcp"))?;
        with_logins(name, &mcp, &[(pid, port)], Scenario::value_variants(), clients).await
    }

    /// Logs in at replicas, given with their processes and ports, each of which gets as many of the clients.
    pub(crate) async fn log_in_at_replicas(
        &mut self,
        name: &str,
        replicas: &[(u32, u16)],
        clients: usize,
    ) -> Result<Server, Failure> {
        let mcp = Url::parse(&format!("http://127.0.0.1:{}/mcp", replicas[0].1))?;
        let mut server = with_logins(name, &mcp, replicas, Scenario::value_variants(), clients).await?;
        server.database = Some(self.database().pid());
        Ok(server)
    }

    /// Starts the Worker, or the one whose build is in the folder `before`, and logs in.
    pub(crate) async fn workerd(&mut self, before: Option<&Path>, clients: usize) -> Result<Server, Failure> {
        let (name, port) = match before {
            None => ("Deputy", self.ports.workerd),
            Some(_) => ("Deputy before", self.ports.workerd_before),
        };
        let mut command = node()?;
        command.args(["deputy", &port.to_string()]).arg(self.folder(port));
        command.args(self.variables(port).iter().map(|(name, value)| format!("{name}={value}")));
        if let Some(folder) = before {
            command.env("DEPUTY_BUILD", folder);
        }
        let pid = self.start_program(&mut command)?;
        self.log_in(name, port, pid, clients).await
    }

    /// Starts the floors of the native host, which have the `tools` of Deputy.
    pub(crate) async fn native_floors(
        &mut self,
        tools: &str,
        clients: usize,
    ) -> Result<Vec<Server>, Failure> {
        let mut command = Command::new(env::current_exe()?);
        command.args(["floors", "--port"]).arg(self.first_port()).arg("--tools").arg(self.tools(tools)?);
        let pid = self.start_program(&mut command)?;
        let port = self.ports.native_floors;
        let all = [Scenario::Unauthenticated, Scenario::List, Scenario::Call];
        let floors = [
            ("bare axum", "/axum", &[Scenario::Health, Scenario::List][..]),
            ("rmcp's transport", "/rmcp", &all),
            ("rmcp's transport, sessions", "/rmcp-sessions", &all),
        ];
        let mut servers = Vec::new();
        for (name, path, scenarios) in floors {
            servers.push(floor(name, (port, path), pid, scenarios, clients).await?);
        }
        Ok(servers)
    }

    /// Starts the floors of workerd, which have the `tools` of Deputy.
    pub(crate) async fn workerd_floors(
        &mut self,
        tools: &str,
        clients: usize,
    ) -> Result<Vec<Server>, Failure> {
        let port = self.ports.workerd_floors;
        let mut command = node()?;
        command.args(["floors", &port.to_string()]).arg(self.folder(port));
        let api = format!("http://127.0.0.1:{}/api/todos", self.ports.api);
        command.args([format!("TOOLS={tools}"), format!("API={api}"), format!("TOKEN={TOKEN}")]);
        let pid = self.start_program(&mut command)?;
        let floors = [
            ("constant Worker", "/worker", &[Scenario::Health, Scenario::List][..]),
            ("constant Durable Object", "/object", &[Scenario::List, Scenario::Call]),
            ("Worker that reads KV", "/kv", &[Scenario::List]),
        ];
        let mut servers = Vec::new();
        for (name, path, scenarios) in floors {
            servers.push(floor(name, (port, path), pid, scenarios, clients).await?);
        }
        Ok(servers)
    }

    /// Starts a program that says in a line when it is ready. Returns the process that serves, which the line may name.
    fn start_program(&mut self, command: &mut Command) -> Result<u32, Failure> {
        let (process, line) = Process::start_and_read(command)?;
        let serving = line.split(' ').nth(1).map(str::parse).transpose()?.unwrap_or(process.id());
        self.processes.push(process);
        Ok(serving)
    }

    pub(crate) fn ports(&self) -> Ports {
        self.ports
    }

    /// Where the server on this port keeps its records.
    pub(crate) fn folder(&self, port: u16) -> PathBuf {
        self.folder.join(port.to_string())
    }

    fn first_port(&self) -> String {
        self.ports.pingone.to_string()
    }

    fn variables(&self, port: u16) -> Vec<(&'static str, String)> {
        let mut variables = upstreams::variables(self.ports);
        variables.extend([
            ("PUBLIC_URL", format!("http://127.0.0.1:{port}")),
            ("COOKIE_ENCRYPTION_KEY", "YmVuY2hiZW5jaGJlbmNoYmVuY2hiZW5jaGJlbmNoYmU=".to_owned()),
            ("RATE_LIMITS", "off".to_owned()),
            ("CLIENT_ID_METADATA_DOCUMENTS", "off".to_owned()),
        ]);
        variables
    }

    fn tools(&self, tools: &str) -> Result<PathBuf, Failure> {
        let file = self.folder.join("tools.json");
        fs::write(&file, tools)?;
        Ok(file)
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.processes.clear();
        self.database = None;
        // The next run does not need it gone.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// A running server with OAuth, beside those of this run: `NAME=URL=PID`.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    name: String,
    mcp: Url,
    pid: u32,
}

impl std::str::FromStr for Peer {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let [name, mcp, pid] = text.split('=').collect::<Vec<_>>()[..] else {
            return Err("is not NAME=URL=PID".to_owned());
        };
        let mcp = Url::parse(mcp).map_err(|error| error.to_string())?;
        let pid = pid.parse().map_err(|_| "has no process id".to_owned())?;
        Ok(Self { name: name.to_owned(), mcp, pid })
    }
}

impl Peer {
    /// Logs in there.
    pub(crate) async fn log_in(&self, clients: usize) -> Result<Server, Failure> {
        let scenarios =
            [Scenario::Unauthenticated, Scenario::List, Scenario::Call, Scenario::Refresh, Scenario::Login];
        let port = self.mcp.port_or_known_default().unwrap_or_default();
        with_logins(&self.name, &self.mcp, &[(self.pid, port)], &scenarios, clients).await
    }
}

async fn with_logins(
    name: &str,
    mcp: &Url,
    replicas: &[(u32, u16)],
    scenarios: &[Scenario],
    clients: usize,
) -> Result<Server, Failure> {
    listening(mcp.authority()).await?;
    let pids: Vec<_> = replicas.iter().map(|(pid, _)| *pid).collect();
    let idle_mib = pids.iter().map(|pid| process::memory(*pid)).sum();
    let in_this = |error: Failure| format!("{name}: {error}");
    let registration = Arc::new(Registration::new(mcp).await.map_err(in_this)?);
    let mut logged_in = Vec::new();
    for (_, port) in replicas.iter().cycle().take(clients) {
        let replica = (replicas.len() > 1)
            .then(|| Replica { authority: mcp.authority().to_owned(), address: format!("127.0.0.1:{port}") });
        logged_in.push(Client::logged_in(&registration, replica).await.map_err(in_this)?);
    }
    let (name, scenarios) = (name.to_owned(), scenarios.to_vec());
    Ok(Server { name, pids, database: None, scenarios, clients: logged_in, idle_mib })
}

async fn floor(
    name: &str,
    (port, path): (u16, &str),
    pid: u32,
    scenarios: &[Scenario],
    clients: usize,
) -> Result<Server, Failure> {
    let mcp = Url::parse(&format!("http://127.0.0.1:{port}{path}"))?;
    listening(mcp.authority()).await?;
    let idle_mib = process::memory(pid);
    let registration = Arc::new(Registration::without_login(&mcp)?);
    let mut all = Vec::new();
    for index in 0..clients {
        let initialize = path.starts_with("/rmcp");
        let session = if initialize { Session::Initialize } else { Session::Named(index.to_string()) };
        all.push(Client::with_token(&registration, TOKEN, session).await?);
    }
    let (name, scenarios) = (name.to_owned(), scenarios.to_vec());
    Ok(Server { name, pids: vec![pid], database: None, scenarios, clients: all, idle_mib })
}

/// Waits for a Deputy at `port`, whose URL has the port `public`.
async fn healthy(port: u16, public: u16) -> Result<(), Failure> {
    let url = Url::parse(&format!("http://127.0.0.1:{public}/health"))?;
    let health = request("GET", &url, &[], "");
    for _ in 0..60_000 {
        let mut connection = Connection::to(url.authority(), &format!("127.0.0.1:{port}"));
        if connection.send(&health).await.is_ok() && connection.status() == 200 {
            return Ok(());
        }
        sleep(Duration::from_millis(1)).await;
    }
    Err(format!("{url} is not healthy").into())
}

async fn listening(authority: &str) -> Result<(), Failure> {
    for _ in 0..600 {
        if TcpStream::connect(authority).await.is_ok() {
            return Ok(());
        }
        sleep(Duration::from_millis(50)).await;
    }
    Err(format!("nothing listens at {authority}").into())
}

/// The program that runs a Worker without the proxy of `wrangler dev`.
fn node() -> Result<Command, Failure> {
    let mut command =
        Command::new(env::var_os("DEPUTY_NODE").ok_or("DEPUTY_NODE is not set; ./dev bench sets it")?);
    command.arg("--no-warnings").arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("worker.js"));
    Ok(command)
}
