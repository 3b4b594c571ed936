//! The simulator as a value.

use std::{
    collections::BTreeMap,
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use axum::Router;
use serde_json::Value;

use crate::{
    config::{Person, SimConfig},
    endpoints,
    environment::SimEnvironment,
    failure::Failure,
    keys::SigningKey,
    state::{Family, Knobs, Session, State},
};

/// A PingOne environment. Cheap to clone; clones share everything.
#[derive(Clone)]
pub struct Simulator(Arc<Inner>);

struct Inner {
    config: SimConfig,
    environment: Arc<dyn SimEnvironment>,
    state: Mutex<State>,
    failures: Mutex<Vec<(Failure, bool)>>,
    requests: Mutex<BTreeMap<&'static str, u64>>,
    /// `Knobs::clock_offset_seconds`, for readers that hold the state.
    clock_offset: AtomicI64,
    file: Option<PathBuf>,
}

impl Simulator {
    /// A fresh environment.
    pub fn new(config: SimConfig, environment: Arc<dyn SimEnvironment>) -> Self {
        let state = fresh(&config, &*environment);
        Self::with_state(config, environment, state, None)
    }

    /// An environment whose state is kept in `file`, and read from it if it is there. The file is rewritten whole and
    /// renamed into place after each change.
    pub fn with_state_file(
        config: SimConfig,
        environment: Arc<dyn SimEnvironment>,
        file: &Path,
    ) -> io::Result<Self> {
        let state = match fs::read(file) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| {
                io::Error::new(io::ErrorKind::InvalidData, format!("{}: {error}", file.display()))
            })?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => fresh(&config, &*environment),
            Err(error) => return Err(error),
        };
        let simulator = Self::with_state(config, environment, state, Some(file.to_owned()));
        simulator.save(&simulator.state())?;
        Ok(simulator)
    }

    fn with_state(
        config: SimConfig,
        environment: Arc<dyn SimEnvironment>,
        state: State,
        file: Option<PathBuf>,
    ) -> Self {
        let (failures, requests) = (Mutex::default(), Mutex::default());
        let clock_offset = AtomicI64::new(state.knobs.clock_offset_seconds);
        let state = Mutex::new(state);
        Self(Arc::new(Inner { config, environment, state, failures, requests, clock_offset, file }))
    }

    /// The HTTP interface.
    pub fn router(&self) -> Router {
        endpoints::router(self.clone())
    }

    /// The configuration.
    pub fn config(&self) -> &SimConfig {
        &self.0.config
    }

    /// Lets something go wrong once.
    pub fn force(&self, failure: Failure) {
        locked(&self.0.failures).push((failure, false));
    }

    /// Lets something go wrong until [`Simulator::clear_failures`].
    pub fn force_always(&self, failure: Failure) {
        locked(&self.0.failures).push((failure, true));
    }

    /// Nothing goes wrong any more.
    pub fn clear_failures(&self) {
        locked(&self.0.failures).clear();
    }

    /// How many requests an endpoint has had: `authorize`, `discovery`, `jwks`, `refresh`, `revoke`, `token`, `userinfo`.
    pub fn requests(&self, endpoint: &str) -> u64 {
        locked(&self.0.requests).get(endpoint).copied().unwrap_or_default()
    }

    /// Changes how PingOne is configured.
    pub fn configure(&self, change: impl FnOnce(&mut Knobs)) {
        self.change(|state| {
            change(&mut state.knobs);
            self.0.clock_offset.store(state.knobs.clock_offset_seconds, Ordering::Relaxed);
        });
    }

    /// The next key becomes the current one, and there is a new next one. Old keys stay published.
    pub fn rotate_keys(&self) {
        let new = new_key(self.environment());
        self.change(|state| {
            let old = state.keys.remove(0);
            state.keys.insert(1, new);
            state.keys.push(old);
        });
    }

    /// Another key takes the place of the current one, under the same `kid`.
    pub fn replace_key(&self) {
        let seed = random(self.environment());
        self.change(|state| state.keys[0] = SigningKey::new(state.keys[0].kid.clone(), seed));
    }

    /// Publishes a second key with the `kid` of the current one, before it.
    pub fn twin_key(&self) {
        let seed = random(self.environment());
        self.change(|state| state.foreign_keys = vec![SigningKey::new(state.keys[0].kid.clone(), seed)]);
    }

    /// Publishes `count` keys before the current one. They have names of their own and share one key pair.
    pub fn crowd_keys(&self, count: usize) {
        let seed = random(self.environment());
        let keys = (0..count).map(|_| SigningKey::new(self.uuid(), seed)).collect();
        self.change(|state| state.foreign_keys = keys);
    }

    /// Publishes nothing but the current and the next key.
    pub fn drop_old_keys(&self) {
        self.change(|state| {
            state.keys.truncate(2);
            state.foreign_keys.clear();
        });
    }

    /// Makes the key pairs now, which takes a second, instead of with the first request that needs them.
    pub fn prepare_keys(&self) {
        self.published_keys();
    }

    /// The key set, as it is published.
    pub(crate) fn published_keys(&self) -> Vec<Value> {
        // Making a key takes a moment, in which the state must not be held.
        let keys: Vec<_> = {
            let state = self.state();
            state.foreign_keys.iter().chain(&state.keys).cloned().collect()
        };
        keys.iter().map(SigningKey::jwk).collect()
    }

    /// Adds a person who can log in.
    pub fn add_person(&self, username: &str, password: &str) {
        let person = Person::named(&self.uuid(), username, password);
        self.change(|state| state.people.push(person));
    }

    /// Ends every session of everybody.
    pub fn end_sessions(&self) {
        self.change(|state| state.sessions.clear());
    }

    /// Begins anew.
    pub fn reset(&self) {
        self.clear_failures();
        let state = fresh(self.config(), self.environment());
        self.0.clock_offset.store(0, Ordering::Relaxed);
        self.change(|old| *old = state);
    }

    pub(crate) fn environment(&self) -> &dyn SimEnvironment {
        &*self.0.environment
    }

    /// The time on this PingOne's clock.
    pub(crate) fn now(&self) -> u64 {
        self.environment().now().saturating_add_signed(self.0.clock_offset.load(Ordering::Relaxed))
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        locked(&self.0.state)
    }

    /// Changes the state, and keeps the change.
    pub(crate) fn change<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state();
        let result = act(&mut state);
        let now = self.now();
        state.flows.retain(|_, flow| flow.expires_at > now);
        state.codes.retain(|_, code| code.expires_at > now);
        state.sessions.retain(|session| session.expires_at > now);
        if let Err(error) = self.save(&state) {
            eprintln!("the simulator could not keep its state: {error}");
        }
        result
    }

    pub(crate) fn count(&self, endpoint: &'static str) {
        *locked(&self.0.requests).entry(endpoint).or_default() += 1;
    }

    pub(crate) fn all_requests(&self) -> BTreeMap<&'static str, u64> {
        locked(&self.0.requests).clone()
    }

    /// Everything that goes wrong now and that `select` turns into something.
    pub(crate) fn failures<T>(&self, select: impl Fn(&Failure) -> Option<T>) -> Vec<T> {
        let mut selected = Vec::new();
        locked(&self.0.failures).retain(|(failure, always)| match select(failure) {
            Some(value) => {
                selected.push(value);
                *always
            }
            None => true,
        });
        selected
    }

    /// Waits for as long as a failure says that `select` turns into seconds.
    pub(crate) async fn hang(&self, select: impl Fn(&Failure) -> Option<u64>) {
        self.hang_millis(|failure| select(failure).map(|seconds| seconds.saturating_mul(1000))).await;
    }

    /// The same in milliseconds.
    pub(crate) async fn hang_millis(&self, select: impl Fn(&Failure) -> Option<u64>) {
        if let Some(millis) = self.failures(select).first() {
            self.environment().sleep(Duration::from_millis(*millis)).await;
        }
    }

    pub(crate) fn uuid(&self) -> String {
        uuid(self.environment())
    }

    /// A secret text.
    pub(crate) fn secret(&self) -> String {
        use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
        URL_SAFE_NO_PAD.encode(random::<32>(self.environment()))
    }

    /// Six digits.
    pub(crate) fn digits(&self) -> String {
        format!("{:06}", u32::from_be_bytes(random::<4>(self.environment())) % 1_000_000)
    }

    fn save(&self, state: &State) -> io::Result<()> {
        let Some(file) = &self.0.file else { return Ok(()) };
        let text = serde_json::to_vec_pretty(state).map_err(io::Error::other)?;
        let beside = file.with_extension("new");
        fs::write(&beside, text)?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            fs::set_permissions(&beside, fs::Permissions::from_mode(0o600))?;
        }
        fs::rename(beside, file)
    }
}

