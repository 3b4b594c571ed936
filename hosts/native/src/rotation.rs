//! Values in files that change while the server runs: secrets, and the list of clients.

use std::{sync::Arc, time::Duration};

use axum::Router;
use deputy::{
    Server,
    config::{Config, ConfigErrors, Keys},
    only_loopback_hosts,
};
use tokio::{
    sync::{Notify, watch},
    task::spawn_blocking,
    time::sleep,
};

use crate::{
    audit::AuditFiles,
    env_file::EnvFile,
    secret_files::{SecretFile, SecretFiles},
    store::{NativeStore, StoreUrl},
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

/// Reads files with values again, and replaces the values that have changed, all at once: a key and a client secret that an
/// orchestrator replaces together are used together. If one of them cannot be used, Deputy logs it, and keeps all previous ones.
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

/// The files that are watched.
struct Watched {
    files: Vec<SecretFile>,
    last_read: Vec<Content>,
    /// The contents that were used or refused last. `None`: refused ones are to be checked again.
    applied: Option<Vec<Content>>,
    /// Whether those contents were refused.
    is_refused: bool,
}

/// The value in a file, or the reason that it has none.
type Content = Result<String, String>;

impl Watched {
    fn differ(&self, contents: &[Content]) -> bool {
        self.applied.as_deref() != Some(contents)
    }

    /// Notes what a read has found, and whether a change counts: the read before has found the same in every file. So the
    /// contents of a folder that is replaced between the reads of two files do not count.
    fn have_changed_to(&mut self, contents: Vec<Content>) -> bool {
        let count = self.differ(&contents) && contents == self.last_read;
        self.last_read = contents;
        count
    }

    /// Notes what the first read at a hangup has found, so that the second one checks refused values again.
    fn recheck(&mut self, contents: Vec<Content>) {
        self.last_read = contents;
        if self.is_refused {
            self.applied = None;
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
    /// a program may still be writing a file at the first. A hangup also checks refused values again.
    pub(crate) async fn run(mut self, files: SecretFiles, hangup: Arc<Notify>) {
        let mut watched = self.watch(files);
        loop {
            let is_hangup = tokio::select! {
                () = hangup.notified() => true,
                () = sleep(POLL_INTERVAL) => false,
            };
            if is_hangup {
                let Some(contents) = watched.read().await else { continue };
                watched.recheck(contents);
                sleep(WRITE_TIME).await;
            }
            let Some(contents) = watched.read().await else { continue };
            let differ = watched.differ(&contents);
            if watched.have_changed_to(contents) {
                watched.is_refused = !self.apply_changes(&watched);
                watched.applied = Some(watched.last_read.clone());
            }
            if is_hangup && !differ {
                tracing::info!("no file with a value has changed");
            }
        }
    }

    fn watch(&self, SecretFiles(files): SecretFiles) -> Watched {
        let used = |secret: &SecretFile| Ok(self.file.get(&secret.name).unwrap_or_default().to_owned());
        let used: Vec<Content> = files.iter().map(used).collect();
        Watched { files, last_read: used.clone(), applied: Some(used), is_refused: false }
    }

    /// Replaces the values that have changed. `false`: one of them cannot be used, and all are as before.
    fn apply_changes(&mut self, watched: &Watched) -> bool {
        let contents = watched.files.iter().zip(&watched.last_read);
        let changed: Vec<_> = contents
            .filter(|(secret, content)| content.as_deref().ok() != self.file.get(&secret.name))
            .collect();
        let used = if changed.is_empty() { Ok(()) } else { self.replace(&changed) };
        match &used {
            Ok(()) => {
                for (SecretFile { name, path }, _) in changed {
                    tracing::info!(variable = name, path = %path.display(), "a value has changed, and new requests use it");
                }
            }
            Err(reason) => {
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
        used.is_ok()
    }

    /// Replaces these values, or none of them.
    fn replace(&mut self, changed: &[(&SecretFile, &Content)]) -> Result<(), String> {
        let mut file = self.file.clone();
        let mut unreadable = Vec::new();
        for (secret, content) in changed {
            match content {
                Ok(value) => file.insert(secret.name.clone(), value.clone()),
                Err(reason) => unreadable.push(reason.as_str()),
            }
        }
        if !unreadable.is_empty() {
            return Err(unreadable.join("; "));
        }
        let config = (self.parse)(&file).map_err(|errors| {
            let errors = errors.0.iter().map(ToString::to_string).collect::<Vec<_>>();
            errors.join("; ")
        })?;
        if !config.keys.accepts_tokens_of(&self.keys) {
            return Err(LOST_KEY.to_owned());
        }
        if let Some((_, Ok(url))) = changed.iter().find(|(secret, _)| secret.name == "STORE_URL") {
            let Ok(url) = url.parse::<StoreUrl>();
            self.store.use_url(&url).map_err(|error| error.to_string())?;
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

/// Time between the two reads at a hangup.
const WRITE_TIME: Duration = Duration::from_millis(200);

const LOST_KEY: &str = "SERVER_KEY does not contain the key in use, so every login would end. Set the new key, a comma, and \
                        the key in use; or restart Deputy to end every login";

const RETIRED_KEY: &str =
    "SERVER_KEY has one key less: tokens and clients of the removed key are not accepted any more";

#[cfg(test)]
mod tests {
    use super::*;

    fn watched(values: [&str; 2]) -> Watched {
        let secret = |name: &str| SecretFile { name: name.to_owned(), path: name.into() };
        let used = contents(values);
        let files = vec![secret("ADMIN_TOKEN"), secret("SERVER_KEY")];
        Watched { files, last_read: used.clone(), applied: Some(used), is_refused: false }
    }

    fn contents(values: [&str; 2]) -> Vec<Content> {
        values.map(|value| Ok(value.to_owned())).to_vec()
    }

    #[test]
    fn values_count_when_two_reads_have_found_them() {
        let mut watched = watched(["one", "1"]);
        let mut reads = |token: &str| watched.have_changed_to(contents([token, "1"]));
        assert!(!reads("one"), "it is in use");
        assert!(!reads("tw") && !reads("two"), "it was still written");
        assert!(reads("two"));
        watched.applied = Some(contents(["two", "1"]));
        assert!(!watched.have_changed_to(contents(["two", "1"])));
        watched.is_refused = true;
        watched.recheck(contents(["two", "1"]));
        assert!(watched.have_changed_to(contents(["two", "1"])), "a hangup checks a refused value again");
        watched.recheck(contents(["thr", "1"]));
        assert!(!watched.have_changed_to(contents(["three", "1"])), "it was still written at the hangup");
    }

    #[test]
    fn values_of_a_folder_that_is_being_replaced_do_not_count() {
        let mut watched = watched(["one", "1"]);
        assert!(
            !watched.have_changed_to(contents(["one", "2"])),
            "the first was read before the replacement"
        );
        assert!(!watched.have_changed_to(contents(["two", "2"])));
        assert!(watched.have_changed_to(contents(["two", "2"])));
    }
}
