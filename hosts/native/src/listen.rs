//! Addresses to listen on.

use std::{
    fmt, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    str::FromStr,
};

use tokio::net::TcpListener;

/// An address to listen on: `127.0.0.1:8787`, `[::1]:8787`, `0.0.0.0:8787`, or `localhost:8787`, which is both
/// loopback addresses, because a browser may try either first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    host: Host,
    port: u16,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Host {
    Address(IpAddr),
    Localhost,
}

impl Listen {
    /// Both loopback addresses, at the same port.
    pub const fn localhost(port: u16) -> Self {
        Self { host: Host::Localhost, port }
    }

    /// The port. 0: the operating system chooses one.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Whether only this computer can connect.
    pub const fn is_loopback(&self) -> bool {
        match self.host {
            Host::Address(address) => address.is_loopback(),
            Host::Localhost => true,
        }
    }

    /// Opens the sockets. `flag` is the setting that an error names.
    pub async fn bind(&self, flag: &'static str) -> Result<Listening, BindError> {
        let failed = |address| move |error| BindError { address, flag, error };
        let bind = async |address: SocketAddr| TcpListener::bind(address).await.map_err(failed(address));
        let main = match self.host {
            Host::Address(address) => SocketAddr::new(address, self.port),
            Host::Localhost => SocketAddr::new(Ipv4Addr::LOCALHOST.into(), self.port),
        };
        let first = bind(main).await?;
        let port = first.local_addr().map_err(failed(main))?.port();
        let mut listeners = vec![first];
        if self.host == Host::Localhost {
            match bind(SocketAddr::new(Ipv6Addr::LOCALHOST.into(), port)).await {
                Ok(second) => listeners.push(second),
                // The other program would get half of the browsers' requests.
                Err(error) if error.error.kind() == io::ErrorKind::AddrInUse => return Err(error),
                // This computer has no IPv6.
                Err(_) => {}
            }
        }
        Ok(Listening { listeners, port })
    }
}

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(port) = text.strip_prefix("localhost:").and_then(|port| port.parse().ok()) {
            return Ok(Self::localhost(port));
        }
        let address: SocketAddr = text.parse().map_err(|_| {
            "expected an address and a port, such as 127.0.0.1:8787 or localhost:8787".to_owned()
        })?;
        Ok(Self { host: Host::Address(address.ip()), port: address.port() })
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host {
            Host::Address(address) => SocketAddr::new(address, self.port).fmt(f),
            Host::Localhost => write!(f, "localhost:{}", self.port),
        }
    }
}

/// Open sockets of a [`Listen`].
#[derive(Debug)]
pub struct Listening {
    /// One socket, or two for `localhost`.
    pub listeners: Vec<TcpListener>,
    /// Their port.
    pub port: u16,
}

/// Why an address cannot be listened on.
#[derive(Debug)]
pub struct BindError {
    address: SocketAddr,
    flag: &'static str,
    error: io::Error,
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { address, flag, error } = self;
        match error.kind() {
            io::ErrorKind::AddrInUse => write!(
                f,
                "port {} of {} is in use by another program. Stop that program, or choose another port with {flag}",
                address.port(),
                address.ip()
            ),
            io::ErrorKind::AddrNotAvailable => write!(
                f,
                "{} is not an address of this computer. Choose another address with {flag}",
                address.ip()
            ),
            io::ErrorKind::PermissionDenied => write!(
                f,
                "this user may not listen on port {}. Choose a port above 1023 with {flag}",
                address.port()
            ),
            _ => write!(f, "cannot listen on {address}: {error}. Choose another address with {flag}"),
        }
    }
}

impl std::error::Error for BindError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parsed_address_is_displayed_as_written() {
        for text in ["127.0.0.1:8787", "[::1]:0", "0.0.0.0:80", "localhost:8787"] {
            assert_eq!(text.parse::<Listen>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn address_without_a_port_is_refused() {
        for text in [
            "",
            "8787",
            ":8787",
            "127.0.0.1",
            "localhost",
            "localhost:x",
            "localhost:65536",
            "example.com:80",
        ] {
            assert!(text.parse::<Listen>().is_err(), "{text}");
        }
    }
}
