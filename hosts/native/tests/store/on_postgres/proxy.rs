//! A proxy that loses responses of PostgreSQL.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream, UnixStream},
};

/// A proxy on a loopback address, in front of a server on a Unix socket.
pub(super) struct Proxy {
    port: u16,
    loses: Arc<AtomicU32>,
}

impl Proxy {
    /// A proxy in front of the server of this URL, which is over a Unix socket.
    pub(super) async fn start(url: &str) -> Self {
        let parameter = |name: &str| url.split(['?', '&']).find_map(|part| part.strip_prefix(name)).unwrap();
        let socket = PathBuf::from(parameter("host=")).join(format!(".s.PGSQL.{}", parameter("port=")));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (port, loses) = (listener.local_addr().unwrap().port(), Arc::new(AtomicU32::new(0)));
        let lost = Arc::clone(&loses);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = UnixStream::connect(&socket).await.unwrap();
                tokio::spawn(pass(client, server, Arc::clone(&lost)));
            }
        });
        Self { port, loses }
    }

    /// The URL of the proxy, for the database of this URL.
    pub(super) fn url(&self, url: &str) -> String {
        let (base, query) = url.split_once('?').unwrap();
        let database = base.trim_start_matches("postgres:///");
        let options = query.split('&').find(|part| part.starts_with("options=")).unwrap();
        format!("postgres://deputy@127.0.0.1:{}/{database}?{options}", self.port)
    }

    /// Closes the next connection on which the server responds, after the server has responded.
    pub(super) fn lose_a_response(&self) {
        self.lose_responses(1);
    }

    /// Does so with the next connections.
    pub(super) fn lose_responses(&self, count: u32) {
        self.loses.store(count, Ordering::SeqCst);
    }
}

async fn pass(mut client: TcpStream, mut server: UnixStream, loses: Arc<AtomicU32>) {
    let (mut request, mut response) = (vec![0; 65_536], vec![0; 65_536]);
    loop {
        let passed = tokio::select! {
            read = client.read(&mut request) => match read {
                Ok(length) if length > 0 => server.write_all(&request[..length]).await,
                _ => return,
            },
            read = server.read(&mut response) => match read {
                Ok(length) if length > 0 && !is_to_be_lost(&loses) => {
                    client.write_all(&response[..length]).await
                }
                _ => return,
            },
        };
        if passed.is_err() {
            return;
        }
    }
}

fn is_to_be_lost(loses: &AtomicU32) -> bool {
    let one_less = |count: u32| count.checked_sub(1);
    loses.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less).is_ok()
}
