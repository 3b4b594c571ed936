//! The simulated environment: its state, its forced failures, and the operations that tests call.

use std::{
    collections::BTreeMap,
    fmt, io,
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use serde_json::Value;

use crate::{
    config::{SimConfig, User},
    environment::SimEnvironment,
    events,
    failure::Failure,
    keys::SigningKey,
    random,
    settings::Settings,
    state::State,
    state_file::StateFile,
};

/// A simulated PingOne environment. Cheap to clone; clones share everything.
#[derive(Clone)]
pub struct Simulator(Arc<Inner>);

struct Inner {
    config: SimConfig,
    environment: Arc<dyn SimEnvironment>,
    state: Mutex<State>,
    /// Forced failures; `true` if they stay until they are cleared.
    failures: Mutex<Vec<(Failure, bool)>>,
    requests: Mutex<BTreeMap<&'static str, u64>>,
    /// A copy of `Settings::clock_offset_seconds`, for callers that hold the lock of the state.
    clock_offset: AtomicI64,
    file: Option<StateFile>,
}

impl Simulator {
    /// A new environment, whose state is lost when it is dropped.
    pub fn new(config: SimConfig, environment: Arc<dyn SimEnvironment>) -> Self {
        let state = State::new(&config, &*environment);
        Self::with_state(config, environment, state, None)
    }

    /// An environment with the state in `file`; a new one if there is no such file. Each change rewrites the file and
    /// renames it into place. Fails when the file cannot be read or written, or has another form.
    pub fn with_state_file(
        config: SimConfig,
        environment: Arc<dyn SimEnvironment>,
        file: &Path,
    ) -> io::Result<Self> {
        let file = StateFile::new(file);
        let state = file.load()?.unwrap_or_else(|| State::new(&config, &*environment));
        file.save(&state)?;
        Ok(Self::with_state(config, environment, state, Some(file)))
    }

    fn with_state(
        config: SimConfig,
        environment: Arc<dyn SimEnvironment>,
        state: State,
        file: Option<StateFile>,
    ) -> Self {
        let (failures, requests) = (Mutex::default(), Mutex::default());
        let clock_offset = AtomicI64::new(state.settings.clock_offset_seconds);
        let state = Mutex::new(state);
        Self(Arc::new(Inner { config, environment, state, failures, requests, clock_offset, file }))
    }

    /// The configuration, as given.
    pub fn config(&self) -> &SimConfig {
        &self.0.config
    }

    /// Makes `failure` happen once.
    pub fn force(&self, failure: Failure) {
        locked(&self.0.failures).push((failure, false));
    }

    /// Makes `failure` happen until [`Simulator::clear_failures`].
    pub fn force_always(&self, failure: Failure) {
        locked(&self.0.failures).push((failure, true));
    }

    /// The forced failures; `true` for those that stay until they are cleared.
    pub(crate) fn pending_failures(&self) -> Vec<(Failure, bool)> {
        locked(&self.0.failures).clone()
    }

    /// Ends all forced failures.
    pub fn clear_failures(&self) {
        locked(&self.0.failures).clear();
    }

    /// The number of requests to an endpoint so far: `authorize`, `discovery`, `jwks`, `management`, `refresh`,
    /// `revoke`, `token` or `userinfo`.
    pub fn requests(&self, endpoint: &str) -> u64 {
        locked(&self.0.requests).get(endpoint).copied().unwrap_or_default()
    }

    /// Changes settings of the environment.
    pub fn configure(&self, change: impl FnOnce(&mut Settings)) {
        self.change(|state| {
            change(&mut state.settings);
            self.0.clock_offset.store(state.settings.clock_offset_seconds, Ordering::Relaxed);
        });
    }

    /// Makes the next key the current one, and publishes a new next one. Old keys stay published.
    pub fn rotate_keys(&self) {
        let new = SigningKey::random(self.environment());
        self.change(|state| {
            let old = state.keys.remove(0);
            state.keys.insert(1, new);
            state.keys.push(old);
        });
    }

    /// Replaces the current key by another one under the same `kid`.
    pub fn replace_key(&self) {
        let seed = random::bytes(self.environment());
        self.change(|state| state.keys[0] = SigningKey::new(state.keys[0].kid.clone(), seed));
    }

    /// Publishes a foreign key with the `kid` of the current key, before it.
    pub fn publish_key_with_current_kid(&self) {
        let seed = random::bytes(self.environment());
        self.change(|state| state.foreign_keys = vec![SigningKey::new(state.keys[0].kid.clone(), seed)]);
    }

    /// Publishes `count` foreign keys before the current one. Each has its own `kid`; they share one key pair.
    pub fn publish_foreign_keys(&self, count: usize) {
        let seed = random::bytes(self.environment());
        let keys = (0..count).map(|_| SigningKey::new(self.uuid(), seed)).collect();
        self.change(|state| state.foreign_keys = keys);
    }

    /// Publishes only the current and the next key.
    pub fn drop_old_keys(&self) {
        self.change(|state| {
            state.keys.truncate(2);
            state.foreign_keys.clear();
        });
    }

    /// Generates the key pairs now. Otherwise the first request that needs them waits about a second.
    pub fn prepare_keys(&self) {
        self.published_keys();
    }

    /// The published keys, as JWKs.
    pub(crate) fn published_keys(&self) -> Vec<Value> {
        // Generating a key takes a second, so the lock of the state is released first.
        let keys: Vec<_> = {
            let state = self.state();
            state.foreign_keys.iter().chain(&state.keys).cloned().collect()
        };
        keys.iter().map(SigningKey::jwk).collect()
    }

    /// Adds a user who can log in. Returns the user's id.
    pub fn add_user(&self, username: &str, password: &str) -> String {
        let id = self.uuid();
        let user = User::named(&id, username, password);
        self.change(|state| state.users.push(user));
        id
    }

    /// Ends every session.
    pub fn end_sessions(&self) {
        self.change(|state| state.end_sessions(|_| true));
    }

    /// Replaces the state by that of a new environment, and clears the failures.
    pub fn reset(&self) {
        self.clear_failures();
        let state = State::new(self.config(), self.environment());
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

    /// Changes the state, adds the events that the webhook delivers, removes what has expired, and saves the state if there is a
    /// file.
    pub(crate) fn change<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state();
        let result = act(&mut state);
        for happening in std::mem::take(&mut state.happenings) {
            if state.destination(Some(happening.kind)).is_some() {
                let ids = [self.uuid(), self.uuid()];
                let event = events::event(self.config(), &state, &happening, self.now(), ids);
                state.outbox.waiting.push(event);
            }
        }
        state.remove_expired(self.now());
        if let Some(Err(error)) = self.0.file.as_ref().map(|file| file.save(&state)) {
            eprintln!("the simulator cannot save its state: {error}");
        }
        result
    }

    /// Counts a request to an endpoint, and returns its number.
    pub(crate) fn count(&self, endpoint: &'static str) -> u64 {
        let mut requests = locked(&self.0.requests);
        let count = requests.entry(endpoint).or_default();
        *count += 1;
        *count
    }

    pub(crate) fn all_requests(&self) -> BTreeMap<&'static str, u64> {
        locked(&self.0.requests).clone()
    }

    /// The values that `select` finds in the forced failures. Failures that happen once are removed when selected.
    pub(crate) fn forced<T>(&self, select: impl Fn(&Failure) -> Option<T>) -> Vec<T> {
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

    /// Whether `failure`, which has no details, is forced.
    pub(crate) fn is_forced(&self, failure: &Failure) -> bool {
        !self.forced(|forced| (forced == failure).then_some(())).is_empty()
    }

    /// Waits for the milliseconds that `select` finds in the forced failures.
    pub(crate) async fn delay(&self, select: impl Fn(&Failure) -> Option<u64>) {
        if let Some(millis) = self.forced(select).first() {
            self.environment().sleep(Duration::from_millis(*millis)).await;
        }
    }

    pub(crate) fn uuid(&self) -> String {
        random::uuid(self.environment())
    }

    pub(crate) fn secret(&self) -> String {
        random::secret(self.environment())
    }
}

impl fmt::Debug for Simulator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Simulator").field("issuer", &self.config().issuer()).finish_non_exhaustive()
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
