//! `deputy provision`: the part of PingOne's set-up that its management API can make, compared with the configuration.
//!
//! Every object is found by an identifier that does not change: the resource by its audience, the application by its client id or
//! its name, a grant by its resource, the webhook by its address. So a run that was interrupted goes on where it ended.

mod application;
mod by_hand;
mod compare;
mod error;
mod grants;
mod output;
mod policy;
mod report;
mod resource;
mod run;
#[cfg(test)]
mod tests;
mod webhook;

use std::{
    collections::BTreeMap,
    io::{self, Write as _},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use clap::{Args, ValueEnum, builder::BoolishValueParser};
use deputy::{
    config::{ClientAuth, Config},
    oidc::Discovery,
    secret::Secret,
};
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::{
    Tools,
    configuration::{checked_config_or, variable},
    env_file::EnvFile,
    error::StartError,
    host::{NativeHost, fill_random},
    listen::Listen,
    logging::Output,
    management::{Management, ManagementUrl, Probe, Worker},
    openapi::{OpenApiOptions, ToolSource},
    wrangler,
};
pub(crate) use error::ProvisionError;
use output::{Variables, given};
use report::{Line, Verb};
use run::{Held, Run};
use webhook::WebhookSecret;

/// Options of `deputy provision`.
#[derive(Args, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag")]
pub(crate) struct ProvisionOptions {
    /// Treatment of the differences between PingOne and the configuration
    #[arg(value_enum)]
    action: Action,
    /// Also remove values that Deputy does not need, and relax settings that are stricter than it needs
    #[arg(long)]
    prune: bool,
    /// File to write with the variables of the set-up, for this user only; with `--wrangler`, the secrets for `wrangler secret bulk`
    #[arg(long, env = "PROVISION_OUTPUT", value_name = "FILE")]
    output: Option<PathBuf>,
    /// Replace the file that `--output` names
    #[arg(long, requires = "output")]
    replace: bool,
    /// Make a webhook too, with a new secret if `PINGONE_WEBHOOK_SECRET` is not set; if it is set, the webhook is made in any case
    #[arg(long, env = "PROVISION_WEBHOOK", value_parser = BoolishValueParser::new())]
    webhook: bool,
    /// Name of the application at PingOne, if `PINGONE_CLIENT_ID` is not set
    #[arg(long, env = "PROVISION_APPLICATION_NAME", value_name = "NAME", default_value = "Deputy")]
    application_name: String,
    /// Name of the API's resource at PingOne, if it has to be created
    #[arg(long, env = "PROVISION_RESOURCE_NAME", value_name = "NAME", default_value = "Deputy API")]
    resource_name: String,
    /// Configuration of a Worker, whose `vars` count below the file with variables
    #[arg(long, env = "PROVISION_WRANGLER", value_name = "FILE")]
    wrangler: Option<PathBuf>,
    /// URL of the environment in PingOne's management API, if the issuer is on a custom domain
    #[arg(long, env = "PINGONE_MANAGEMENT_URL", value_name = "URL", value_parser = ManagementUrl::parse)]
    management_url: Option<ManagementUrl>,
    /// Print one JSON document instead of lines
    #[arg(long, env = "PROVISION_JSON", value_parser = BoolishValueParser::new())]
    json: bool,
    /// Address and port that Deputy will listen on, for its URL if `PUBLIC_URL` is not set
    #[arg(long, env = "LISTEN", value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8787")]
    listen: Listen,
    /// File of NAME=value lines. A variable of the environment wins over it, unless it is empty [default: .env if it exists]
    #[arg(long, env = "ENV_FILE", value_name = "FILE")]
    env_file: Option<PathBuf>,
    #[command(flatten)]
    document: OpenApiOptions,
}

/// A treatment of the differences.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Action {
    /// Print the differences
    Plan,
    /// Create and change objects in PingOne
    Apply,
    /// Fail if PingOne differs
    Verify,
}

