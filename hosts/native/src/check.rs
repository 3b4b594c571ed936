//! `deputy check`: whether the configuration is right, and whether Deputy can reach what it names. Nothing is served.

use std::{fs, io::Write as _, path::Path, sync::Arc};

use clap::{Args, builder::BoolishValueParser};
use deputy::{
    Finding, Verdict,
    config::ConfigErrors,
    host::{
        BoxFuture, GrantFilter, GrantId, GrantIndex, Operation, Outcome, Page, RecordKey, Store, StoreError,
        Timestamp,
    },
};
use deputy_openapi::Catalog;
use serde_json::json;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::{
    Tools,
    commands::DataOptions,
    env_file::EnvFile,
    error::StartError,
    host::NativeHost,
    listen::Listen,
    logging::Output,
    openapi::{OpenApiOptions, ToolSource},
    serve::checked_config,
    store,
};

/// Options of `deputy check`.
#[derive(Args, Debug)]
pub(crate) struct CheckOptions {
    /// Path below `API_URL` that needs a token, such as `/api/todos`
    #[arg(long, env = "CHECK_API_PATH", value_name = "PATH")]
    api_path: Option<String>,
    /// Print one JSON document instead of lines
    #[arg(long, env = "CHECK_JSON", value_parser = BoolishValueParser::new())]
    json: bool,
    /// Address and port that Deputy will listen on, for its URL if `PUBLIC_URL` is not set
    #[arg(long, env = "LISTEN", value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8787")]
    listen: Listen,
    #[command(flatten)]
    data: DataOptions,
    #[command(flatten)]
    document: OpenApiOptions,
}

/// Prints one line for each thing that was looked at.
pub(crate) async fn run(
    options: CheckOptions,
    file: EnvFile,
    tools: Tools,
    output: Output,
) -> Result<(), StartError> {
    let mut findings = Vec::new();
    let tools = ToolSource::open(&options.document, tools)?;
    let config = checked_config(&file, options.listen.port(), &tools);
    let mut refused = None;
    match config {
        Err(errors) => {
            findings.extend(errors.0.iter().map(|error| {
                Finding::problem("configuration", error.to_string(), "docs/configuration.md has its syntax")
            }));
            refused = Some(errors);
        }
        Ok(config) => {
            findings.push(Finding::ok("configuration", format!("Deputy is {}", config.public_url)));
            let never = CancellationToken::new();
            let host = Arc::new(NativeHost::new(1, never.clone(), never));
            findings.extend(tools.catalog().map(|catalog| document(catalog, &config.api.url)));
            let server = tools.server(config, host.parts(Arc::new(NoRecords), Arc::new(NoRecords)));
            findings.extend(server.examine(options.api_path.as_deref()).await);
        }
    }
    findings.push(data_folder(&options.data.data_dir));
    print(&findings, options.json, &output);
    verdict(&findings, refused)
}

/// Whether the document has tools for an API at this URL.
fn document(catalog: &Catalog, api_url: &Url) -> Finding {
    const SUBJECT: &str = "OpenAPI document";
    let seen = format!("{} tools, {} operations not served", catalog.operations.len(), catalog.refused.len());
    match &catalog.base_path {
        Some(path) if api_url.path().trim_end_matches('/') != path => Finding::warning(
            SUBJECT,
            format!("{seen}; its first server has the path {path}, and API_URL has {}", api_url.path()),
            "add the path to API_URL, unless the API is at another path for Deputy",
        ),
        _ => Finding::ok(SUBJECT, seen),
    }
}

fn print(findings: &[Finding], as_json: bool, output: &Output) {
    if as_json {
        let checks: Vec<_> = findings
            .iter()
            .map(|Finding { subject, verdict, seen, fix }| {
                json!({ "subject": subject, "verdict": word(*verdict), "seen": seen, "fix": fix })
            })
            .collect();
        let ok = findings.iter().all(|finding| finding.verdict != Verdict::Problem);
        output.print(&json!({ "ok": ok, "checks": checks }).to_string());
        return;
    }
    for Finding { subject, verdict, seen, fix } in findings {
        let fix = fix.as_ref().map(|fix| format!(". To fix it: {fix}")).unwrap_or_default();
        output.print(&format!("{:7} {subject}: {seen}{fix}", word(*verdict)));
    }
}

fn verdict(findings: &[Finding], refused: Option<ConfigErrors>) -> Result<(), StartError> {
    if let Some(errors) = refused {
        return Err(errors.into());
    }
    match findings.iter().filter(|finding| finding.verdict == Verdict::Problem).count() {
        0 => Ok(()),
        problems => Err(StartError::Check(problems)),
    }
}

const fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Ok => "ok",
        Verdict::Warning => "warning",
        Verdict::Problem => "problem",
    }
}

/// Writes a file into the folder, and removes it. A Deputy that uses the folder does not notice. A missing folder is created
/// when Deputy starts, in the nearest folder that exists.
fn data_folder(folder: &Path) -> Finding {
    const SUBJECT: &str = "data folder";
    let exists = folder.is_dir();
    let absolute = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    let written = if exists { absolute.as_path() } else { existing(&absolute) };
    let file = written.join(format!(".deputy-check-{}", std::process::id()));
    let tried = store::private().create_new(true).open(&file).and_then(|mut file| file.write_all(b"x"));
    // Fails if it was not created.
    let _ = fs::remove_file(&file);
    match tried {
        Ok(()) if exists => Finding::ok(SUBJECT, format!("{} can be written", absolute.display())),
        Ok(()) => Finding::ok(SUBJECT, format!("{} can be created", absolute.display())),
        Err(error) => Finding::problem(
            SUBJECT,
            format!("{} cannot be written: {error}", written.display()),
            "make it writable for this user, or choose another folder with --data-dir (DATA_DIR)",
        ),
    }
}

/// The nearest folder above a path that exists.
fn existing(path: &Path) -> &Path {
    path.ancestors().find(|path| path.is_dir()).unwrap_or(path)
}

/// The check has no records.
struct NoRecords;

impl Store for NoRecords {
    fn execute<'a>(&'a self, _: &'a RecordKey, _: Operation) -> BoxFuture<'a, Result<Outcome, StoreError>> {
        Box::pin(std::future::ready(Err(StoreError("a check has no records".to_owned()))))
    }
}

impl GrantIndex for NoRecords {
    fn list(&self, _: GrantFilter, _: Page, _: Timestamp) -> BoxFuture<'_, Result<Vec<GrantId>, StoreError>> {
        Box::pin(std::future::ready(Ok(Vec::new())))
    }
}
