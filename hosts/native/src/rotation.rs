//! Values in files that change while the server runs: secrets, and the list of clients.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use axum::Router;
use deputy::{
    Server,
    config::{Config, ConfigErrors, Keys},
    only_loopback_hosts,
};
use tokio::{
    sync::{Notify, watch},
    task::spawn_blocking,
    time::{Instant, sleep},
};

use crate::{
    audit::AuditFiles,
    env_file::EnvFile,
    secret_files::{SecretFile, SecretFiles},
    store::{NativeStore, PostgresError, StoreUrl},
};

/// The server that responds to new requests, and its routers.
#[derive(Clone)]
pub(crate) struct ServedConfig {
    pub(crate) server: Server,
    public: watch::Sender<Router>,
    /// The admin interface with its port, if it is served.
    admin: Option<(watch::Sender<Router>, u16)>,
}

impl ServedConfig {
    pub(crate) fn new(server: Server) -> Self {
        Self { public: watch::channel(server.router()).0, server, admin: None }
    }

    /// The router for everything but the admin interface.
    pub(crate) fn router(&self) -> watch::Receiver<Router> {
        self.public.subscribe()
    }

    /// The router for the admin interface on a port.
    pub(crate) fn admin_router(&mut self, port: u16) -> watch::Receiver<Router> {
        let (sender, receiver) = watch::channel(admin_router(&self.server, port));
        self.admin = Some((sender, port));
        receiver
    }

    /// Makes new requests use the values of `config`.
    fn replace(&mut self, config: Config) {
        self.server = self.server.with_replaced_values(config);
        drop(self.public.send_replace(self.server.router()));
        if let Some((router, port)) = &self.admin {
            drop(router.send_replace(admin_router(&self.server, *port)));
        }
    }
}

fn admin_router(server: &Server, port: u16) -> Router {
    only_loopback_hosts(server.admin_router(), port)
}

/// Reads files with values again, and replaces the values that have changed, those of one folder all at once: a key and a client
/// secret that an orchestrator replaces together are used together. If one of them cannot be used, Deputy logs it, and keeps the
/// previous ones of that folder. A URL of the store is used after a connection with it; until then, it is tried again and again.
pub(crate) struct Rotation<P> {
    pub(crate) served: ServedConfig,
    pub(crate) store: Arc<dyn NativeStore>,
    pub(crate) audit: Option<Arc<AuditFiles>>,
    /// The keys in use.
    pub(crate) keys: Keys,
    /// The variables, with the values in use.
    pub(crate) file: EnvFile,
    /// Parses variables.
    pub(crate) parse: P,
}

/// The files that are watched. Each list has an entry for each file.
struct Watched {
    files: Vec<SecretFile>,
    last_read: Vec<Content>,
    /// The contents that were used or refused last. `None`: they are to be checked again.
    decided: Vec<Option<Content>>,
    is_refused: Vec<bool>,
    /// The time at which refused values are checked again.
    recheck_at: Option<Instant>,
}

/// Why changed values are not used.
struct Refusal {
    reason: String,
    /// The same values may be used later.
    passes: bool,
}

impl From<String> for Refusal {
    fn from(reason: String) -> Self {
        Self { reason, passes: false }
    }
}

impl From<PostgresError> for Refusal {
    fn from(error: PostgresError) -> Self {
        Self { reason: error.to_string(), passes: matches!(error, PostgresError::NotYet(..)) }
    }
}

/// The value in a file, or the reason that it has none.
type Content = Result<String, String>;

/// Files of one folder, by their place in the lists of [`Watched`].
#[derive(Debug, Default, PartialEq, Eq)]
struct Changes {
    changed: Vec<usize>,
    /// Those that were refused before, and have not changed since.
    refused: Vec<usize>,
}

impl Watched {
    /// Files whose contents are in use.
    fn new(files: Vec<SecretFile>, used: Vec<Content>) -> Self {
        let is_refused = vec![false; files.len()];
        let decided = used.iter().cloned().map(Some).collect();
        Self { files, last_read: used, decided, is_refused, recheck_at: None }
    }

    fn differ(&self, contents: &[Content]) -> bool {
        self.decided.iter().zip(contents).any(|(decided, content)| decided.as_ref() != Some(content))
    }

    /// Notes what a read has found, and returns the changes in folders that the read before has found the same in every file. So
    /// the contents of a folder that is replaced between the reads of two files do not count.
    fn changes(&mut self, contents: Vec<Content>) -> Vec<Changes> {
        let mut folders = BTreeMap::<_, Vec<usize>>::new();
        for (at, SecretFile { path, .. }) in self.files.iter().enumerate() {
            folders.entry(path.parent()).or_default().push(at);
        }
        let is_settled = |files: &Vec<usize>| files.iter().all(|at| contents[*at] == self.last_read[*at]);
        let mut all = Vec::new();
        for files in folders.into_values().filter(is_settled) {
            let mut changes = Changes::default();
            for at in files {
                if self.decided[at].as_ref() != Some(&contents[at]) {
                    changes.changed.push(at);
                } else if self.is_refused[at] {
                    changes.refused.push(at);
                }
            }
            if !changes.changed.is_empty() {
                all.push(changes);
            }
        }
        self.last_read = contents;
        all
    }