/// Compares PingOne with the configuration, and makes it so.
pub(crate) async fn run(
    options: ProvisionOptions,
    file: EnvFile,
    tools: Tools,
    output: Output,
) -> Result<(), StartError> {
    let file = match &options.wrangler {
        Some(path) => wrangler::variables(path, "PROVISION_WRANGLER", &file)?,
        None => file,
    };
    let wanted = RequiredSetup::read(&options, &file, tools)?;
    if let Some(path) = &options.output
        && options.action == Action::Apply
        && !options.replace
        && path.exists()
    {
        return Err(ProvisionError::OutputExists(path.clone()).into());
    }
    if wanted.webhook_secret.as_ref().is_some_and(|secret| secret.is_new)
        && options.action == Action::Apply
        && options.output.is_none()
    {
        return Err(ProvisionError::LostSecret.into());
    }
    let worker = Worker::read(&file, options.management_url.as_ref()).ok_or(ProvisionError::NoWorker)?;
    let never = CancellationToken::new();
    let probe = Probe::within(Arc::new(NativeHost::new(1, never.clone(), never)), ALL).with_each(EACH);
    let (management, pushes) = sign_in(&probe, &wanted.config, worker).await?;
    let mut run = Run {
        management: &management,
        applies: options.action == Action::Apply,
        prunes: options.prune,
        pushes,
        lines: Vec::new(),
    };
    let made = reconcile(&mut run, &wanted).await;
    let lines = run.lines;
    output.flush();
    let result = made.and_then(|made| {
        finish(&options, &lines)?;
        Ok(made)
    });
    print(&options, &lines, result.is_ok());
    // A set-up that lacks the flow policy would not start.
    let Some(made) = result? else { return Ok(()) };
    write(&options, &file, &wanted, made, &output)?;
    Ok(())
}

/// The set-up as it must be.
struct RequiredSetup {
    config: Config,
    application_name: String,
    resource_name: String,
    /// The words for each scope that the OpenAPI document describes.
    scope_descriptions: BTreeMap<String, String>,
    /// `PINGONE_CLIENT_ID` and `PINGONE_DV_POLICY_ID`, if they are set.
    client_id: Option<String>,
    policy_id: Option<String>,
    /// `PINGONE_CLIENT_SECRET`, if it is set.
    client_secret: Option<Secret<String>>,
    /// Whether the variables are written, for which the client secret is needed.
    is_written: bool,
    /// Whether the client secret is in a file of its own, which this command does not write.
    has_secret_file: bool,
    /// A new one, for a Deputy that has none.
    server_key: Secret<String>,
    webhook_secret: Option<WebhookSecret>,
}

/// The application of a run that applied, and its secret, unless Deputy authenticates with a key.
struct Made {
    client_id: String,
    client_secret: Option<Secret<String>>,
}

impl RequiredSetup {
    /// Reads the configuration as `deputy serve` does. Variables that this command finds out or makes may be missing.
    fn read(options: &ProvisionOptions, file: &EnvFile, tools: Tools) -> Result<Self, StartError> {
        let tools = ToolSource::open(&options.document, tools)?;
        let set = |name: &str| given(file, name);
        let [server_key, webhook_secret] = [random_secret(), random_secret()];
        let default = |name: &str| match name {
            _ if set(name).is_some() => None,
            "PINGONE_CLIENT_ID" | "PINGONE_CLIENT_SECRET" => Some("not-known-yet".to_owned()),
            "PINGONE_DV_POLICY_ID" => Some("0".repeat(32)),
            "PINGONE_WEBHOOK_SECRET" if options.webhook => Some(webhook_secret.clone()),
            "SERVER_KEY" => Some(server_key.clone()),
            _ => None,
        };
        let config = checked_config_or(file, options.listen.port(), &tools, &default)?;
        let is_local = Url::parse(&config.pingone.issuer)
            .is_ok_and(|url| url.host().is_some_and(|host| deputy::types::is_loopback(&host)));
        if config.pingone.webhook.is_some() && !config.public_url.is_https() && !is_local {
            return Err(ProvisionError::WebhookAddress(config.public_url.to_string()).into());
        }
        let webhook_secret = WebhookSecret::read(set("PINGONE_WEBHOOK_SECRET").as_deref(), webhook_secret);
        Ok(Self {
            webhook_secret: config.pingone.webhook.is_some().then_some(webhook_secret),
            config,
            application_name: options.application_name.clone(),
            resource_name: options.resource_name.clone(),
            scope_descriptions: tools
                .catalog()
                .map(|catalog| catalog.scope_descriptions.clone())
                .unwrap_or_default(),
            client_id: set("PINGONE_CLIENT_ID"),
            policy_id: set("PINGONE_DV_POLICY_ID"),
            client_secret: set("PINGONE_CLIENT_SECRET").map(Secret::new),
            is_written: options.output.is_some(),
            has_secret_file: variable(file, CLIENT_SECRET_FILE).is_some() && options.wrangler.is_none(),
            server_key: Secret::new(server_key),
        })
    }
}

