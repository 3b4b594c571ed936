//! Options about the place of the records.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use url::Url;

use super::whole_number;
use crate::{
    error::StartError,
    store::{self, Place, StoreUrl},
};

/// Options of each command that uses the records of a server.
#[derive(Args, Debug)]
pub(crate) struct StoreOptions {
    /// PostgreSQL database for the records, instead of an SQLite file in the data folder: `postgres://user:password@host/database`
    // The value may have a password, so no help and no error shows it. It is parsed later.
    #[arg(long, env = "STORE_URL", value_name = "URL", hide_env_values = true, hide_default_value = true)]
    pub(crate) store_url: Option<StoreUrl>,
    /// Connections of this process to PostgreSQL at a time, 1 to 1000; further operations wait
    #[arg(long, env = "STORE_CONNECTIONS", value_name = "NUMBER", default_value = "16",
        value_parser = whole_number::<u16>(1..=1000))]
    pub(crate) store_connections: u16,
}

impl StoreOptions {
    /// The place for the records. Refuses a PostgreSQL database while the folder has a database too.
    pub(crate) fn place<'a>(&'a self, folder: &'a Path) -> Result<Place<'a>, StartError> {
        let Some(url) = &self.store_url else { return Ok(Place::Folder(folder)) };
        let file = store::file_in(folder);
        if file.exists() {
            return Err(StartError::BothStores(file));
        }
        Ok(Place::Postgres(url, self.store_connections.into()))
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum StoreAction {
    /// Copy all records
    Copy,
}

/// Options of `deputy store copy`.
#[derive(Args, Debug)]
pub(crate) struct CopyOptions {
    #[arg(value_enum)]
    pub(crate) action: StoreAction,
    /// Data folder, `STORE_URL` for the PostgreSQL database in that variable, or the URL of the admin interface of a Deputy
    #[arg(value_name = "FROM")]
    pub(crate) from: PathBuf,
    /// Data folder or `STORE_URL`, for the copy
    #[arg(value_name = "TO")]
    pub(crate) to: PathBuf,
    /// File of NAME=value lines. A variable of the environment wins over it, unless it is empty [default: .env if it exists]
    #[arg(long, env = "ENV_FILE", value_name = "FILE")]
    pub(crate) env_file: Option<PathBuf>,
    /// PostgreSQL database: `postgres://user:password@host/database`
    #[arg(long, env = "STORE_URL", value_name = "URL", hide_env_values = true, hide_default_value = true)]
    pub(crate) store_url: Option<StoreUrl>,
}

impl CopyOptions {
    /// The URL of the admin interface, if records are copied from one.
    pub(crate) fn url(&self) -> Option<Url> {
        let text = self
            .from
            .to_str()
            .filter(|text| ["https://", "http://"].iter().any(|scheme| text.starts_with(scheme)));
        text.and_then(|text| Url::parse(text).ok())
    }

    /// The place that an argument names.
    pub(crate) fn place<'a>(&'a self, argument: &'a Path) -> Result<Place<'a>, StartError> {
        if argument.as_os_str() != "STORE_URL" {
            return Ok(Place::Folder(argument));
        }
        let url = self.store_url.as_ref().ok_or(StartError::NoStoreUrl)?;
        Ok(Place::Postgres(url, 1))
    }
}
