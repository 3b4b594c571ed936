//! Why a command of `deputy` fails.

use std::{io, path::PathBuf, process::ExitCode};

use deputy::config::ConfigErrors;

use crate::{
    admin::AdminError,
    audit::AuditError,
    listen::BindError,
    openapi::OpenApiError,
    provision::ProvisionError,
    store::{BackupError, CopyError, OpenError, PostgresError, StoreOpenError},
};

/// Why a command fails. The text is one paragraph for the operator.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    #[error(transparent)]
    Admin(#[from] AdminError),
    #[error(transparent)]
    Audit(#[from] AuditError),
    #[error("the audit log was changed")]
    AuditChanged,
    #[error("lines of the audit log cannot be verified: a SERVER_KEY is missing, or the lines were changed")]
    AuditKeyMissing,
    #[error(
        "ADMIN_LISTEN needs ADMIN_TOKEN, the secret of the admin interface; make one with: openssl rand -base64 32"
    )]
    NoAdminToken,
    #[error("there is no audit log in {}. --data-dir (DATA_DIR) names the folder of the data", .0.display())]
    NoAuditLog(PathBuf),
    #[error(transparent)]
    Backup(#[from] BackupError),
    #[error(
        "STORE_URL is set, and this command is for the SQLite file of a folder. Back up PostgreSQL with its own tools, such as \
         pg_dump and pg_restore"
    )]
    BackupOfPostgres,
    #[error(transparent)]
    Bind(#[from] BindError),
    #[error(
        "STORE_URL is set, and {path} is a database too, whose grants would be lost. Copy them with `deputy store copy`, and \
         move {path} and the files beside it that end in -wal and -shm to another place; or start without STORE_URL",
        path = .0.display()
    )]
    BothStores(PathBuf),
    #[error(transparent)]
    Config(#[from] ConfigErrors),
    /// A file or folder of the demo.
    #[error(
        "cannot use {path}: {1}. Make it readable and writable for this user, or choose another folder with --data-dir",
        path = .0.display()
    )]
    DemoFile(PathBuf, io::Error),
    #[error("checks that failed: {0}. The line of each has its remedy")]
    Doctor(usize),
    #[error("{path} cannot be created: {1}. Name a new file in a folder that this user can write", path = .0.display())]
    KeyFile(PathBuf, io::Error),
    #[error("{0}")]
    Log(String),
    #[error("{path} (--replacing) cannot be used: {1}", path = .0.display())]
    PresentKey(PathBuf, String),
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Copy(#[from] CopyError),
    #[error(
        "STORE_URL is not set. Set it to the PostgreSQL database, as postgres://user:password@host/database"
    )]
    NoStoreUrl,
    #[error(transparent)]
    OpenApi(#[from] OpenApiError),
    #[error("metrics cannot be recorded: {0}. Start Deputy without --metrics-listen (METRICS_LISTEN)")]
    Metrics(String),
    #[error(
        "this process may open {limit} files, and Deputy needs at least {needed}. Raise the limit (LimitNOFILE= in a unit \
         of systemd, ulimit -n in a shell)"
    )]
    OpenFiles { limit: u64, needed: u64 },
    /// The state of the demo's PingOne.
    #[error("cannot use {path}: {cause}. Let the demo make a new one with --reset", path = path.display())]
    PingOne { path: PathBuf, cause: String },
    #[error(transparent)]
    Postgres(#[from] PostgresError),
    #[error(transparent)]
    Provision(#[from] ProvisionError),
    #[error("signals cannot be received: {0}")]
    Signals(io::Error),
    #[error("threads cannot be started: {0}")]
    Threads(io::Error),
    #[error("the Todo API does not start: {0}")]
    TodoApi(String),
    #[error("traces cannot be sent: {0}. Start Deputy without --otlp-endpoint (OTEL_EXPORTER_OTLP_ENDPOINT)")]
    Traces(String),
    #[error("{path} (--wrangler, {1}) cannot be used: {2}", path = .0.display())]
    Wrangler(PathBuf, &'static str, String),
}

impl From<StoreOpenError> for StartError {
    fn from(error: StoreOpenError) -> Self {
        match error {
            StoreOpenError::Postgres(error) => error.into(),
            StoreOpenError::Sqlite(error) => error.into(),
        }
    }
}

impl StartError {
    pub(crate) fn metrics(error: impl std::error::Error) -> Self {
        Self::Metrics(error.to_string())
    }

    /// 2 for a wrong configuration, as for unknown flags; 1 otherwise. `deputy provision` has 3 too.
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Admin(error) => error.exit_code(),
            Self::Provision(error) => ExitCode::from(error.exit_code()),
            Self::OpenApi(
                OpenApiError::Document(..)
                | OpenApiError::Encoding(_)
                | OpenApiError::NoApi
                | OpenApiError::NoDocument
                | OpenApiError::NoOperation(_)
                | OpenApiError::Read(..),
            )
            | Self::BackupOfPostgres
            | Self::BothStores(_)
            | Self::Config(_)
            | Self::Log(_)
            | Self::NoAdminToken
            | Self::NoStoreUrl
            | Self::PresentKey(..)
            | Self::Postgres(PostgresError::Authorities(_) | PostgresError::Url(_))
            | Self::Traces(_)
            | Self::Wrangler(..) => ExitCode::from(2),
            Self::Audit(_)
            | Self::AuditChanged
            | Self::AuditKeyMissing
            | Self::NoAuditLog(_)
            | Self::Backup(_)
            | Self::Bind(_)
            | Self::Copy(_)
            | Self::DemoFile(..)
            | Self::Doctor(_)
            | Self::KeyFile(..)
            | Self::Metrics(_)
            | Self::Open(_)
            | Self::OpenApi(OpenApiError::Print(_) | OpenApiError::Warnings(_))
            | Self::OpenFiles { .. }
            | Self::PingOne { .. }
            | Self::Postgres(
                PostgresError::Elsewhere(_)
                | PostgresError::Encoding(..)
                | PostgresError::Newer(..)
                | PostgresError::NotYet(..)
                | PostgresError::OtherTables(_)
                | PostgresError::Unusable(..),
            )
            | Self::Signals(_)
            | Self::Threads(_)
            | Self::TodoApi(_) => ExitCode::FAILURE,
        }
    }
}
