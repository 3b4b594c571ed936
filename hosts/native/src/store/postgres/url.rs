//! The URL of a PostgreSQL database.

use std::{convert::Infallible, net::IpAddr, path::PathBuf, str::FromStr, time::Duration};

use deputy::{secret::Secret, types::is_loopback};
use percent_encoding::percent_decode_str;
use tokio_postgres::{
    Config,
    config::{Host, SslMode, TargetSessionAttrs},
};

/// The text of `STORE_URL`. It may contain a password, so no error quotes it.
#[derive(Clone, Debug)]
pub struct StoreUrl(Secret<String>);

impl FromStr for StoreUrl {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(Secret::new(text.to_owned())))
    }
}

/// Why `STORE_URL` is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreUrlError {
    /// A host that is no name and no address.
    #[error(
        "STORE_URL has no valid host. Percent-encode the characters @ : / ? # and % in the user and the password"
    )]
    Host,
    /// A parameter without a meaning here.
    #[error("STORE_URL has a parameter that Deputy does not know. The parameters are {}", PARAMETERS.join(", "))]
    Parameter,
    /// A value of `sslmode`.
    #[error(
        "STORE_URL has an sslmode that does not authenticate the server. Use sslmode=verify-full, with the certificate of \
         the authority in sslrootcert if the computer does not trust it; or sslmode=disable on a network that you trust"
    )]
    SslMode,
    /// Not a URL of this kind.
    #[error("STORE_URL is not a valid PostgreSQL URL. Write postgres://user:password@host:5432/database")]
    Syntax,
}

/// A parsed URL.
#[derive(Clone, Debug)]
pub(super) struct PostgresUrl {
    pub(super) config: Config,
    pub(super) tls: Tls,
    /// Host and database, for messages.
    pub(super) place: String,
    /// Whether every host is this computer.
    pub(super) is_local: bool,
}

/// How the server is authenticated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Tls {
    /// Not at all.
    Off,
    /// By a certificate for the name of its host, from an authority in this file, or else from one that the computer trusts.
    VerifyFull { roots: Option<PathBuf> },
}

impl StoreUrl {
    pub(super) fn parse(&self) -> Result<PostgresUrl, StoreUrlError> {
        let text = self.0.expose().trim();
        if !SCHEMES.iter().any(|scheme| text.starts_with(scheme)) {
            return Err(StoreUrlError::Syntax);
        }
        let (base, query) = text.split_once('?').unwrap_or((text, ""));
        let (mut mode, mut roots, mut others) = (None, None, Vec::new());
        for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
            let (name, value) = parameter.split_once('=').ok_or(StoreUrlError::Parameter)?;
            let decoded = || percent_decode_str(value).decode_utf8().map_err(|_| StoreUrlError::Syntax);
            match name {
                "sslmode" => mode = Some(decoded()?.into_owned()),
                "sslrootcert" => roots = Some(PathBuf::from(decoded()?.into_owned())),
                name if PARAMETERS.contains(&name) => others.push(parameter),
                _ => return Err(StoreUrlError::Parameter),
            }
        }
        // The part after an `@` of the password would be the host, which is logged and looked up.
        if base.matches('@').count() > 1 {
            return Err(StoreUrlError::Host);
        }
        // The driver knows neither `verify-full` nor `sslrootcert`.
        let known = format!("{base}?{}", others.join("&"));
        let mut config: Config = known.parse().map_err(|_| StoreUrlError::Syntax)?;
        if config.get_hosts().is_empty() || !config.get_hosts().iter().all(is_valid) {
            return Err(StoreUrlError::Host);
        }
        let is_local = config.get_hosts().iter().all(is_local);
        let tls = match mode.as_deref() {
            None if is_local && roots.is_none() => Tls::Off,
            Some("disable") if roots.is_none() => Tls::Off,
            // Providers give URLs with `require`, for which libpq verifies nothing.
            None | Some("require" | "verify-full") => Tls::VerifyFull { roots },
            Some(_) => return Err(StoreUrlError::SslMode),
        };
        config.ssl_mode(if tls == Tls::Off { SslMode::Disable } else { SslMode::Require });
        config
            .connect_timeout(CONNECT_TIMEOUT)
            .keepalives_idle(KEEPALIVE)
            .keepalives_interval(KEEPALIVE)
            .keepalives_retries(3)
            .tcp_user_timeout(UNACKNOWLEDGED)
            // Of several hosts, the primary. A standby would be behind.
            .target_session_attrs(TargetSessionAttrs::ReadWrite);
        Ok(PostgresUrl { place: place(&config), config, tls, is_local })
    }
}

/// The hosts with their ports, and the database.
fn place(config: &Config) -> String {
    let hosts = config.get_hosts().iter().enumerate().map(|(number, host)| {
        let ports = config.get_ports();
        let port = ports.get(number).or(ports.first()).copied().unwrap_or(5432);
        match host {
            Host::Tcp(name) => format!("{name}:{port}"),
            #[cfg(unix)]
            Host::Unix(folder) => format!("{} (port {port})", folder.display()),
        }
    });
    let database = config.get_dbname().or(config.get_user()).unwrap_or("its default database");
    format!("{database} at {}", hosts.collect::<Vec<_>>().join(", "))
}

