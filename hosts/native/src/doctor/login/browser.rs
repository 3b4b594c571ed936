//! The way of PingOne's response from the user's browser to this program.

use std::time::Duration;

use axum::{Router, extract::RawQuery, routing::get};
use deputy::{config::Config, oidc::Discovery};
use tokio::{
    net::TcpListener,
    sync::{mpsc, oneshot},
    time::timeout,
};
use url::{Url, form_urlencoded};

use super::TRY_AGAIN;
use crate::{
    doctor::{check::Seen, client::accepts_redirect_uri},
    http_server::{self, Server, Shutdown},
    management::Probe,
};

/// A browser of the user.
pub(super) struct Browser {
    pub(super) redirect_uri: String,
    /// For the redirect URI on this computer. Without it, the user copies the address that the browser ends at.
    listener: Option<TcpListener>,
}

/// The parameters of PingOne's response.
#[derive(Default)]
pub(super) struct Response {
    pub(super) code: Option<String>,
    pub(super) error: Option<String>,
    pub(super) iss: Option<String>,
    state: Option<String>,
}

impl Browser {
    /// Chooses a redirect URI on this computer if the application has one: PingOne accepts it with any port. Otherwise it is
    /// Deputy's own.
    pub(super) async fn choose(probe: &Probe, config: &Config, discovery: &Discovery) -> Result<Self, Seen> {
        let listener = TcpListener::bind("127.0.0.1:0").await;
        let no_port = |error| Seen::failure(format!("no port can be opened: {error}"), TRY_AGAIN);
        let listener = listener.map_err(no_port)?;
        let port = listener.local_addr().map_err(no_port)?.port();
        for host in ["localhost", "127.0.0.1"] {
            let redirect_uri = format!("http://{host}:{port}/callback");
            if accepts_redirect_uri(probe, config, discovery, &redirect_uri).await {
                return Ok(Self { redirect_uri, listener: Some(listener) });
            }
        }
        Ok(Self { redirect_uri: config.public_url.callback(), listener: None })
    }

    /// Shows the address to the user, and waits for PingOne's response.
    pub(super) async fn response(
        self,
        url: &Url,
        state: &str,
        say: &(dyn Fn(&str) + Sync),
    ) -> Result<Response, Seen> {
        let text = if let Some(listener) = self.listener {
            say(&format!("Open this address in a browser and log in:\n{url}"));
            timeout(PATIENCE, received(listener)).await
        } else {
            say(&format!(
                "Open this address in a browser and log in. Deputy then shows an error, because it did not start this login. \
                 Copy the address of that page, paste it here, and press Enter. With the redirect URI \
                 http://localhost/callback in the application, nothing has to be copied.\n{url}"
            ));
            timeout(PATIENCE, pasted()).await
        };
        let nothing = || Seen::failure("no login came back within five minutes", TRY_AGAIN);
        let text = text.ok().flatten().ok_or_else(nothing)?;
        Response::of_login(&text, state)
    }
}

impl Response {
    /// Reads the response of the login with this state.
    fn of_login(text: &str, state: &str) -> Result<Self, Seen> {
        let response = Self::read(text);
        let is_of_login = response.state.as_deref() == Some(state);
        let other = || Seen::failure("the response belongs to another login: its state differs", TRY_AGAIN);
        is_of_login.then_some(response).ok_or_else(other)
    }

    /// Reads a query, or an address with one.
    fn read(text: &str) -> Self {
        let query = text.trim().rsplit_once('?').map_or(text.trim(), |(_, query)| query);
        let query = query.split('#').next().unwrap_or_default();
        let mut response = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let field = match &*name {
                "code" => &mut response.code,
                "error" => &mut response.error,
                "iss" => &mut response.iss,
                "state" => &mut response.state,
                _ => continue,
            };
            *field = Some(value.into_owned());
        }
        response
    }
}

/// The query that the browser sends to the callback.
async fn received(listener: TcpListener) -> Option<String> {
    let (sender, mut receiver) = mpsc::channel(1);
    let callback = get(move |RawQuery(query): RawQuery| {
        let sender = sender.clone();
        async move {
            // Only the first response counts.
            let _ = sender.try_send(query.unwrap_or_default());
            "The login has come back. You can close this window; deputy doctor goes on."
        }
    });
    let shutdown = Shutdown::default();
    let router = Router::new().route("/callback", callback);
    let server =
        tokio::spawn(http_server::serve(Server::default(), vec![listener], router, shutdown.clone()));
    let query = receiver.recv().await;
    shutdown.graceful.cancel();
    // The browser gets its page first.
    let _ = timeout(Duration::from_secs(1), server).await;
    query
}

/// The line that the user pastes. A thread waits for it, which ends with the process.
async fn pasted() -> Option<String> {
    let (sender, receiver) = oneshot::channel();
    std::thread::spawn(move || {
        let mut line = String::new();
        if std::io::stdin().read_line(&mut line).is_ok() {
            // The other side may have given up.
            let _ = sender.send(line);
        }
    });
    receiver.await.ok().filter(|line| !line.trim().is_empty())
}

/// The time that a user has to log in.
const PATIENCE: Duration = Duration::from_mins(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn response_of_another_login_is_a_failure() {
        assert!(Response::of_login("code=c&state=s", "s").is_ok());
        for text in ["code=c&state=other", "code=c", "code=c&state=s&state=other", ""] {
            assert!(Response::of_login(text, "s").is_err(), "{text}");
        }
    }

    #[test]
    fn response_is_read_from_an_address_or_a_query() {
        for text in [
            "code=a%20b&state=s",
            "https://deputy.example/callback?code=a%20b&state=s#x\n",
            " code=a+b&state=s ",
        ] {
            let Response { code, error, state, .. } = Response::read(text);
            assert_eq!((code.as_deref(), error, state.as_deref()), (Some("a b"), None, Some("s")), "{text}");
        }
    }
}