impl fmt::Debug for Simulator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Simulator").field("issuer", &self.config().issuer()).finish_non_exhaustive()
    }
}

impl State {
    pub(crate) fn person(&self, id: &str) -> Option<&Person> {
        self.people.iter().find(|person| person.id == id)
    }

    pub(crate) fn named(&mut self, username: &str) -> Option<&mut Person> {
        self.people.iter_mut().find(|person| person.username.eq_ignore_ascii_case(username))
    }

    /// Begins a session, ending the oldest beyond ten of one person.
    pub(crate) fn begin_session(&mut self, id: String, person: &str, now: u64) -> Session {
        let session = Session { id, person: person.to_owned(), auth_time: now, expires_at: now + MONTH };
        while self.sessions.iter().filter(|held| held.person == person).count() >= SESSIONS {
            if let Some(oldest) = self.sessions.iter().position(|held| held.person == person) {
                self.sessions.remove(oldest);
            }
        }
        self.sessions.push(session.clone());
        session
    }

    pub(crate) fn session(&self, id: &str, now: u64) -> Option<&Session> {
        self.sessions.iter().find(|session| session.id == id && session.expires_at > now)
    }

    /// Whether tokens of this session are still good.
    pub(crate) fn is_alive(&self, session: &Session, now: u64) -> bool {
        self.knobs.skip_token_session_validation || self.session(&session.id, now).is_some()
    }

