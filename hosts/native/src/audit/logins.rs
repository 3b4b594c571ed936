//! `deputy logins`: the logins in an audit log, and why they failed.

use std::{
    fs::File,
    io::{self, BufRead as _, Write as _},
    path::{Path, PathBuf},
};

use chrono::{DateTime, Utc};
use clap::Args;
use deputy::{
    history::{self, Login, State},
    types::{ClientId, Reference},
};

use super::{AuditError, command::Since, files, folder};
use crate::{commands::DataOptions, error::StartError, host::wall_clock};

/// Options of `deputy logins`.
#[derive(Args, Debug)]
pub(crate) struct LoginsOptions {
    /// Only the login with this reference, which pages and errors show
    #[arg(value_name = "REFERENCE")]
    pub(crate) reference: Option<Reference>,
    /// Only logins of the user with this `sub`
    #[arg(long, env = "LOGINS_PERSON", value_name = "SUB")]
    pub(crate) person: Option<String>,
    /// Only logins of the client with this `client_id`, or with this text in its name
    #[arg(long, env = "LOGINS_CLIENT", value_name = "CLIENT")]
    pub(crate) client: Option<String>,
    /// Only logins since a time, as 2026-01-31T14:03:00Z, or a duration before now, as 90m, 24h or 7d
    #[arg(long, env = "LOGINS_SINCE", value_name = "TIME", value_parser = Since::parse)]
    pub(crate) since: Option<Since>,
    /// Only logins that were refused, denied or given up
    #[arg(long, env = "LOGINS_FAILED")]
    pub(crate) failed: bool,
    /// One JSON object for each login
    #[arg(long, env = "LOGINS_JSON")]
    pub(crate) json: bool,
    /// Data folder of a replica, file with lines of Workers Logs or of `deputy audit export`, or `-` for the standard input, instead of the data folder. Once for each replica
    #[arg(long, env = "LOGINS_FROM", value_name = "FILE")]
    pub(crate) from: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) data: DataOptions,
}

/// Runs `deputy logins`. `is_shared`: other replicas may use the records, too.
pub(crate) fn run(options: &LoginsOptions, is_shared: bool) -> Result<(), StartError> {
    let own = [options.data.data_dir.clone()];
    let sources = if options.from.is_empty() { &own[..] } else { &options.from };
    let now = wall_clock().0;
    let mut failure = None;
    let mut lines: Vec<Lines> = Vec::new();
    for source in sources {
        let failed = |cause| StartError::Audit(AuditError { path: source.clone(), cause });
        let read =
            if options.from.is_empty() || source.is_dir() { read_folder(source)? } else { read_file(source) };
        lines.push(read.map_err(failed)?);
    }
    let lines = sources.iter().zip(lines).flat_map(|(source, lines)| lines.map(move |line| (source, line)));
    let lines = lines.map_while(|(source, line)| line.map_err(|cause| failure = Some((source, cause))).ok());
    let logins = history::logins(lines, now);
    // The logins of a part of the lines would mislead.
    if let Some((source, cause)) = failure {
        return Err(StartError::Audit(AuditError { path: source.clone(), cause }));
    }
    let is_partial = options.from.is_empty() && is_shared
        || sources.len() == 1 && logins.iter().any(|login| login.lacks_steps);
    let chosen = logins.iter().filter(|login| options.chooses(login));
    match print(chosen, options.json, is_partial) {
        // The reader of the pipe, such as `head`, has closed it.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result.map_err(|cause| StartError::Audit(AuditError { path: own[0].clone(), cause })),
    }
}

type Lines = Box<dyn Iterator<Item = io::Result<String>>>;

/// The lines of the audit log in a data folder.
fn read_folder(data: &Path) -> Result<io::Result<Lines>, StartError> {
    let folder = folder(data);
    if !folder.is_dir() {
        return Err(StartError::NoAuditLog(folder));
    }
    let lines = |files| -> Lines { Box::new(files::lines(files).map(|line| line.map(|(_, line)| line))) };
    Ok(files::list(&folder).map(lines))
}

fn read_file(file: &Path) -> io::Result<Lines> {
    if file == Path::new("-") {
        return Ok(Box::new(io::stdin().lines()));
    }
    Ok(Box::new(io::BufReader::new(File::open(file)?).lines()))
}

impl LoginsOptions {
    fn chooses(&self, login: &Login) -> bool {
        let is_client = |wanted: &String| {
            let name = login.client_name.as_deref().unwrap_or_default().to_lowercase();
            // Events have a part of the `client_id` of a client that registered.
            let id = ClientId::parse(wanted).map_or_else(|_| wanted.clone(), |id| id.to_string());
            login.client_id == Some(id) || name.contains(&wanted.to_lowercase())
        };
        let has_failed = matches!(login.state, State::Denied | State::GivenUp | State::Refused);
        self.reference.is_none_or(|reference| reference.to_string() == login.reference)
            && self.person.as_ref().is_none_or(|person| login.user.as_ref() == Some(person))
            && self.client.as_ref().is_none_or(is_client)
            && self.since.is_none_or(|since| login.began >= since.seconds())
            && (!self.failed || has_failed)
    }
}

/// `is_partial`: the lines are probably those of one replica among several.
fn print<'a>(logins: impl Iterator<Item = &'a Login>, json: bool, is_partial: bool) -> io::Result<()> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    for login in logins {
        if json {
            writeln!(out, "{}", serde_json::to_string(login)?)?;
        } else {
            write!(out, "{}", in_words(login, is_partial))?;
        }
    }
    out.flush()
}

/// A login for people. Control characters in texts of clients do not reach the terminal.
fn in_words(login: &Login, is_partial: bool) -> String {
    let state = match login.state {
        State::Finished => "finished".to_owned(),
        State::Denied => "denied by the user".to_owned(),
        State::Refused => format!("refused at {}", login.at),
        State::GivenUp => format!("given up at {}", login.at),
        State::UnderWay => format!("under way, at {}", login.at),
    };
    let client = match (&login.client_name, &login.client_id) {
        (Some(name), Some(id)) => format!("{name} ({id})"),
        (None, Some(id)) => id.clone(),
        (_, None) => "no client".to_owned(),
    };
    let user = login.user.as_deref().unwrap_or("user unknown");
    let mut lines = vec![format!(
        "{}  {}  {state}  {client}  {user}",
        time(login.began, "%Y-%m-%d %H:%M:%S UTC"),
        login.reference
    )];
    lines.extend(login.steps.iter().map(|(at, step)| format!("  {}  {step}", time(*at, "%H:%M:%S"))));
    if is_partial && matches!(login.state, State::GivenUp | State::UnderWay) {
        lines.push(format!("  {ELSEWHERE}"));
    }
    lines.extend(login.cause.iter().map(|cause| format!("  Likely cause: {cause}")));
    lines.extend(login.fix.iter().map(|fix| format!("  Remedy: {fix}")));
    let lines = lines.iter().map(|line| line.replace(char::is_control, "\u{fffd}"));
    lines.fold(String::new(), |text, line| text + &line + "\n") + "\n"
}

const ELSEWHERE: &str = "The login may have gone on at another replica, whose audit log was not read: give the data folder of each \
                         with --from, or the output of `deputy audit export` there";

fn time(seconds: u64, format: &str) -> String {
    let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
    DateTime::<Utc>::from_timestamp(seconds, 0).map_or_else(String::new, |at| at.format(format).to_string())
}