    fn settle(&mut self, files: &[usize], is_used: bool) {
        for at in files {
            self.decided[*at] = Some(self.last_read[*at].clone());
            self.is_refused[*at] = !is_used;
        }
    }

    /// Whether a value was refused that may be used by now.
    fn is_recheck_due(&self) -> bool {
        self.recheck_at.is_some_and(|at| Instant::now() >= at)
    }

    /// Notes what a first read has found, so that the second one checks refused values again.
    fn recheck(&mut self, contents: Vec<Content>) {
        self.recheck_at = None;
        self.last_read = contents;
        for (decided, is_refused) in self.decided.iter_mut().zip(&self.is_refused) {
            if *is_refused {
                *decided = None;
            }
        }
    }

    /// The contents of the files. `None`: reading them panicked, which is in the log.
    async fn read(&self) -> Option<Vec<Content>> {
        let files = self.files.clone();
        let content = |secret: &SecretFile| secret.read().map_err(|error| error.to_string());
        // A file system that hangs holds up no request.
        spawn_blocking(move || files.iter().map(content).collect()).await.ok()
    }
}

impl<P: Fn(&EnvFile) -> Result<Config, ConfigErrors>> Rotation<P> {
    /// Reads the files every few seconds, and twice at each `hangup`. A change counts when two reads have found the same content:
    /// a program may still be writing a file at the first. A hangup also checks refused values again, and so does a value that
    /// the database did not accept, after a while.
    pub(crate) async fn run(mut self, files: SecretFiles, hangup: Arc<Notify>) {
        let mut watched = self.watch(files);
        loop {
            let is_hangup = tokio::select! {
                () = hangup.notified() => true,
                () = sleep(POLL_INTERVAL) => false,
            };
            if is_hangup || watched.is_recheck_due() {
                let Some(contents) = watched.read().await else { continue };
                watched.recheck(contents);
                sleep(WRITE_TIME).await;
            }
            let Some(contents) = watched.read().await else { continue };
            let differ = watched.differ(&contents);
            for Changes { changed, refused } in watched.changes(contents) {
                let all = [changed.as_slice(), &refused].concat();
                let mut result = self.apply_changes(&watched, &all).await.map(|()| &all);
                // A file that was refused before does not keep a secret that is urgent.
                if result.is_err() && !refused.is_empty() {
                    result = self.apply_changes(&watched, &changed).await.map(|()| &changed);
                }
                match result {
                    Ok(used) => watched.settle(used, true),
                    Err(refusal) => {
                        watched.settle(&changed, false);
                        if refusal.passes {
                            watched.recheck_at = Some(Instant::now() + RETRY_INTERVAL);
                        }
                    }
                }
            }
            if is_hangup && !differ {
                tracing::info!("no file with a value has changed");
            }
        }
    }

    fn watch(&self, SecretFiles(files): SecretFiles) -> Watched {
        let used = |secret: &SecretFile| Ok(self.file.get(&secret.name).unwrap_or_default().to_owned());
        let used: Vec<Content> = files.iter().map(used).collect();
        Watched::new(files, used)
    }

    /// Replaces the values of these files. If one of them cannot be used, all are as before.
    async fn apply_changes(&mut self, watched: &Watched, files: &[usize]) -> Result<(), Refusal> {
        let contents = files.iter().map(|at| (&watched.files[*at], &watched.last_read[*at]));
        let changed: Vec<_> = contents
            .filter(|(secret, content)| content.as_deref().ok() != self.file.get(&secret.name))
            .collect();
        let used = if changed.is_empty() { Ok(()) } else { self.replace(&changed).await };
        match &used {
            Ok(()) => {
                for (SecretFile { name, path }, _) in changed {
                    tracing::info!(variable = name, path = %path.display(), "a value has changed, and new requests use it");
                }
            }
            Err(Refusal { reason, .. }) => {
                let place =
                    |(secret, _): &(&SecretFile, _)| format!("{} ({})", secret.name, secret.path.display());
                let changed = changed.iter().map(place).collect::<Vec<_>>().join(", ");
                tracing::error!(
                    changed,
                    reason,
                    "a changed value cannot be used; Deputy keeps the previous value of each changed file. Correct the file"
                );
            }
        }
        used
    }

