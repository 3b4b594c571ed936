//! The configuration, without a request.

use std::{fs, io::Write as _, path::Path};

use deputy::{
    config::{Config, ConfigError, ConfigErrors, environment},
    types::is_uuid,
};
use deputy_openapi::Catalog;
use url::Url;

use super::check::{Check, Finding, Group, Seen, judge};
use crate::{error::StartError, store};

/// A line for each wrong variable.
pub(super) fn errors(errors: &ConfigErrors) -> Vec<Finding> {
    let finding = |error: &ConfigError| {
        let seen = Seen::failure(error.to_string(), "docs/configuration.md has its syntax");
        Finding::new(Group::Configuration, ("configuration", "variables", ""), Ok(seen))
    };
    errors.0.iter().map(finding).collect()
}

pub(super) fn findings(config: &Config) -> Vec<Finding> {
    judge(Group::Configuration, CHECKS, config)
}

const CHECKS: &[Check<Config>] = &[
    Check {
        name: "configuration",
        looked_at: "variables",
        place: "docs/configuration.md",
        look: |config| Ok(Seen::ok(format!("Deputy is {}", config.public_url))),
    },
    Check {
        name: "issuer",
        looked_at: "PINGONE_ISSUER",
        place: "Applications → Deputy → Overview → Issuer ID",
        look: |config| Ok(issuer(&config.pingone.issuer)),
    },
    Check {
        name: "client id",
        looked_at: "PINGONE_CLIENT_ID",
        place: "Applications → Deputy → Overview → Client ID",
        look: |config| {
            let id = &config.pingone.client_id;
            let fix = "copy the client id from the application; PingOne's are UUIDs";
            Ok(Seen::warning_unless(is_uuid(id), format!("it is {id}"), fix))
        },
    },
    Check {
        name: "API identifier",
        looked_at: "API_IDENTIFIER",
        place: "Applications → Resources → your API → Audience",
        look: |config| {
            let identifier = &config.api.identifier;
            let refused = ["pingone", "pingidentity"].iter().any(|word| identifier.contains(word));
            let fix = "give the resource another audience: PingOne refuses names that contain pingone or pingidentity";
            Ok(Seen::failure_unless(!refused, format!("it is {identifier}"), fix))
        },
    },
    Check {
        name: "callback",
        looked_at: "PUBLIC_URL",
        place: "Applications → Deputy → Configuration → Redirect URIs",
        look: |config| {
            Ok(Seen::ok(format!(
                "the application {} in PingOne needs the redirect URI {}",
                config.pingone.client_id,
                config.public_url.callback()
            )))
        },
    },
    Check {
        name: "clients",
        looked_at: "CLIENTS, DYNAMIC_CLIENT_REGISTRATION, CLIENT_ID_METADATA_DOCUMENTS",
        place: "docs/clients.md",
        look: |config| Ok(clients(config)),
    },
];

/// Whether the issuer has the form that PingOne gives it. A custom domain has no environment id.
fn issuer(issuer: &str) -> Seen {
    let fix = "copy it from the application's overview: https://auth.pingone.<region>/<environment id>/as";
    let Ok(url) = Url::parse(issuer) else { return Seen::failure("it is not a URL", fix) };
    let host = url.host_str().unwrap_or_default();
    let Some((service, region)) = host.split_once(".pingone.") else {
        return Seen::ok(format!("{issuer}, on a custom domain or this computer"));
    };
    if service != "auth" {
        return Seen::failure(format!("its host is {host}, which does not log users in"), fix);
    }
    if !REGIONS.contains(&region) {
        return Seen::failure(format!("PingOne has no region .{region}"), fix);
    }
    match environment(issuer) {
        Some(id) => Seen::ok(format!("region .{region}, environment {id}")),
        None => Seen::failure(format!("region .{region}, and no environment id"), fix),
    }
}

