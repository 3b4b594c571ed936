//! The state that all requests share.

mod audit;

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicU64, Ordering},
};

pub(crate) use audit::{CallAudit, Trail, access_of};
use url::Url;

use crate::{
    config::Config,
    host::{GrantId, Host, Timestamp},
    limits::{DocumentFetches, UserConcurrency},
    log_context::RequestIds,
    mcp::{Catalog, Handler, Rules, StreamableHttp, ToolSummary},
    pages::Wording,
    pingone::PingOneClient,
    readiness::Readiness,
    records::UnwrittenActivity,
    seal::random_bytes,
    types::is_loopback,
};

/// The state behind the endpoints: the configuration, the host, and what this process remembers. Clones share all but the
/// configuration.
#[derive(Clone)]
pub(crate) struct App {
    pub(crate) config: Config,
    pub(crate) pingone: Arc<PingOneClient>,
    pub(crate) document_fetches: Arc<DocumentFetches>,
    pub(crate) mcp: Arc<StreamableHttp>,
    pub(crate) concurrency: Arc<UserConcurrency>,
    pub(crate) readiness: Arc<Readiness>,
    pub(crate) activity: Arc<UnwrittenActivity>,
    pub(crate) changes: Arc<GrantChanges>,
    pub(crate) wording: Arc<Wording>,
    /// The tools, as pages describe them.
    pub(crate) tools: Arc<[ToolSummary]>,
    /// The tools, prompts and resources, as approvals know them.
    pub(crate) catalog: Arc<Catalog>,
    build: OnceLock<Build>,
    pub(crate) request_ids: Arc<RequestIds>,
    host: Host,
}

/// The build of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Build {
    /// The version of Deputy.
    pub version: &'static str,
    /// The commit of its source, if it is known.
    pub commit: Option<&'static str>,
    /// The profile and the platform of the compiler.
    pub target: Option<&'static str>,
}

impl App {
    pub(crate) fn new(config: Config, host: Host, handler: Arc<dyn Handler>, wording: Wording) -> Self {
        let clock = Arc::clone(&host.clock);
        let (rules, tools) = (rules(&config, &*handler), handler.tools());
        let catalog = Catalog::of(&*handler);
        let mut first_id = [0; 8];
        host.random.fill(&mut first_id);
        Self {
            config,
            pingone: Arc::default(),
            document_fetches: Arc::default(),
            mcp: Arc::new(StreamableHttp::new(
                handler,
                Arc::new(move |duration| clock.sleep(duration)),
                rules,
            )),
            concurrency: Arc::new(UserConcurrency::new(host.capacity)),
            readiness: Arc::default(),
            activity: Arc::default(),
            changes: Arc::default(),
            wording: Arc::new(wording),
            tools: tools.into(),
            catalog: Arc::new(catalog),
            build: OnceLock::new(),
            request_ids: Arc::new(RequestIds::new(first_id)),
            host,
        }
    }

    /// This app with another configuration.
    pub(crate) fn with_config(&self, config: Config) -> Self {
        Self { config, ..self.clone() }
    }

    /// The wall clock. A handler reads it once, and again after it has waited.
    pub(crate) fn now(&self) -> Timestamp {
        self.host.clock.now()
    }

    pub(crate) fn name_build(&self, build: Build) {
        // The first name stays.
        let _ = self.build.set(build);
    }

    pub(crate) fn build(&self) -> Build {
        let unnamed = Build { version: env!("CARGO_PKG_VERSION"), commit: None, target: None };
        self.build.get().copied().unwrap_or(unnamed)
    }

    /// The host's randomness, as the pure modules take it.
    pub(crate) fn random(&self) -> impl Fn(&mut [u8]) + Sync + '_ {
        |buffer| self.host.random.fill(buffer)
    }

    /// The name of a new login, and of the grant that it ends in.
    pub(crate) fn new_grant_id(&self) -> GrantId {
        GrantId(random_bytes(&self.random()))
    }

    pub(crate) fn host(&self) -> &Host {
        &self.host
    }

    /// Whether a page of `origin` may call the MCP endpoint: this server's own, one that the operator admits, and, where
    /// `PUBLIC_URL` is a loopback address, every loopback origin.
    pub(crate) fn allows_origin(&self, origin: &str) -> bool {
        let url = &self.config.public_url;
        let local = || {
            let parsed =
                Url::parse(origin).ok().filter(|parsed| parsed.origin().ascii_serialization() == origin);
            parsed.is_some_and(|parsed| parsed.host().is_some_and(|host| is_loopback(&host)))
        };
        origin == url.issuer()
            || self.config.allowed_origins.iter().any(|allowed| allowed.admits(origin))
            || url.is_loopback() && local()
    }
}

/// The number of grants that this process has ended or narrowed, and of calls that it has cancelled. A request under way looks at its grant again when the
/// number changes. It counts and wakes nothing, since on Workers a request cannot wake another.
#[derive(Debug, Default)]
pub(crate) struct GrantChanges(AtomicU64);

impl GrantChanges {
    pub(crate) fn note(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The rules of the configuration for the tools of `handler`. A rule that cannot work is logged at the start.
fn rules(config: &Config, handler: &dyn Handler) -> Rules {
    let mut ungrantable = Vec::new();
    for (scope, name) in handler.declared_scopes() {
        if !config.api.scopes.contains(&scope) {
            tracing::warn!(
                scope,
                name,
                "API_SCOPES does not have a scope that this needs, so that no client can use it: add the scope to \
                 API_SCOPES if clients are to have it"
            );
            ungrantable.push(scope);
        }
    }
    let unconfirmed = config.unconfirmed_tools.clone();
    for tool in unconfirmed.iter().filter(|tool| handler.input_schema(tool).is_none()) {
        tracing::warn!(tool, "UNCONFIRMED_TOOLS names a tool that there is not");
    }
    Rules { ungrantable, unconfirmed }
}