/// The management API, and whether Deputy pushes its authorization requests.
async fn sign_in(
    probe: &Probe,
    config: &Config,
    worker: Worker,
) -> Result<(Management, bool), ProvisionError> {
    let issuer = config.pingone.issuer.as_str();
    let request =
        Discovery::request(issuer).ok_or_else(|| ProvisionError::Issuer("it is not a URL".to_owned()))?;
    let response = probe.fetch(request).await;
    let response = response.map_err(|error| ProvisionError::Issuer(format!("{issuer}: {error}")))?;
    let discovery = Discovery::read(&response, issuer)
        .map_err(|error| ProvisionError::Issuer(format!("{issuer}: {error}")))?;
    // Metadata without an endpoint for required pushed requests is an error of the doctor.
    let pushes = !matches!(discovery.push_endpoint(&config.pingone), Ok(None));
    let management = Management::sign_in(probe, &config.pingone, &discovery.token_endpoint, worker).await?;
    Ok((management, pushes))
}

/// Compares every object, in the order in which they need each other. `None`: the application does not exist.
async fn reconcile(run: &mut Run<'_>, wanted: &RequiredSetup) -> Result<Option<Made>, ProvisionError> {
    let RequiredSetup { config, application_name, resource_name, scope_descriptions, .. } = wanted;
    let resource = resource::ensure(run, config, resource_name, scope_descriptions).await?;
    let application = application::ensure(run, config, application_name, wanted.client_id.as_deref()).await?;
    grants::ensure(run, config, application.as_ref(), resource.as_ref()).await?;
    policy::ensure(run, config, application.as_ref(), wanted.policy_id.as_deref()).await?;
    let mut made = None;
    if let Some(Held { id, .. }) = application {
        let client_secret = match &config.pingone.client_auth {
            ClientAuth::Key(_) => None,
            ClientAuth::Basic(_) | ClientAuth::Post(_) => client_secret(run, wanted, &id).await?,
        };
        made = Some(Made { client_id: id, client_secret });
    }
    // The last step, since a run that fails after it would lose a new secret.
    if let (Some(webhook), Some(secret)) = (&config.pingone.webhook, &wanted.webhook_secret) {
        webhook::ensure(run, config, webhook, secret).await?;
    }
    Ok(made)
}

/// The client secret, if this run writes it or can compare it.
async fn client_secret(
    run: &mut Run<'_>,
    wanted: &RequiredSetup,
    application: &str,
) -> Result<Option<Secret<String>>, ProvisionError> {
    if !(run.applies && wanted.is_written) && wanted.client_secret.is_none() {
        return Ok(None);
    }
    let path = format!("/applications/{application}/secret");
    let mut document = run.management.get(&path).await.map_err(ProvisionError::of)?;
    let secret = match document["secret"].take() {
        serde_json::Value::String(secret) => Secret::new(secret),
        _ => return Err(ProvisionError::NotPingOne("secret of the application")),
    };
    if wanted.client_secret.as_ref().is_some_and(|held| held.expose() != secret.expose()) {
        let (verb, step) = if wanted.has_secret_file {
            (
                Verb::ByHand,
                "the file of PINGONE_CLIENT_SECRET_FILE has another secret than the application: copy it from PingOne",
            )
        } else if wanted.is_written {
            (Verb::Change, "it is not the secret of the application")
        } else {
            (
                Verb::ByHand,
                "it is not the secret of the application: copy it from PingOne, or write it with --output",
            )
        };
        run.note(verb, "PINGONE_CLIENT_SECRET", step);
    }
    Ok(Some(secret))
}

