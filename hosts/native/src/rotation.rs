//! Secrets in files that change while the server runs.

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
pub(crate) struct Current {
    pub(crate) server: Server,
    public: watch::Sender<Router>,
    /// The admin interface with its port, if it is served.
    admin: Option<(watch::Sender<Router>, u16)>,
}

impl Current {
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

    /// Has new requests use the secrets of `config`.
    fn replace(&mut self, config: Config) {
        self.server = self.server.with_secrets(config);
        drop(self.public.send_replace(self.server.router()));
        if let Some((router, port)) = &self.admin {
            drop(router.send_replace(admin_router(&self.server, *port)));
        }
    }
}

fn admin_router(server: &Server, port: u16) -> Router {
    only_loopback_hosts(server.admin_router(), port)
}

/// Reads files with secrets again, and replaces the values that have changed. A value that cannot be used is logged, and the
/// one before it stays in use.
pub(crate) struct Rotation<P> {
    pub(crate) current: Current,
    pub(crate) store: Arc<dyn NativeStore>,
    pub(crate) audit: Option<Arc<AuditFiles>>,
    /// The keys in use.
    pub(crate) keys: Keys,
    /// The variables, with the secrets in use.
    pub(crate) file: EnvFile,
    /// Parses variables.
    pub(crate) parse: P,
}

/// A file that is watched.
struct Watched {
    secret: SecretFile,
    /// Its content at the last look.
    seen: Content,
    /// Its content that was used or refused last.
    judged: Content,
}

/// The value in a file, or the reason that it has none.
type Content = Result<String, String>;

impl<P: Fn(&EnvFile) -> Result<Config, ConfigErrors>> Rotation<P> {
    /// Looks at the files every few seconds, and at each `hangup`. A change counts at a hangup, or when two looks have found the
    /// same content: a program may still be writing the file at the first.
    pub(crate) async fn run(mut self, files: SecretFiles, hangup: Arc<Notify>) {
        let mut watched: Vec<_> = files.0.into_iter().map(|secret| self.watch(secret)).collect();
        loop {
            let is_hangup = tokio::select! {
                () = hangup.notified() => true,
                () = sleep(LOOK_EVERY) => false,
            };
            let files: Vec<_> = watched.iter().map(|watched| watched.secret.clone()).collect();
            let look = move || files.iter().map(content).collect::<Vec<_>>();
            // A panic is logged. A file system that hangs holds up no request.
            let Ok(contents) = spawn_blocking(look).await else { continue };
            let mut changed = false;
            for (watched, content) in watched.iter_mut().zip(contents) {
                if content != watched.judged && (is_hangup || content == watched.seen) {
                    changed = true;
                    self.judge(&watched.secret, &content);
                    watched.judged.clone_from(&content);
                }
                watched.seen = content;
            }
            if is_hangup && !changed {
                tracing::info!("no file with a secret has changed");
            }
        }
    }

    fn watch(&self, secret: SecretFile) -> Watched {
        let used: Content = Ok(self.file.get(&secret.name).unwrap_or_default().to_owned());
        Watched { secret, seen: used.clone(), judged: used }
    }

    fn judge(&mut self, secret: &SecretFile, content: &Content) {
        let SecretFile { name, path } = secret;
        let path = path.display();
        let used = match content {
            Ok(value) if self.file.get(name) == Some(value) => return,
            Ok(value) => self.replace(name, value),
            Err(reason) => Err(reason.clone()),
        };
        match used {
            Ok(()) => tracing::info!(secret = name, %path, "a secret has changed, and new requests use it"),
            Err(reason) => tracing::error!(
                secret = name,
                %path,
                reason,
                "a secret has changed and cannot be used; the one before it stays in use. Correct the file"
            ),
        }
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
            if !config.keys.accept_those_of(&self.keys) {
                return Err(LOST_KEY.to_owned());
            }
            self.keys = config.keys.clone();
            if let Some(audit) = &self.audit {
                audit.use_keys(&config.keys);
            }
            self.current.replace(config);
        }
        self.file = file;
        Ok(())
    }
}

fn content(secret: &SecretFile) -> Content {
    secret.read().map_err(|error| error.to_string())
}

/// Each file is looked at twice before a change counts.
const LOOK_EVERY: Duration = Duration::from_secs(2);

const LOST_KEY: &str = "it lacks the key that makes the tokens in use, so that every login would end. Set the new key, a \
                        comma, and the key in use; or restart Deputy to end every login";
