//! Why Deputy does not start.

use std::{fmt, process::ExitCode};

use deputy::config::ConfigErrors;

use crate::{
    listen::BindError,
    store::{BackupError, OpenError},
};

/// One readable paragraph, and the exit status that goes with it.
#[derive(Debug)]
pub enum StartError {
    /// An option or a variable has to be changed.
    Configuration(String),
    /// Something else is in the way.
    Other(String),
}

impl StartError {
    /// 2 where options or variables are wrong, as for unknown flags; 1 otherwise.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Configuration(_) => ExitCode::from(2),
            Self::Other(_) => ExitCode::FAILURE,
        }
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Configuration(text) | Self::Other(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for StartError {}

impl From<BackupError> for StartError {
    fn from(error: BackupError) -> Self {
        Self::Other(error.to_string())
    }
}

impl From<BindError> for StartError {
    fn from(error: BindError) -> Self {
        Self::Other(error.to_string())
    }
}

impl From<ConfigErrors> for StartError {
    fn from(errors: ConfigErrors) -> Self {
        Self::Configuration(errors.to_string())
    }
}

impl From<OpenError> for StartError {
    fn from(error: OpenError) -> Self {
        Self::Other(error.to_string())
    }
}
