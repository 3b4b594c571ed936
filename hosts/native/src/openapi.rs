//! Tools from an OpenAPI document: the options that name it, and `deputy tools`.

use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use clap::{Args, builder::BoolishValueParser};
use deputy::{
    Server,
    config::{Config, ConfigErrors},
    host::Host,
};
use deputy_openapi::{Catalog, DocumentError};
use serde_json::json;

use crate::{Tools, error::StartError};

/// Options of each command that uses the tools.
#[derive(Args, Debug, Default)]
pub(crate) struct OpenApiOptions {
    /// OpenAPI 3.0 or 3.1 document whose operations are the tools; docs/your-api.md describes it
    #[arg(long, env = "OPENAPI", value_name = "FILE")]
    pub(crate) openapi: Option<PathBuf>,
    /// OpenAPI Overlay with changes to the document, such as which operations to hide
    #[arg(long, env = "OPENAPI_OVERLAY", value_name = "FILE", requires = "openapi")]
    pub(crate) openapi_overlay: Option<PathBuf>,
}

impl OpenApiOptions {
    /// The variables of these options, and the files that they name.
    pub(crate) fn variables(&self) -> impl Iterator<Item = (&'static str, &Path)> {
        let Self { openapi, openapi_overlay } = self;
        let files = [("OPENAPI", openapi), ("OPENAPI_OVERLAY", openapi_overlay)];
        files.into_iter().filter_map(|(name, file)| Some((name, file.as_deref()?)))
    }
}

/// Options of `deputy tools`.
#[derive(Args, Debug)]
pub(crate) struct ToolsOptions {
    #[command(flatten)]
    document: OpenApiOptions,
    /// Fail if there is a warning, or an operation that is left out by no decision of yours
    #[arg(long, env = "TOOLS_CHECK", conflicts_with = "diff", value_parser = BoolishValueParser::new())]
    check: bool,
    /// Earlier version of the document, to which the same overlay is applied: print which tools differ
    #[arg(long, env = "TOOLS_DIFF", value_name = "FILE")]
    diff: Option<PathBuf>,
    /// Print one JSON document, with the schemas that agents see
    #[arg(long, env = "TOOLS_JSON", value_parser = BoolishValueParser::new())]
    json: bool,
    /// File of NAME=value lines. A variable of the environment wins over it, unless it is empty [default: .env if it exists]
    #[arg(long, env = "ENV_FILE", value_name = "FILE")]
    env_file: Option<PathBuf>,
}

/// Why a document cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenApiError {
    #[error("{path} (--openapi, OPENAPI) cannot be used: {1}", path = .0.display())]
    Document(PathBuf, DocumentError),
    #[error("{} is not UTF-8. Save it as UTF-8", .0.display())]
    Encoding(PathBuf),
    #[error("no document is named. --openapi (OPENAPI) names a file with an OpenAPI document")]
    NoDocument,
    #[error(
        "the demo has no API for this document: its own serves examples/invoices alone. --api-url (DEMO_API_URL) names the API that does"
    )]
    NoApi,
    #[error("no operation of {} (--openapi, OPENAPI) can be served. `deputy tools` names the reasons", .0.display())]
    NoOperation(PathBuf),
    #[error("the tools cannot be printed: {0}")]
    Print(io::Error),
    #[error("{path} cannot be read: {1}", path = .0.display())]
    Read(PathBuf, io::Error),
    #[error("problems found: {0}")]
    Warnings(usize),
}

/// The tools of a program, or those of the document that replaces them.
pub(crate) struct ToolSource {
    tools: Tools,
    catalog: Option<Arc<Catalog>>,
}

impl ToolSource {
    /// The tools of the document that `options` name, or else `tools`.
    pub(crate) fn open(options: &OpenApiOptions, tools: Tools) -> Result<Self, OpenApiError> {
        let Some(path) = &options.openapi else { return Ok(Self { tools, catalog: None }) };
        let catalog = read(path, options.openapi_overlay.as_deref())?;
        if catalog.operations.is_empty() {
            return Err(OpenApiError::NoOperation(path.clone()));
        }
        let (tools_of_document, refused) = (catalog.operations.len(), catalog.refused.len());
        tracing::info!(tools = tools_of_document, refused, "the tools are those of the OpenAPI document");
        Ok(Self { tools, catalog: Some(Arc::new(catalog)) })
    }

    /// Deputy with these tools.
    pub(crate) fn server(&self, config: Config, host: Host) -> Server {
        match &self.catalog {
            Some(catalog) => deputy_openapi::deputy(catalog, config, host),
            None => (self.tools)(config, host),
        }
    }

    /// The configuration with these variables.
    pub(crate) fn config(&self, variable: impl Fn(&str) -> Option<String>) -> Result<Config, ConfigErrors> {
        match &self.catalog {
            Some(catalog) => catalog.config(variable),
            None => Config::parse(variable),
        }
    }

    pub(crate) fn catalog(&self) -> Option<&Catalog> {
        self.catalog.as_deref()
    }
}

fn read(document: &Path, overlay: Option<&Path>) -> Result<Catalog, OpenApiError> {
    let text = |path: &Path| {
        let bytes = fs::read(path).map_err(|error| OpenApiError::Read(path.to_owned(), error))?;
        String::from_utf8(bytes).map_err(|_| OpenApiError::Encoding(path.to_owned()))
    };
    let document_text = text(document)?;
    let catalog = match overlay {
        Some(overlay) => Catalog::curated(&document_text, &text(overlay)?),
        None => Catalog::read(&document_text),
    };
    catalog.map_err(|error| OpenApiError::Document(document.to_owned(), error))
}

/// Prints the tools of a document, as agents see them.
pub(crate) fn list(options: &ToolsOptions) -> Result<(), StartError> {
    let OpenApiOptions { openapi, openapi_overlay } = &options.document;
    let path = openapi.as_ref().ok_or(OpenApiError::NoDocument)?;
    let catalog = read(path, openapi_overlay.as_deref())?;
    if let Some(old) = &options.diff {
        let old = read(old, openapi_overlay.as_deref())?;
        let changes = catalog.changes_since(&old);
        let text = if options.json { json!({ "changes": changes }).to_string() } else { changes.join("\n") };
        return print(if changes.is_empty() && !options.json { "no tool differs" } else { &text });
    }
    print(&if options.json { catalog.json().to_string() } else { catalog.listing() })?;
    match catalog.problems() {
        problems @ 1.. if options.check => Err(OpenApiError::Warnings(problems).into()),
        _ => Ok(()),
    }
}

/// Prints at once: the queue of the log may lose a text of megabytes.
fn print(text: &str) -> Result<(), StartError> {
    let mut stdout = io::stdout().lock();
    match writeln!(stdout, "{text}").and_then(|()| stdout.flush()) {
        // The reader, such as `head`, has enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        printed => printed.map_err(|error| OpenApiError::Print(error).into()),
    }
}