/// The clients that can connect.
fn clients(config: &Config) -> Seen {
    let configured = config.admission.clients.len();
    let ways = [
        (config.admission.metadata_documents, "clients with a metadata document"),
        (config.admission.registration, "clients that register"),
    ];
    let ways: Vec<_> = ways.iter().filter(|(is_on, _)| *is_on).map(|(_, clients)| *clients).collect();
    match (configured, ways.is_empty()) {
        (0, true) => Seen::failure(
            "no client can connect",
            "set CLIENTS, DYNAMIC_CLIENT_REGISTRATION=on or CLIENT_ID_METADATA_DOCUMENTS=on",
        ),
        (_, true) => Seen::ok(format!("only the {configured} in CLIENTS can connect")),
        (_, false) => Seen::ok(format!("{configured} in CLIENTS, {}", ways.join(", "))),
    }
}

/// Whether the document has tools for an API at this URL.
pub(super) fn document(catalog: &Catalog, api_url: &Url) -> Finding {
    let seen = format!("{} tools, {} operations not served", catalog.operations.len(), catalog.refused.len());
    let seen = match &catalog.base_path {
        Some(path) if api_url.path().trim_end_matches('/') != path => Seen::warning(
            format!("{seen}; its first server has the path {path}, and API_URL has {}", api_url.path()),
            "add the path to API_URL, unless the API is at another path for Deputy",
        ),
        _ => Seen::ok(seen),
    };
    Finding::new(Group::Configuration, ("OpenAPI document", "OPENAPI, API_URL", "docs/your-api.md"), Ok(seen))
}

/// Writes a file into the folder, and removes it. A Deputy that uses the folder does not notice. A missing folder is created
/// when Deputy starts, in the nearest folder that exists.
pub(super) fn data_folder(folder: &Path) -> Finding {
    let exists = folder.is_dir();
    let absolute = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    let written = if exists { absolute.as_path() } else { existing(&absolute) };
    let file = written.join(format!(".deputy-doctor-{}", std::process::id()));
    let tried = store::private().create_new(true).open(&file).and_then(|mut file| file.write_all(b"x"));
    // Fails if it was not created.
    let _ = fs::remove_file(&file);
    let seen = match tried {
        Ok(()) if exists => Seen::ok(format!("{} can be written", absolute.display())),
        Ok(()) => Seen::ok(format!("{} can be created", absolute.display())),
        Err(error) => Seen::failure(
            format!("{} cannot be written: {error}", written.display()),
            "make it writable for this user, or choose another folder with --data-dir (DATA_DIR)",
        ),
    };
    Finding::new(Group::Configuration, ("data folder", "--data-dir (DATA_DIR)", ""), Ok(seen))
}

/// The finding about the PostgreSQL database.
pub(super) fn database(examined: Result<String, StartError>) -> Finding {
    let seen = match examined {
        Ok(seen) => Seen::ok(seen),
        Err(error) => Seen::failure(error.to_string(), "correct STORE_URL or the database"),
    };
    let place = ("database", "--store-url (STORE_URL)", "docs/replicas.md");
    Finding::new(Group::Configuration, place, Ok(seen))
}

/// The nearest folder above a path that exists.
fn existing(path: &Path) -> &Path {
    path.ancestors().find(|path| path.is_dir()).unwrap_or(path)
}

/// PingOne's regions, as the end of its host names.
const REGIONS: [&str; 6] = ["asia", "ca", "com", "com.au", "eu", "sg"];

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "5e1f0000-0000-4000-8000-00000000de90";

    #[test]
    fn issuer_of_another_service_or_region_is_a_failure() {
        let is_failure = |text: &str| matches!(issuer(text), Seen::Failure { .. });
        for right in [
            "https://auth.pingone.eu/ID/as",
            "https://auth.pingone.com.au/ID/as",
            "https://login.example.com/as",
        ] {
            assert!(!is_failure(&right.replace("ID", ID)), "{right}");
        }
        for wrong in [
            "https://api.pingone.eu/ID/as",
            "https://apps.pingone.eu/ID/as",
            "https://console.pingone.eu/ID/as",
            "https://auth.pingone.de/ID/as",
            "https://auth.pingone.eu/default/as",
        ] {
            assert!(is_failure(&wrong.replace("ID", ID)), "{wrong}");
        }
    }
}
