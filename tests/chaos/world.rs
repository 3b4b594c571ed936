//! The setup of a scenario: processes, users and load, and the check at its end.

use std::{
    env,
    fmt::Debug,
    fs,
    io::Write as _,
    path::Path,
    str::FromStr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use futures_util::future::join_all;
use harness::ports::free_port;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    task::JoinHandle,
    time::{sleep, timeout},
};

use crate::{
    api::Api,
    database::Database,
    deputy::{Deputy, Log, deputy, is_worker},
    pingone::{PingOne, Simulator},
    proxy::Proxy,
    user::{Outcome, User},
};

/// The processes and users of a scenario.
pub(crate) struct World {
    pub(crate) http: reqwest::Client,
    pub(crate) pingone: PingOne,
    pub(crate) api: Api,
    pub(crate) deputy: Deputy,
    /// The other replicas.
    pub(crate) others: Vec<Deputy>,
    pub(crate) users: Vec<User>,
    /// The URL at which clients reach Deputy.
    pub(crate) url: String,
    /// The database of the replicas.
    pub(crate) database: Option<Database>,
    _proxy: Option<Proxy>,
    _simulator: Option<Simulator>,
    folder: TempDir,
}

/// Users who call tools until the scenario ends.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    ok: Arc<AtomicU64>,
    tasks: Vec<JoinHandle<(User, Vec<Outcome>)>>,
    pingone_requests: u64,
}

/// The damage that a scenario may do.
#[derive(Clone, Copy, Default)]
pub(crate) struct Price {
    /// The number of grants that may be lost.
    pub(crate) lost: u64,
    /// Whether requests may get no response, because Deputy was killed or stopped.
    pub(crate) failed: bool,
    /// Whether audit events may be missing, because the disk was full.
    pub(crate) unaudited: bool,
    /// Whether there were calls that no user counted.
    pub(crate) uncounted: bool,
}

impl World {
    /// Starts the processes and logs in all users.
    pub(crate) async fn start() -> Self {
        Self::start_with(Log::File, users()).await
    }

    pub(crate) async fn start_with(log: Log, users: usize) -> Self {
        Self::start_on(&deputy(), log, users, None).await
    }

    /// Starts three replicas on one PostgreSQL database, behind a proxy, and logs in all users.
    pub(crate) async fn start_replicas(users: usize) -> Self {
        Self::start_replicas_of(&deputy(), users).await
    }

    /// Starts a world with replicas that run this program.
    pub(crate) async fn start_replicas_of(program: &Path, users: usize) -> Self {
        Self::start_on(program, Log::File, users, Some(Database::start(false))).await
    }

    /// The same as [`Self::start_replicas`], with a standby of the database.
    pub(crate) async fn start_replicas_with_a_standby(users: usize) -> Self {
        Self::start_on(&deputy(), Log::File, users, Some(Database::start(true))).await
    }