    pub(crate) fn family(&mut self, token: &str) -> Option<&mut Family> {
        self.families.iter_mut().find(|family| {
            family.current == token || family.rotated.iter().any(|(rotated, _)| rotated == token)
        })
    }
}

fn fresh(config: &SimConfig, environment: &dyn SimEnvironment) -> State {
    State {
        keys: vec![new_key(environment), new_key(environment)],
        foreign_keys: Vec::new(),
        people: config.people.clone(),
        sessions: Vec::new(),
        consents: Vec::new(),
        flows: BTreeMap::new(),
        codes: BTreeMap::new(),
        families: Vec::new(),
        knobs: Knobs::default(),
    }
}

fn new_key(environment: &dyn SimEnvironment) -> SigningKey {
    SigningKey::new(uuid(environment), random(environment))
}

/// A random UUID (RFC 9562 §5.4).
fn uuid(environment: &dyn SimEnvironment) -> String {
    let mut bytes: [u8; 16] = random(environment);
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let n = u128::from_be_bytes(bytes);
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        n >> 96,
        n >> 80 & 0xffff,
        n >> 64 & 0xffff,
        n >> 48 & 0xffff,
        n & 0xffff_ffff_ffff
    )
}

fn random<const N: usize>(environment: &dyn SimEnvironment) -> [u8; N] {
    let mut bytes = [0; N];
    environment.fill_random(&mut bytes);
    bytes
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

const SESSIONS: usize = 10;
const MONTH: u64 = 30 * 24 * 3600;
