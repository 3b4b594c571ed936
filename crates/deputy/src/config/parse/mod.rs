//! From variables to [`Config`].

use std::cell::RefCell;

use super::{
    Admission, Api, Brand, Config, ConfigErrors, PingOne,
    admin::{ADMIN_EXPORT, ADMIN_TOKEN, admin_token},
    audit::{AUDIT_ARGUMENTS, LOG_USERNAMES},
    clients::{
        CLIENT_APPROVAL, CLIENT_HOSTS, CLIENT_ID_METADATA_DOCUMENTS, CLIENTS, ClientHosts,
        DYNAMIC_CLIENT_REGISTRATION, PRIVATE_USE_REDIRECT_URIS, RedirectPolicy, UNCONFIRMED_TOOLS,
        client_approval, configured_clients, private_use, tools,
    },
    keys::{Keys, SERVER_KEY},
    lifetimes::{ACCESS_TOKEN_LIFETIME, REFRESH_TOKEN_LIFETIME, lifetime},
    origins::{ALLOWED_ORIGINS, origins},
    public_url::{PUBLIC_URL, public_url},
    rate_limits::{RATE_LIMITS, rate_limits},
    vars::{Vars, on_or_off},
};

impl Config {
    /// Reads every variable through `lookup`. A variable that is empty counts as absent.
    ///
    /// ```
    /// use std::collections::BTreeMap;
    ///
    /// use deputy::config::Config;
    ///
    /// let mut variables = BTreeMap::from([
    ///     ("PUBLIC_URL", "https://deputy.example.com"),
    ///     ("SERVER_KEY", "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="),
    ///     ("PINGONE_ISSUER", "https://auth.pingone.eu/00000000-0000-4000-8000-000000000000/as"),
    ///     ("PINGONE_DV_POLICY_ID", "0123456789abcdef0123456789abcdef"),
    ///     ("PINGONE_CLIENT_ID", "client"),
    ///     ("PINGONE_CLIENT_SECRET", "secret"),
    ///     ("API_IDENTIFIER", "https://todo.example.com"),
    ///     ("API_URL", "https://todo.example.com"),
    /// ]);
    /// let parse = |variables: &BTreeMap<&str, &str>| {
    ///     Config::parse(|name| variables.get(name).map(ToString::to_string))
    /// };
    /// let config = parse(&variables).expect("a good configuration");
    /// assert_eq!(config.public_url.resource(), "https://deputy.example.com/mcp");
    /// assert_eq!(config.access_token_lifetime.as_secs(), 28_800);
    ///
    /// // Every wrong variable is reported, without its value.
    /// variables.insert("API_URL", "ftp://todo.example.com");
    /// variables.insert("RATE_LIMITS", "many");
    /// let errors = parse(&variables).expect_err("two errors");
    /// let names: Vec<_> = errors.0.iter().map(|error| &*error.name).collect();
    /// assert_eq!(names, ["API_URL", "RATE_LIMITS"]);
    /// ```
    pub fn parse(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigErrors> {
        let vars = Vars { lookup: &lookup, errors: RefCell::default() };
        let public_url = vars.read(&PUBLIC_URL, public_url);
        let pingone = PingOne::read(&vars);
        let api = Api::read(&vars);
        let brand = Brand::read(&vars);
        let keys = vars.read(&SERVER_KEY, Keys::parse);
        let admin_token = vars.read(&ADMIN_TOKEN, admin_token);
        let admin_export = vars.choose(&ADMIN_EXPORT, on_or_off);
        let client_approval = vars.choose(&CLIENT_APPROVAL, client_approval);
        let metadata_documents = vars.choose(&CLIENT_ID_METADATA_DOCUMENTS, on_or_off);
        let registration = vars.choose(&DYNAMIC_CLIENT_REGISTRATION, on_or_off);
        let clients = vars.read(&CLIENTS, configured_clients);
        let hosts = vars.read(&CLIENT_HOSTS, ClientHosts::parse);
        let private_use = vars.read(&PRIVATE_USE_REDIRECT_URIS, private_use);
        let allowed_origins = vars.read(&ALLOWED_ORIGINS, origins);
        let unconfirmed_tools = vars.read(&UNCONFIRMED_TOOLS, tools);
        let log_usernames = vars.choose(&LOG_USERNAMES, on_or_off);
        let audit_arguments = vars.choose(&AUDIT_ARGUMENTS, on_or_off);
        let rate_limits = vars.read(&RATE_LIMITS, rate_limits);
        let access_token_lifetime = vars.read(&ACCESS_TOKEN_LIFETIME, lifetime);
        let refresh_token_lifetime = vars.read(&REFRESH_TOKEN_LIFETIME, lifetime);
        if let (Some(access), Some(refresh)) = (access_token_lifetime, refresh_token_lifetime)
            && access > refresh
        {
            vars.report(REFRESH_TOKEN_LIFETIME.name, "must not be shorter than ACCESS_TOKEN_LIFETIME");
        }

        let config = (|| {
            Some(Self {
                public_url: public_url?,
                pingone: pingone?,
                api: api?,
                brand: brand?,
                keys: keys?,
                admin_token: admin_token?,
                admin_export: admin_export?,
                client_approval: client_approval?,
                admission: Admission {
                    metadata_documents: metadata_documents?,
                    registration: registration?,
                    clients: clients?,
                },
                redirect_policy: RedirectPolicy { private_use: private_use?, hosts: hosts? },
                allowed_origins: allowed_origins?,
                unconfirmed_tools: unconfirmed_tools?,
                log_usernames: log_usernames?,
                audit_arguments: audit_arguments?,
                rate_limits: rate_limits?,
                access_token_lifetime: access_token_lifetime?,
                refresh_token_lifetime: refresh_token_lifetime?,
            })
        })();
        let errors = vars.errors.into_inner();
        config.filter(|_| errors.is_empty()).ok_or(ConfigErrors(errors))
    }
}

#[cfg(test)]
mod tests;