    /// Replaces these values, or none of them.
    async fn replace(&mut self, changed: &[(&SecretFile, &Content)]) -> Result<(), Refusal> {
        let mut file = self.file.clone();
        let mut unreadable = Vec::new();
        for (secret, content) in changed {
            match content {
                Ok(value) => file.insert(secret.name.clone(), value.clone()),
                Err(reason) => unreadable.push(reason.as_str()),
            }
        }
        if !unreadable.is_empty() {
            return Err(unreadable.join("; ").into());
        }
        let config = (self.parse)(&file).map_err(|errors| {
            let errors = errors.0.iter().map(ToString::to_string).collect::<Vec<_>>();
            errors.join("; ")
        })?;
        if !config.keys.accepts_tokens_of(&self.keys) {
            return Err(LOST_KEY.to_owned().into());
        }
        if let Some((_, Ok(url))) = changed.iter().find(|(secret, _)| secret.name == "STORE_URL") {
            let Ok(url) = url.parse::<StoreUrl>();
            self.store.use_url(&url).await?;
        }
        if !config.keys.has_each_of(&self.keys) {
            tracing::warn!(RETIRED_KEY);
        }
        self.keys = config.keys.clone();
        if let Some(audit) = &self.audit {
            audit.use_keys(&config.keys);
        }
        self.served.replace(config);
        self.file = file;
        Ok(())
    }
}

/// Time between two reads.
const POLL_INTERVAL: Duration = Duration::from_secs(2);

/// Time until a value that the database did not accept is checked again.
pub(crate) const RETRY_INTERVAL: Duration = Duration::from_secs(10);

/// Time between the two reads at a hangup.
const WRITE_TIME: Duration = Duration::from_millis(200);

const LOST_KEY: &str = "SERVER_KEY does not contain the key in use, so every login would end. Set the new key, a comma, and \
                        the key in use; or restart Deputy to end every login";

const RETIRED_KEY: &str =
    "SERVER_KEY has one key less: tokens and clients of the removed key are not accepted any more";

#[cfg(test)]
mod tests {
    use super::*;

    /// Two files in one folder, and one in another.
    fn watched() -> Watched {
        let secret = |path: &str| SecretFile { name: path.to_owned(), path: path.into() };
        Watched::new(["a/admin", "a/key", "b/clients"].map(secret).to_vec(), contents(["one", "1", "x"]))
    }

    fn contents(values: [&str; 3]) -> Vec<Content> {
        values.map(|value| Ok(value.to_owned())).to_vec()
    }

    fn changed(files: &[usize]) -> Vec<Changes> {
        vec![Changes { changed: files.to_vec(), refused: Vec::new() }]
    }

    #[test]
    fn values_count_when_two_reads_have_found_them() {
        let mut watched = watched();
        let mut reads = |token: &str| watched.changes(contents([token, "1", "x"]));
        assert_eq!(reads("one"), [], "it is in use");
        assert_eq!((reads("tw"), reads("two")), (vec![], vec![]), "it was still written");
        assert_eq!(reads("two"), changed(&[0]));
        watched.settle(&[0], true);
        assert_eq!(watched.changes(contents(["two", "1", "x"])), []);
    }

    #[test]
    fn refused_value_is_checked_again_at_a_hangup() {
        let mut watched = watched();
        let two = || contents(["two", "1", "x"]);
        watched.last_read = two();
        watched.settle(&[0], false);
        assert_eq!(watched.changes(two()), []);
        watched.recheck(two());
        assert_eq!(watched.changes(two()), changed(&[0]));
        watched.recheck(contents(["thr", "1", "x"]));
        assert_eq!(watched.changes(contents(["three", "1", "x"])), [], "it was still written at the hangup");
    }

    #[test]
    fn values_of_a_folder_that_is_being_replaced_do_not_count() {
        let mut watched = watched();
        let first = watched.changes(contents(["one", "2", "x"]));
        assert_eq!(first, [], "the first was read before the replacement");
        assert_eq!(watched.changes(contents(["two", "2", "x"])), []);
        assert_eq!(watched.changes(contents(["two", "2", "x"])), changed(&[0, 1]));
    }

    #[test]
    fn file_that_differs_at_every_read_keeps_its_folder_only() {
        let mut watched = watched();
        assert_eq!(watched.changes(contents(["two", "1", "y"])), []);
        assert_eq!(watched.changes(contents(["two", "1", "z"])), changed(&[0]));
    }

    #[test]
    fn refused_value_is_tried_with_the_next_change_of_its_folder() {
        let mut watched = watched();
        watched.last_read = contents(["one", "broken", "x"]);
        watched.settle(&[1], false);
        let two = || contents(["two", "broken", "x"]);
        assert_eq!(watched.changes(two()), []);
        assert_eq!(watched.changes(two()), [Changes { changed: vec![0], refused: vec![1] }]);
    }
}