    async fn start_on(program: &Path, log: Log, users: usize, database: Option<Database>) -> Self {
        // reqwest needs a provider even without TLS. This fails if there is one already, which is fine.
        let _ = rustls::crypto::ring::default_provider().install_default();
        // A kept connection would break when Deputy is killed.
        let http = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).timeout(PATIENCE);
        let http = http.build().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let api = Api::start();
        let (port, pingone_port) = (free_port(), free_port());
        let ports = if database.is_some() { vec![free_port(), free_port(), free_port()] } else { vec![port] };
        let proxy = database.as_ref().map(|_| Proxy::start(folder.path(), port, &ports));
        let url = format!("http://localhost:{port}");
        let (mut deputies, simulator) = if is_worker() {
            (vec![Deputy::worker(folder.path(), port, pingone_port, &api.url())], None)
        } else {
            let simulator = Simulator::start(pingone_port, &url, AUDIENCE, WEBHOOK_SECRET);
            let store_url = database.as_ref().map(Database::url);
            let secret = |name: &str| folder.path().join(name).display().to_string();
            let own = [
                ("API_IDENTIFIER", AUDIENCE),
                ("API_URL", &api.url()),
                ("CLIENT_ID_METADATA_DOCUMENTS", "off"),
                ("DRAIN_SECONDS", if database.is_some() { "2" } else { "0" }),
                ("PINGONE_CLIENT_SECRET_FILE", &secret("PINGONE_CLIENT_SECRET")),
                ("PINGONE_WEBHOOK_SECRET", WEBHOOK_SECRET),
                ("PUBLIC_URL", &url),
                ("RATE_LIMITS", "off"),
                ("SERVER_KEY_FILE", &secret("SERVER_KEY")),
                ("STORE_URL", store_url.as_deref().unwrap_or_default()),
            ];
            let own = own.map(|(name, value)| (name.to_owned(), value.to_owned()));
            let (secrets, others): (Vec<_>, Vec<_>) =
                simulator.variables.iter().cloned().partition(|(name, _)| name == "PINGONE_CLIENT_SECRET");
            for (name, value) in
                secrets.iter().map(|(name, value)| (&**name, &**value)).chain([("SERVER_KEY", KEY)])
            {
                fs::write(secret(name), value).unwrap();
            }
            let variables: Vec<_> = others.into_iter().chain(own).collect();
            let deputies = ports.iter().map(|port| {
                let folder = folder.path().join(format!("deputy-{port}"));
                fs::create_dir(&folder).unwrap();
                let metrics = ("METRICS_LISTEN".to_owned(), format!("127.0.0.1:{}", free_port()));
                Deputy::native(program, &folder, *port, [&variables[..], &[metrics]].concat(), log)
            });
            (deputies.collect(), Some(simulator))
        };
        let pingone = PingOne::at(pingone_port, &http);
        join_all(deputies.iter_mut().map(|deputy| deputy.start(&http))).await;
        if let Some(proxy) = &proxy {
            proxy.wait(&http, &url).await;
        }
        let deputy = deputies.remove(0);
        let mut world = Self {
            http,
            pingone,
            api,
            deputy,
            others: deputies,
            users: Vec::new(),
            url,
            database,
            _proxy: proxy,
            _simulator: simulator,
            folder,
        };
        // Deputy refreshes a token in its last minute: here after two seconds.
        world.pingone.configure(json!({ "access_token_seconds": 62 })).await;
        world.log_in(users).await;
        world
    }

    async fn log_in(&mut self, count: usize) {
        let names: Vec<_> = (0..count).map(|number| format!("user-{number}")).collect();
        let url = self.url.clone();
        for some in names.chunks(4) {
            let logins = some.iter().map(|name| User::log_in(&self.http, &url, &self.pingone, name));
            self.users.extend(join_all(logins).await);
        }
    }

    /// Starts the load: every user calls a tool about once a second, and every third user's client refreshes its tokens
    /// now and then.
    pub(crate) async fn load(&mut self) -> Load {
        let (stop, ok) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let pingone_requests = self.pingone.requests().await;
        let tasks: Vec<_> = self
            .users
            .drain(..)
            .enumerate()
            .map(|(number, mut user)| {
                let (stop, ok) = (Arc::clone(&stop), Arc::clone(&ok));
                tokio::spawn(async move {
                    let mut outcomes = Vec::new();
                    // Spread the calls over time.
                    sleep(pace() * u32::try_from(number % 20).unwrap_or_default() / 20).await;
                    for round in 0.. {
                        sleep(pace()).await;
                        if stop.load(Ordering::Relaxed) {
                            break;
                        }
                        let refreshes = number % 3 == 0 && (round + number) % 5 == 4;
                        let outcome = if refreshes { user.refresh().await } else { user.call().await };
                        ok.fetch_add(u64::from(outcome == Outcome::Ok), Ordering::Relaxed);
                        outcomes.push(outcome);
                    }
                    (user, outcomes)
                })
            })
            .collect();
        Load { stop, ok, tasks, pingone_requests }
    }

    /// Ends the load, makes every grant refresh once more, and prints the row of the table. Panics when the damage is
    /// more than `price` allows.
    pub(crate) async fn finish(mut self, scenario: &str, load: Load, price: Price) -> Vec<Outcome> {
        let mut outcomes = Vec::new();
        load.stop.store(true, Ordering::Relaxed);
        for (user, own) in join_all(load.tasks).await.into_iter().map(Result::unwrap) {
            self.users.push(user);
            outcomes.extend(own);
        }
        let pingone_requests = self.pingone.requests().await - load.pingone_requests;
        let lost = self.lost_grants().await;
        let count = |kind: fn(&Outcome) -> bool| outcomes.iter().filter(|outcome| kind(outcome)).count();
        let ok = count(|outcome| *outcome == Outcome::Ok);
        let refused = count(|outcome| matches!(outcome, Outcome::Refused(_)));
        let failed = count(|outcome| matches!(outcome, Outcome::Failed(_)));
        print_row(
            &[scenario, &self.users.len().to_string(), &ok.to_string(), &refused.to_string()]
                .into_iter()
                .chain([&*failed.to_string(), &pingone_requests.to_string(), &lost.len().to_string()])
                .collect::<Vec<_>>(),
        );
        let wrong = lost.len() as u64 > price.lost || failed > 0 && !price.failed;
        assert!(
            !wrong,
            "{} lost: {:?}\n{failed} failed: {:?}\nrefused: {:?}",
            lost.len(),
            lost.first(),
            outcomes.iter().find(|outcome| matches!(outcome, Outcome::Failed(_))),
            outcomes.iter().find(|outcome| matches!(outcome, Outcome::Refused(_)))
        );
        if !is_worker() {
            self.check_audit_log(price);
        }
        outcomes
    }

    /// Checks that the audit log is intact, and has one event for each result of a tool.
    fn check_audit_log(&self, price: Price) {
        let mut exported = String::new();
        for deputy in [&self.deputy].into_iter().chain(&self.others) {
            let verified = deputy.audit("verify");
            assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
            exported += &String::from_utf8(deputy.audit("export").stdout).unwrap();
        }
        let events = exported.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let finished = events.filter(|event| {
            event["tool"] == "get_my_todo_list"
                && ["ok", "tool_error", "rpc_error"].iter().any(|outcome| event["outcome"] == *outcome)
        });
        let (finished, results) = (finished.count() as u64, self.users.iter().map(|user| user.results).sum());
        let unanswered: u64 = self.users.iter().map(|user| user.unanswered).sum();
        assert!(
            finished <= results + unanswered || price.uncounted,
            "{finished} events, {results} results, {unanswered} without"
        );
        assert!(finished >= results || price.unaudited, "{finished} events of {results} results");
    }

    /// Replaces the secret in the file of a variable, as Kubernetes does: at once.
    pub(crate) fn write_secret(&self, name: &str, value: &str) {
        let next = self.folder.path().join("next");
        fs::write(&next, value).unwrap();
        fs::rename(next, self.folder.path().join(name)).unwrap();
    }

    /// Sets the clock of PingOne and of the API, in seconds ahead of Deputy's.
    pub(crate) async fn set_pingone_clock(&self, offset: i64) {
        self.api.set_clock(offset);
        self.pingone.configure(json!({ "clock_offset_seconds": offset })).await;
    }

    /// The reasons of the users who have to log in again.
    async fn lost_grants(&mut self) -> Vec<String> {
        self.api.refuse_old_tokens();
        // `iat` is in seconds, so new tokens must be from a later second.
        sleep(Duration::from_secs(2)).await;
        let (pingone, mut users) = (self.pingone.clone(), std::mem::take(&mut self.users));
        let checks = users.iter_mut().map(async |user| {
            let lost = timeout(RECOVERY, is_lost(user, &pingone)).await;
            lost.unwrap_or_else(|_| Some(format!("{}: no recovery in time", user.name)))
        });
        let lost = join_all(checks).await.into_iter().flatten().collect();
        self.users = users;
        lost
    }
}

