//! Parsing the command line with the environment and the file with variables.

use std::{ffi::OsString, path::PathBuf};

use clap::{
    ArgMatches, CommandFactory as _, FromArgMatches as _,
    builder::Resettable,
    error::{ContextKind, ContextValue, ErrorKind},
};

use super::Cli;
use crate::{
    env_file::{EnvFile, EnvFileError},
    secret_files::{SecretFileError, SecretFiles, Uses},
};

/// A command line with the variables that it can use.
#[derive(Debug)]
pub(crate) struct Parsed {
    pub(crate) cli: Cli,
    /// The file with variables, and the secrets of `secrets`.
    pub(crate) file: EnvFile,
    /// The files with secrets that the command uses.
    pub(crate) secrets: SecretFiles,
}

/// Parses the command line, the environment and the file with variables. A flag wins over a variable of the environment, that
/// over the file, and that over the default.
pub(crate) fn parse(
    arguments: impl IntoIterator<Item = OsString> + Clone,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Parsed, clap::Error> {
    // For the name of the file only. The second pass reports errors.
    let first = Cli::command().ignore_errors(true).try_get_matches_from(arguments.clone())?;
    let (mut file, mut secrets) = (EnvFile::default(), SecretFiles::default());
    if let Some((command, matches)) = first.subcommand()
        && let Some(uses) = secrets_of(command)
    {
        file = read_env_file(command, matches)?;
        let unusable = |error: SecretFileError| with_usage(command, ErrorKind::Io, error.to_string());
        secrets = SecretFiles::find(uses, &file, &variable).map_err(unusable)?;
        secrets.read_into(&mut file).map_err(unusable)?;
    }
    let command = Cli::command()
        .mut_args(|arg| with_default(arg, &file, &variable))
        .mut_subcommands(|command| command.mut_args(|arg| with_default(arg, &file, &variable)));
    let sources = command.clone();
    let matches = command
        .try_get_matches_from(arguments.clone())
        .map_err(|error| with_source(error, &sources, arguments, &file, &variable))?;
    Ok(Parsed { cli: Cli::from_arg_matches(&matches)?, file, secrets })
}

/// Adds to an error about a value the variable that it comes from, unless it comes from the command line.
fn with_source(
    mut error: clap::Error,
    command: &clap::Command,
    arguments: impl IntoIterator<Item = OsString>,
    file: &EnvFile,
    variable: impl Fn(&str) -> Option<String>,
) -> clap::Error {
    let Some(ContextValue::String(named)) = error.get(ContextKind::InvalidArg) else { return error };
    let Some(long) = named.split(' ').next().and_then(|flag| flag.strip_prefix("--")).map(str::to_owned)
    else {
        return error;
    };
    let is_flag = |argument: OsString| {
        argument.to_str().and_then(|text| text.strip_prefix("--")?.split('=').next()) == Some(&long)
    };
    let arg = command
        .get_subcommands()
        .chain([command])
        .flat_map(clap::Command::get_arguments)
        .find(|arg| arg.get_long() == Some(&long));
    let name = arg.and_then(|arg| arg.get_env()?.to_str()).unwrap_or_default();
    if arguments.into_iter().any(is_flag) {
        return error;
    }
    let source = if variable(name).is_some() {
        format!("this is the value of the environment variable {name}")
    } else if file.get(name).is_some() {
        format!("this is the value of {name} in the file with variables")
    } else {
        return error;
    };
    error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![source.into()]));
    error
}

fn with_default(arg: clap::Arg, file: &EnvFile, variable: impl Fn(&str) -> Option<String>) -> clap::Arg {
    let name = arg.get_env().and_then(|name| name.to_str()).map(str::to_owned);
    // Compose files and CI set unknown variables to nothing. These must not hide the file.
    let is_blank = name.as_deref().and_then(&variable).is_some_and(|value| value.trim().is_empty());
    let arg = if is_blank { arg.env(Resettable::Reset) } else { arg };
    let from_file = name.as_deref().and_then(|name| file.get(name).map(str::to_owned));
    let value =
        from_file.or_else(|| if name.as_deref() == Some("LOG") { variable("RUST_LOG") } else { None });
    match value.filter(|value| !value.is_empty()) {
        Some(value) => arg.default_value(value),
        None => arg,
    }
}

fn read_env_file(command: &str, matches: &ArgMatches) -> Result<EnvFile, clap::Error> {
    let named: Option<&PathBuf> = matches.get_one("env_file");
    let path = named.map_or(PathBuf::from(".env"), Clone::clone);
    match EnvFile::read(&path) {
        Ok(file) => Ok(file),
        Err(EnvFileError::Io(error)) if named.is_none() && error.kind() == std::io::ErrorKind::NotFound => {
            Ok(EnvFile::default())
        }
        Err(error) => {
            let message =
                format!("the file {} (--env-file, ENV_FILE) cannot be used: {error}", path.display());
            Err(with_usage(command, ErrorKind::Io, message))
        }
    }
}

/// An error with the usage of this command below it.
fn with_usage(command: &str, kind: ErrorKind, message: String) -> clap::Error {
    let mut cli = Cli::command();
    cli.build();
    match cli.find_subcommand_mut(command) {
        Some(command) => command.error(kind, message),
        None => cli.error(kind, message),
    }
}

/// The secrets of a command that reads the file with variables.
fn secrets_of(command: &str) -> Option<Uses> {
    match command {
        "audit" => Some(Uses::Named(&["SERVER_KEY", "COOKIE_ENCRYPTION_KEY"])),
        "backup" | "restore" => Some(Uses::Named(&["STORE_URL"])),
        "store" => Some(Uses::Named(&["ADMIN_TOKEN", "STORE_URL"])),
        "clients" | "grants" => Some(Uses::Named(&["ADMIN_TOKEN"])),
        "doctor" | "provision" => Some(Uses::All),
        "serve" => Some(Uses::Server),
        "tools" => Some(Uses::Named(&[])),
        _ => None,
    }
}