/// Whether the command succeeds with these lines.
fn finish(options: &ProvisionOptions, lines: &[Line]) -> Result<(), ProvisionError> {
    let differences =
        report::count(lines, &[Verb::Create, Verb::Change, Verb::Remove, Verb::Keep, Verb::ByHand]);
    let by_hand = report::count(lines, &[Verb::ByHand]);
    match options.action {
        Action::Verify if differences > 0 => Err(ProvisionError::Drift(differences)),
        Action::Apply if by_hand > 0 => Err(ProvisionError::Unfinished(by_hand)),
        Action::Apply | Action::Plan | Action::Verify => Ok(()),
    }
}

fn print(options: &ProvisionOptions, lines: &[Line], ok: bool) {
    let applied = options.action == Action::Apply;
    let text = if options.json { report::json(lines, applied, ok) } else { report::text(lines, applied) };
    // A closed pipe has no reader who could be told.
    let _ = writeln!(io::stdout().lock(), "{text}");
}

/// Writes the variables, and says which of them are not secret and belong to the configuration of a Worker.
fn write(
    options: &ProvisionOptions,
    file: &EnvFile,
    wanted: &RequiredSetup,
    made: Made,
    output: &Output,
) -> Result<(), ProvisionError> {
    if options.action != Action::Apply {
        return Ok(());
    }
    let say = |text: &str| if options.json { output.print_error(text) } else { output.print(text) };
    let Some(path) = &options.output else {
        say(&format!(
            "PINGONE_CLIENT_ID is {}. --output (PROVISION_OUTPUT) writes all variables, with the secrets, into a file",
            made.client_id
        ));
        return Ok(());
    };
    let mut variables = Variables::read(file, options.wrangler.is_none());
    for (name, document) in options.document.variables() {
        variables
            .set_path(name, document)
            .map_err(|cause| ProvisionError::Output { path: path.clone(), cause })?;
    }
    variables.set("PINGONE_CLIENT_ID", made.client_id.clone());
    let mut new = Vec::new();
    if given(file, "SERVER_KEY").is_none() {
        new.push("SERVER_KEY");
        variables.set("SERVER_KEY", wanted.server_key.expose().clone());
    }
    // PingOne has the URL with this port.
    if given(file, "PUBLIC_URL").is_none() {
        variables.set("LISTEN", options.listen.to_string());
    }
    if let Some(secret) = made.client_secret {
        variables.set("PINGONE_CLIENT_SECRET", secret.expose().clone());
    }
    if let Some(secret) = wanted.webhook_secret.as_ref().filter(|secret| secret.is_new) {
        new.push("PINGONE_WEBHOOK_SECRET");
        variables.set("PINGONE_WEBHOOK_SECRET", secret.value.expose().clone());
    }
    let text = if options.wrangler.is_some() { variables.secrets() } else { variables.env_file() };
    output::write(path, &text, options.replace)
        .map_err(|cause| ProvisionError::Output { path: path.clone(), cause })?;
    let path = path.display();
    say(&match &options.wrangler {
        Some(wrangler) => format!(
            "{path} has the secrets: npx wrangler secret bulk {path}. Set PINGONE_CLIENT_ID to {} in the vars of {}",
            made.client_id,
            wrangler.display()
        ),
        None => format!("{path} has the variables: deputy doctor --env-file {path} looks at all of it"),
    });
    if !new.is_empty() {
        say(&format!(
            "New secrets, which a Deputy that runs already must not get in place of its own: {}",
            new.join(" and ")
        ));
    }
    Ok(())
}

/// A secret as `openssl rand -base64 32` makes it.
fn random_secret() -> String {
    let mut bytes = zeroize::Zeroizing::new([0; 32]);
    fill_random(&mut *bytes);
    STANDARD.encode(*bytes)
}

const CLIENT_SECRET_FILE: &str = "PINGONE_CLIENT_SECRET_FILE";

/// The time for all requests of a run.
const ALL: Duration = Duration::from_mins(10);

/// The longest time for one request. A write may take a while.
const EACH: Duration = Duration::from_secs(20);