/// Whether a host is a name, an address or a folder. A password that is not percent-encoded can end up in a host, and hosts
/// are logged.
fn is_valid(host: &Host) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':');
    match host {
        Host::Tcp(name) => !name.is_empty() && name.bytes().all(is_plain),
        #[cfg(unix)]
        Host::Unix(_) => true,
    }
}

fn is_local(host: &Host) -> bool {
    match host {
        Host::Tcp(name) => is_loopback(&match name.parse() {
            Ok(IpAddr::V4(address)) => url::Host::Ipv4(address),
            Ok(IpAddr::V6(address)) => url::Host::Ipv6(address),
            Err(_) => url::Host::Domain(name),
        }),
        #[cfg(unix)]
        Host::Unix(_) => true,
    }
}

const SCHEMES: [&str; 2] = ["postgres://", "postgresql://"];

const PARAMETERS: [&str; 8] =
    ["dbname", "host", "options", "password", "port", "sslmode", "sslrootcert", "user"];

const CONNECT_TIMEOUT: Duration = Duration::from_secs(4);

/// Idle time before the first question whether the server is there, and between further ones.
const KEEPALIVE: Duration = Duration::from_secs(10);

/// Time for which bytes may stay unacknowledged.
const UNACKNOWLEDGED: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<PostgresUrl, StoreUrlError> {
        text.parse::<StoreUrl>().unwrap().parse()
    }

    fn tls(text: &str) -> Result<Tls, StoreUrlError> {
        parse(text).map(|url| url.tls)
    }

    #[test]
    fn remote_server_is_verified_unless_the_url_says_otherwise() {
        let verified = Ok(Tls::VerifyFull { roots: None });
        assert_eq!(tls("postgres://deputy@db.example/deputy"), verified);
        assert_eq!(tls("postgresql://deputy@10.0.0.1:6432/deputy"), verified);
        assert_eq!(tls("postgres://deputy@db.example/deputy?sslmode=require"), verified);
        assert_eq!(tls("postgres://deputy@localhost,db.example/deputy"), verified);
        assert_eq!(tls("postgres://deputy@db.example/deputy?sslmode=disable"), Ok(Tls::Off));
        let roots = Some(PathBuf::from("/etc/ca file.pem"));
        let url = "postgres://deputy@localhost/deputy?sslrootcert=/etc/ca%20file.pem";
        assert_eq!(tls(url), Ok(Tls::VerifyFull { roots }));
    }

    #[test]
    fn server_on_this_computer_needs_no_tls() {
        for host in ["localhost", "127.0.0.1:5433", "[::1]", "%2Frun%2Fpostgresql"] {
            assert_eq!(tls(&format!("postgres://deputy@{host}/deputy")), Ok(Tls::Off), "{host}");
        }
        assert_eq!(tls("postgres:///deputy?host=/run/postgresql&user=deputy"), Ok(Tls::Off));
        let url = "postgres://deputy@localhost/deputy?sslmode=verify-full";
        assert_eq!(tls(url), Ok(Tls::VerifyFull { roots: None }));
    }

    #[test]
    fn mode_without_authentication_is_refused() {
        for mode in ["allow", "prefer", "verify-ca", "", "disable&sslrootcert=/etc/ca.pem"] {
            let url = format!("postgres://deputy@db.example/deputy?sslmode={mode}");
            assert_eq!(tls(&url), Err(StoreUrlError::SslMode), "{mode}");
        }
    }

    #[test]
    fn wrong_url_is_refused_without_quoting_it() {
        for (url, error) in [
            ("", StoreUrlError::Syntax),
            ("mysql://deputy@db.example/deputy", StoreUrlError::Syntax),
            ("host=db.example password=hunter2", StoreUrlError::Syntax),
            ("postgres://deputy:hunter2@db.example:port/deputy", StoreUrlError::Syntax),
            ("postgres://deputy:hunter2@db.example/deputy?channel_binding=require", StoreUrlError::Parameter),
            ("postgres://deputy:what?hunter2@db.example/deputy", StoreUrlError::Parameter),
            ("postgres://deputy:p@hunter2!@db.example/deputy", StoreUrlError::Host),
            ("postgres://deputy:p@hunter2/x@db.example/deputy", StoreUrlError::Host),
            ("postgres:///deputy?user=deputy", StoreUrlError::Host),
        ] {
            let seen = parse(url).unwrap_err();
            assert_eq!(seen, error, "{url}");
            assert!(!format!("{seen} {seen:?}").contains("hunter2"), "{seen}");
        }
    }

    #[test]
    fn password_is_redacted_wherever_the_url_is_shown() {
        let url: StoreUrl =
            "postgres://deputy:hunter2@db.example,other.example:5433/records".parse().unwrap();
        let parsed = url.parse().unwrap();
        assert_eq!(parsed.config.get_password(), Some(&b"hunter2"[..]));
        assert_eq!(parsed.place, "records at db.example:5432, other.example:5433");
        assert!(!format!("{url:?} {parsed:?}").contains("hunter2"));
    }
}
