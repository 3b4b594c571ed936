//! The variables: what each one is called, what it means, and which values it takes.
//!
//! A variable is described beside the function that parses it. Its description is the source of `deputy serve --help`,
//! docs/configuration.md and .env.example, of the error for a missing value, and of the check for misspelled names.

use super::{
    Variable, admin, api, audit, brand, client_key, clients, keys, lifetimes, origins, pingone, public_url,
    rate_limits, webhook,
};

/// Variables that belong together.
#[derive(Clone, Debug)]
pub struct Section {
    /// The heading.
    pub title: &'static str,
    /// Its variables.
    pub variables: &'static [&'static Variable],
}

/// Every variable that [`Config::parse`](super::Config::parse) reads.
///
/// ```
/// use deputy::config::{DefaultValue, variables};
///
/// let required = variables().filter(|variable| variable.default == DefaultValue::Required);
/// assert!(required.map(|variable| variable.name).any(|name| name == "PINGONE_ISSUER"));
/// ```
pub fn variables() -> impl Iterator<Item = &'static Variable> {
    SECTIONS.iter().flat_map(|section| section.variables.iter().copied())
}

/// The variables by what they are about, in the order of the documentation.
pub static SECTIONS: [Section; 7] = [
    Section {
        title: "Deputy",
        variables: &[&public_url::PUBLIC_URL, &keys::SERVER_KEY, &admin::ADMIN_TOKEN, &admin::ADMIN_EXPORT],
    },
    Section {
        title: "PingOne",
        variables: &[
            &pingone::ISSUER,
            &pingone::POLICY_ID,
            &pingone::CLIENT_ID,
            &pingone::CLIENT_SECRET,
            &pingone::CLIENT_AUTH,
            &client_key::CLIENT_KEY,
            &pingone::PAR,
            &pingone::SEND_RESOURCE,
            &webhook::WEBHOOK_SECRET,
            &webhook::PASSWORD_EVENTS,
            &webhook::CHECK_INTERVAL,
        ],
    },
    Section {
        title: "The API",
        variables: &[&api::IDENTIFIER, &api::URL, &api::SCOPES, &api::WHO_AM_I_TOKEN],
    },
    Section {
        title: "Clients",
        variables: &[
            &clients::CLIENT_APPROVAL,
            &clients::CLIENT_ID_METADATA_DOCUMENTS,
            &clients::DYNAMIC_CLIENT_REGISTRATION,
            &clients::CLIENTS,
            &clients::CLIENT_HOSTS,
            &clients::PRIVATE_USE_REDIRECT_URIS,
            &origins::ALLOWED_ORIGINS,
            &clients::UNCONFIRMED_TOOLS,
        ],
    },
    Section {
        title: "Tokens and limits",
        variables: &[
            &lifetimes::ACCESS_TOKEN_LIFETIME,
            &lifetimes::REFRESH_TOKEN_LIFETIME,
            &rate_limits::RATE_LIMITS,
        ],
    },
    Section { title: "Logs", variables: &[&audit::LOG_USERNAMES, &audit::AUDIT_ARGUMENTS] },
    Section {
        title: "Pages for users",
        variables: &[&brand::BRAND_NAME, &brand::BRAND_LOGO, &brand::CONTACT_URL, &brand::POLICY_URL],
    },
];

/// The variable that is read under `name`.
pub(super) fn named(name: &str) -> Option<&'static Variable> {
    variables().find(|variable| variable.names().any(|known| known == name))
}
