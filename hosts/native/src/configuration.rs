//! The configuration of a process: variables of the environment and of a file.

use deputy::config::{Config, ConfigError, ConfigErrors, Keys, Names, UnknownName};

use crate::{
    commands,
    env_file::{EnvFile, environment},
    openapi::ToolSource,
};

/// Parses the configuration, and reports misspelled names together with wrong values.
pub(crate) fn checked_config(file: &EnvFile, port: u16, tools: &ToolSource) -> Result<Config, ConfigErrors> {
    checked_config_or(file, port, tools, &|_| None)
}

/// Parses the configuration as [`checked_config`] does, with values for variables that are not set.
pub(crate) fn checked_config_or(
    file: &EnvFile,
    port: u16,
    tools: &ToolSource,
    default: &dyn Fn(&str) -> Option<String>,
) -> Result<Config, ConfigErrors> {
    match (check_names(file), config_with(file, port, tools, default)) {
        (Ok(()), config) => config,
        (Err(mut misspelled), config) => {
            misspelled.0.extend(config.err().map(|errors| errors.0).unwrap_or_default());
            Err(misspelled)
        }
    }
}

/// Parses the configuration of a server on `port`.
pub(crate) fn config_at(file: &EnvFile, port: u16, tools: &ToolSource) -> Result<Config, ConfigErrors> {
    config_with(file, port, tools, &|_| None)
}

fn config_with(
    file: &EnvFile,
    port: u16,
    tools: &ToolSource,
    default: &dyn Fn(&str) -> Option<String>,
) -> Result<Config, ConfigErrors> {
    let address = |name: &str| (name == "PUBLIC_URL").then(|| loopback_url(port));
    tools.config(|name| variable(file, name).or_else(|| default(name)).or_else(|| address(name)))
}

/// The keys of the server and earlier ones, without the rest of the configuration.
pub(crate) fn keys_for_verification(file: &EnvFile) -> Result<Keys, ConfigErrors> {
    Keys::read_for_verification(|name| variable(file, name))
}

/// A variable of the environment or of the file.
pub(crate) fn variable(file: &EnvFile, name: &str) -> Option<String> {
    file.below(environment, name)
}

/// The origin of a server on this computer. Port 80 is left out.
pub(crate) fn loopback_url(port: u16) -> String {
    if port == 80 { "http://localhost".to_owned() } else { format!("http://localhost:{port}") }
}

/// Refuses a misspelled variable in the file, and a variable of the environment that is not UTF-8. Warns about other names
/// without effect.
///
/// The file is Deputy's. The environment belongs to every program, so only an evident typo in it is worth a warning.
fn check_names(file: &EnvFile) -> Result<(), ConfigErrors> {
    let is_set = |name: &str| variable(file, name).is_some();
    let names = Names::new(commands::variables());
    let mut errors = Vec::new();
    for (name, value) in std::env::vars_os() {
        let Some(name) = name.to_str() else { continue };
        let is_typo = |unknown: &UnknownName| {
            unknown.meant.as_ref().is_some_and(|meant| meant.is_typo && !meant.is_set(is_set))
        };
        match names.unknown(name) {
            // The variable would count as absent.
            None if value.to_str().is_none() => {
                errors
                    .push(ConfigError { name: name.to_owned().into(), problem: "is not UTF-8 text".into() });
            }
            Some(unknown) if is_typo(&unknown) => tracing::warn!("the environment variable {unknown}"),
            None | Some(_) => {}
        }
    }
    match names.check(file.names(), is_set) {
        Ok(others) => {
            for unknown in others {
                tracing::warn!("in the file with variables, {unknown}");
            }
        }
        Err(misspelled) => errors.extend(misspelled),
    }
    if errors.is_empty() { Ok(()) } else { Err(ConfigErrors(errors)) }
}
