//! `deputy doctor`: whether the configuration, PingOne, the API and a deployment fit together. Nothing is served.
//!
//! Each group reads what it needs, within a time limit, and then judges it with a list of [`Check`](check::Check)s.

mod api;
pub(crate) mod check;
mod client;
mod configuration;
mod deployment;
mod login;
mod network;
mod report;
pub(crate) mod tenant;

use std::{
    io::{self, Write as _},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use clap::{Args, builder::BoolishValueParser};
use deputy::config::Config;
use deputy_openapi::Catalog;
use tokio::join;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::{
    Tools,
    commands::{DataOptions, StoreOptions},
    configuration::{checked_config, variable},
    env_file::EnvFile,
    error::StartError,
    host::NativeHost,
    listen::Listen,
    logging::Output,
    management::{ManagementUrl, Probe, Worker},
    openapi::{OpenApiOptions, ToolSource},
    store::{Place, PostgresStore},
    wrangler,
};
use api::Api;
use check::{Finding, Group, Verdict};
use network::Documents;

/// Options of `deputy doctor`.
#[derive(Args, Debug)]
pub(crate) struct DoctorOptions {
    /// Path below `API_URL` that needs a token, such as `/api/todos`
    #[arg(long, env = "DOCTOR_API_PATH", value_name = "PATH")]
    api_path: Option<String>,
    /// Let a user log in with a browser, in a private window, and look at the tokens; no refresh token is left
    #[arg(long, env = "DOCTOR_LOGIN", value_parser = BoolishValueParser::new())]
    login: bool,
    /// URL of a running Deputy with this configuration, to look at too, such as `https://deputy.example.com`
    #[arg(long, env = "DOCTOR_DEPLOYMENT", value_name = "URL")]
    deployment: Option<Url>,
    /// Configuration of a Worker, whose `vars` count below the file with variables
    #[arg(long, env = "DOCTOR_WRANGLER", value_name = "FILE")]
    wrangler: Option<PathBuf>,
    /// URL of the environment in PingOne's management API, if the issuer is on a custom domain
    #[arg(long, env = "PINGONE_MANAGEMENT_URL", value_name = "URL", value_parser = ManagementUrl::parse)]
    management_url: Option<ManagementUrl>,
    /// Fail if there is a warning
    #[arg(long, env = "DOCTOR_STRICT", value_parser = BoolishValueParser::new())]
    strict: bool,
    /// Print one JSON document instead of lines
    #[arg(long, env = "DOCTOR_JSON", value_parser = BoolishValueParser::new())]
    json: bool,
    /// Address and port that Deputy will listen on, for its URL if `PUBLIC_URL` is not set
    #[arg(long, env = "LISTEN", value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8787")]
    listen: Listen,
    #[command(flatten)]
    data: DataOptions,
    #[command(flatten)]
    store: StoreOptions,
    #[command(flatten)]
    document: OpenApiOptions,
}

/// Prints one line for each thing that was looked at.
pub(crate) async fn run(
    options: DoctorOptions,
    file: EnvFile,
    tools: Tools,
    output: Output,
) -> Result<(), StartError> {
    let file = match &options.wrangler {
        Some(path) => wrangler::variables(path, "DOCTOR_WRANGLER", &file)?,
        None => file,
    };
    let tools = ToolSource::open(&options.document, tools)?;
    let config = match checked_config(&file, options.listen.port(), &tools) {
        Ok(config) => config,
        Err(errors) => {
            let mut findings = configuration::errors(&errors);
            findings.extend(data_folder(&options, &file));
            print(&findings, &options, &output);
            return Err(errors.into());
        }
    };
    let mut findings = configuration::findings(&config);
    findings.extend(tools.catalog().map(|catalog| configuration::document(catalog, &config.api.url)));
    findings.extend(data_folder(&options, &file));
    // Without a document, the tools are those of the Todo API.
    let example = tools.catalog().map_or(Some("/api/todos"), Catalog::path_without_arguments);
    let (database, others) =
        join!(database(&options), Box::pin(look(&options, &config, example, &file, &output)));
    findings.extend(database);
    findings.extend(others);
    print(&findings, &options, &output);
    match problems(&findings, options.strict) {
        0 => Ok(()),
        problems => Err(StartError::Doctor(problems)),
    }
}

/// The findings of the groups that send requests.
async fn look(
    options: &DoctorOptions,
    config: &Config,
    example: Option<&str>,
    file: &EnvFile,
    output: &Output,
) -> Vec<Finding> {
    let never = CancellationToken::new();
    let probe = Probe::within(Arc::new(NativeHost::new(1, never.clone(), never)), ALL);
    let api = Api { probe: &probe, config, path: options.api_path.as_deref(), example };
    let pingone = async {
        let documents = Documents::read(&probe, config).await;
        let (client, tenant) = join!(
            client::findings(&probe, config, &documents),
            tenant::findings(&probe, config, &documents, Worker::read(file, options.management_url.as_ref())),
        );
        (documents, client, tenant)
    };
    let deployment = async {
        match &options.deployment {
            Some(url) => deployment::findings(&probe, config, url).await,
            None => vec![Finding::skipped(
                Group::Deployment,
                "--deployment (DOCTOR_DEPLOYMENT) names no running Deputy",
            )],
        }
    };
    let ((documents, client, tenant), api_finding, deployment) = join!(pingone, api.finding(), deployment);
    // Standard output has the JSON document alone.
    let say = |text: &str| if options.json { output.print_error(text) } else { output.print(text) };
    let login = if options.login {
        let probe = Probe::within(probe.host().clone(), ALL);
        let api = Api { probe: &Probe::within(probe.host().clone(), LOGIN), ..api };
        login::findings(&probe, &api, &documents, &say).await
    } else {
        vec![Finding::skipped(Group::Login, "--login (DOCTOR_LOGIN) lets a user log in")]
    };
    let mut findings = documents.findings();
    findings.push(api_finding);
    findings.extend([client, tenant, login, deployment].into_iter().flatten());
    findings
}

/// A Worker has no data folder, and neither has a Deputy on PostgreSQL without an audit log.
fn data_folder(options: &DoctorOptions, file: &EnvFile) -> Option<Finding> {
    let is_on_postgres =
        || matches!(options.store.place(&options.data.data_dir), Ok(Place::Postgres(..)) | Err(_));
    let has_audit_log = variable(file, "AUDIT").is_none_or(|value| value != "off");
    let is_needed = options.wrangler.is_none() && (has_audit_log || !is_on_postgres());
    is_needed.then(|| configuration::data_folder(&options.data.data_dir))
}

/// The PostgreSQL database, if there is one.
async fn database(options: &DoctorOptions) -> Option<Finding> {
    let place = options.wrangler.is_none().then(|| options.store.place(&options.data.data_dir))?;
    let examined = match place {
        Ok(Place::Folder(_)) => return None,
        Ok(Place::Postgres(url, _)) => match PostgresStore::new(url, 1) {
            Ok(store) => store.examine().await.map_err(StartError::from),
            Err(error) => Err(error.into()),
        },
        Err(error) => Err(error),
    };
    Some(configuration::database(examined))
}

/// Prints at once, after what was said to the user: the queue of the output may lose lines when the computer is busy.
fn print(findings: &[Finding], options: &DoctorOptions, output: &Output) {
    output.flush();
    let report = if options.json {
        report::json(findings, problems(findings, options.strict) == 0)
    } else {
        report::text(findings)
    };
    // A closed pipe has no reader who could be told.
    let _ = writeln!(io::stdout().lock(), "{report}");
}

/// The number of findings that make the command fail.
fn problems(findings: &[Finding], strict: bool) -> usize {
    let fails = |finding: &&Finding| match finding.verdict {
        Verdict::Failure => true,
        Verdict::Warning => strict,
        Verdict::Ok | Verdict::Skipped => false,
    };
    findings.iter().filter(fails).count()
}

/// The time for all requests of a run without a login.
const ALL: Duration = Duration::from_secs(9);

/// The time for the requests to PingOne after a login.
const AFTER_LOGIN: Duration = Duration::from_secs(9);

/// The time for a login with all of its requests.
const LOGIN: Duration = Duration::from_mins(6);
