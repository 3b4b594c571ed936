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

/// Reads files with values again, and replaces the values that have changed. Deputy logs a value that it cannot use, and keeps
/// the previous one.
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

/// A file that is watched.
struct Watched {
    secret: SecretFile,
    last_read: Content,
    /// Its content that was used or refused last. `None`: a refused one is to be checked again.
    applied: Option<Content>,
    /// Whether that content was refused.
    is_refused: bool,
}

/// The value in a file, or the reason that it has none.
type Content = Result<String, String>;

impl Watched {
    fn differs(&self, content: &Content) -> bool {
        self.applied.as_ref() != Some(content)
    }

    /// Notes what a read has found, and whether a change counts: the read before has found the same.
    fn has_changed_to(&mut self, content: Content) -> bool {
        let counts = self.differs(&content) && content == self.last_read;
        self.last_read = content;
        counts
    }

    /// Notes what the first read at a hangup has found, so that the second one checks a refused value again.
    fn recheck(&mut self, content: Content) {
        self.last_read = content;
        if self.is_refused {
            self.applied = None;
        }
    }
}

impl<P: Fn(&EnvFile) -> Result<Config, ConfigErrors>> Rotation<P> {
    /// Reads the files every few seconds, and twice at each `hangup`. A change counts when two reads have found the same content:
    /// a program may still be writing the file at the first. A hangup also checks refused values again.
    pub(crate) async fn run(mut self, files: SecretFiles, hangup: Arc<Notify>) {
        let mut watched: Vec<_> = files.0.into_iter().map(|secret| self.watch(secret)).collect();
        loop {
            let is_hangup = tokio::select! {
                () = hangup.notified() => true,
                () = sleep(POLL_INTERVAL) => false,
            };
            if is_hangup {
                let Some(contents) = read(&watched).await else { continue };
                for (watched, content) in watched.iter_mut().zip(contents) {
                    watched.recheck(content);
                }
                sleep(WRITE_TIME).await;
            }
            let Some(contents) = read(&watched).await else { continue };
            let mut changed = false;
            for (watched, content) in watched.iter_mut().zip(contents) {
                changed |= watched.differs(&content);
                if watched.has_changed_to(content) {
                    watched.is_refused = !self.apply_change(&watched.secret, &watched.last_read);
                    watched.applied = Some(watched.last_read.clone());
                }
            }
            if is_hangup && !changed {
                tracing::info!("no file with a value has changed");
            }
        }
    }

    fn watch(&self, secret: SecretFile) -> Watched {
        let used: Content = Ok(self.file.get(&secret.name).unwrap_or_default().to_owned());
        Watched { secret, last_read: used.clone(), applied: Some(used), is_refused: false }
    }

    /// Replaces a value. `false`: it cannot be used.
    fn apply_change(&mut self, secret: &SecretFile, content: &Content) -> bool {
        let SecretFile { name, path } = secret;
        let path = path.display();
        let used = match content {
            Ok(value) if self.file.get(name) == Some(value) => return true,
            Ok(value) => self.replace(name, value),
            Err(reason) => Err(reason.clone()),
        };
        match &used {
            Ok(()) => tracing::info!(variable = name, %path, "a value has changed, and new requests use it"),
            Err(reason) => tracing::error!(
                variable = name,
                %path,
                reason,
                "a value has changed and cannot be used; Deputy keeps the previous one. Correct the file"
            ),
        }
        used.is_ok()
    }

    fn replace(&mut self, name: &str, value: &str) -> Result<(), String> {
        let mut file = self.file.clone();
        file.insert(name.to_owned(), value.to_owned());
        if name == "STORE_URL" {
            let Ok(url) = value.parse::<StoreUrl>();
            self.store.use_url(&url).map_err(|error| error.to_string())?;
        } else {
            let config = (self.parse)(&file).map_err(|errors| {
                let errors = errors.0.iter().map(ToString::to_string).collect::<Vec<_>>();
                errors.join("; ")
            })?;
            if !config.keys.accepts_tokens_of(&self.keys) {
                return Err(LOST_KEY.to_owned());
            }
            if !config.keys.has_each_of(&self.keys) {
                tracing::warn!(RETIRED_KEY);
            }
            self.keys = config.keys.clone();
            if let Some(audit) = &self.audit {
                audit.use_keys(&config.keys);
            }
            self.served.replace(config);
        }
        self.file = file;
        Ok(())
    }
}

/// The contents of the files. `None`: reading them panicked, which is in the log.
async fn read(watched: &[Watched]) -> Option<Vec<Content>> {
    let files: Vec<_> = watched.iter().map(|watched| watched.secret.clone()).collect();
    let content = |secret: &SecretFile| secret.read().map_err(|error| error.to_string());
    // A file system that hangs holds up no request.
    spawn_blocking(move || files.iter().map(content).collect()).await.ok()
}

/// Time between two reads.
const POLL_INTERVAL: Duration = Duration::from_secs(2);

/// Time between the two reads at a hangup.
const WRITE_TIME: Duration = Duration::from_millis(200);

const LOST_KEY: &str = "it does not contain the server key in use, so every login would end. Set the new key, a comma, and \
                        the key in use; or restart Deputy to end every login";

const RETIRED_KEY: &str =
    "SERVER_KEY has one key less: tokens and clients of the removed key are not accepted any more";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn value_counts_when_two_reads_have_found_it() {
        let content = |value: &str| -> Content { Ok(value.to_owned()) };
        let secret = SecretFile { name: "ADMIN_TOKEN".to_owned(), path: "token".into() };
        let used = content("one");
        let mut watched = Watched { secret, last_read: used.clone(), applied: Some(used), is_refused: false };
        let mut reads = |value: &str| watched.has_changed_to(content(value));
        assert!(!reads("one"), "it is in use");
        assert!(!reads("tw") && !reads("two"), "it was still written");
        assert!(reads("two"));
        watched.applied = Some(content("two"));
        assert!(!watched.has_changed_to(content("two")));
        watched.is_refused = true;
        watched.recheck(content("two"));
        assert!(watched.has_changed_to(content("two")), "a hangup checks a refused value again");
        watched.recheck(content("thr"));
        assert!(!watched.has_changed_to(content("three")), "it was still written at the hangup");
    }
}