/// Why the user has to log in again; `None` once a tool call, a refresh at PingOne and a refresh of the client's tokens
/// have succeeded.
async fn is_lost(user: &mut User, pingone: &PingOne) -> Option<String> {
    let before = pingone.rotations(&user.name).await;
    let mut refreshed = false;
    loop {
        let mut last = user.call().await;
        if last == Outcome::Ok && refreshed {
            return None;
        }
        if last == Outcome::Ok && pingone.rotations(&user.name).await > before {
            last = user.refresh().await;
            refreshed = last == Outcome::Ok;
        }
        if let Outcome::Lost(reason) = &last {
            return Some(format!("{}: {reason}", user.name));
        }
        sleep(Duration::from_millis(500)).await;
    }
}

impl Load {
    /// Lets the load run for this time.
    pub(crate) async fn during(&self, seconds: u64) {
        sleep(Duration::from_secs(seconds)).await;
    }

    /// The number of requests that have succeeded so far.
    pub(crate) fn ok(&self) -> u64 {
        self.ok.load(Ordering::Relaxed)
    }
}

/// Prints past the test harness, which would capture `eprintln!`.
fn print_row(cells: &[&str]) {
    let [scenario, users, ok, refused, failed, requests, lost] = cells else { unreachable!("seven columns") };
    let row = format!(
        "| {scenario:<58} | {users:>3} | {ok:>5} | {refused:>5} | {failed:>5} | {requests:>5} | {lost:>3} |\n"
    );
    // If standard error is closed, the row is lost.
    let _ = std::io::stderr().write_all(row.as_bytes());
}

/// Seconds since 1970.
pub(crate) fn now() -> u64 {
    #[expect(clippy::disallowed_methods, reason = "the API's clock")]
    let now = SystemTime::now();
    now.duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// The number of users.
pub(crate) fn users() -> usize {
    setting("DEPUTY_CHAOS_USERS", 12)
}

/// The duration of a failure, in seconds.
pub(crate) fn outage() -> u64 {
    setting("DEPUTY_CHAOS_SECONDS", 6)
}

/// The number of events that PingOne reports.
pub(crate) fn events() -> usize {
    setting("DEPUTY_CHAOS_EVENTS", 40)
}

fn setting<T: FromStr<Err: Debug>>(name: &str, otherwise: T) -> T {
    env::var(name).map_or(otherwise, |value| value.parse().unwrap())
}

/// The time between two calls of a user.
fn pace() -> Duration {
    Duration::from_millis(if users() > 50 { 1_000 } else { 400 })
}

/// The first key of the server.
pub(crate) const KEY: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

/// Secret of the simulated PingOne's webhook.
const WEBHOOK_SECRET: &str = "webhook-of-chaos-0123456789abcdef";

const AUDIENCE: &str = "https://todo.deputy.example";

/// The timeout of a client.
const PATIENCE: Duration = Duration::from_mins(1);

/// The time in which a grant must recover: longer than any lease, pause or open breaker lasts.
const RECOVERY: Duration = Duration::from_mins(4);
