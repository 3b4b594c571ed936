//! A keep-alive HTTP/1.1 connection that costs little: requests are written as they are, and buffers are used again.

use std::io;

use memchr::memmem;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use url::{Position, Url};

/// A connection to one server, with the last response.
pub(crate) struct Connection {
    /// `host:port` of the URLs.
    pub(crate) authority: String,
    /// `host:port` of the server, which may be one of several replicas.
    address: String,
    stream: Option<TcpStream>,
    received: Vec<u8>,
    head: usize,
    status: u16,
    /// The body, decoded.
    body: Vec<u8>,
}

impl Connection {
    pub(crate) fn new(authority: &str) -> Self {
        Self::to(authority, authority)
    }

    pub(crate) fn to(authority: &str, address: &str) -> Self {
        Self {
            authority: authority.to_owned(),
            address: address.to_owned(),
            stream: None,
            received: Vec::new(),
            head: 0,
            status: 0,
            body: Vec::new(),
        }
    }

    /// Sends a request and reads the whole response. The server may have closed an idle connection, so the first request
    /// after a response is sent once more on a new one.
    pub(crate) async fn send(&mut self, request: &[u8]) -> io::Result<()> {
        let reused = self.stream.is_some();
        match self.exchange(request).await {
            Err(_) if reused && self.received.is_empty() => {
                self.stream = None;
                self.exchange(request).await
            }
            result => result,
        }
        .inspect_err(|_| self.stream = None)
    }

    pub(crate) fn status(&self) -> u16 {
        self.status
    }

    pub(crate) fn body(&self) -> &[u8] {
        &self.body
    }

    pub(crate) fn contains(&self, text: &str) -> bool {
        memmem::find(&self.body, text.as_bytes()).is_some()
    }

    /// The values of a header.
    pub(crate) fn headers(&self, name: &str) -> Vec<String> {
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut head = httparse::Response::new(&mut headers);
        // It was parsed when it was received.
        let _ = head.parse(&self.received[..self.head]);
        let named = head.headers.iter().filter(|header| header.name.eq_ignore_ascii_case(name));
        named.map(|header| String::from_utf8_lossy(header.value).into_owned()).collect()
    }

    pub(crate) fn header(&self, name: &str) -> Option<String> {
        self.headers(name).pop()
    }

    /// The status and the beginning of the body, for errors.
    pub(crate) fn excerpt(&self) -> String {
        let body = &self.body[..self.body.len().min(300)];
        format!("{} {}", self.status, String::from_utf8_lossy(body))
    }

    async fn exchange(&mut self, request: &[u8]) -> io::Result<()> {
        self.received.clear();
        self.body.clear();
        let mut stream = if let Some(stream) = self.stream.take() {
            stream
        } else {
            let stream = TcpStream::connect(&self.address).await?;
            stream.set_nodelay(true)?;
            stream
        };
        stream.write_all(request).await?;
        let framing = loop {
            read(&mut stream, &mut self.received).await?;
            if let Some(framing) = self.parse_head()? {
                break framing;
            }
        };
        self.stream = Some(stream);
        match framing {
            Framing::Length(length) => self.read_length(length).await?,
            Framing::Chunked => self.read_chunks().await?,
        }
        if self.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close")) {
            self.stream = None;
        }
        Ok(())
    }

    fn parse_head(&mut self) -> io::Result<Option<Framing>> {
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut head = httparse::Response::new(&mut headers);
        let httparse::Status::Complete(end) = head.parse(&self.received).map_err(malformed)? else {
            return Ok(None);
        };
        self.head = end;
        self.status = head.code.unwrap_or_default();
        let value = |name: &str| {
            let header = head.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name))?;
            str::from_utf8(header.value).ok()
        };
        if value("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked")) {
            return Ok(Some(Framing::Chunked));
        }
        let length = value("content-length").map_or(Ok(0), str::parse).map_err(malformed)?;
        Ok(Some(Framing::Length(length)))
    }

    async fn read_length(&mut self, length: usize) -> io::Result<()> {
        let stream = self.stream.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        while self.received.len() < self.head + length {
            read(stream, &mut self.received).await?;
        }
        self.body.extend_from_slice(&self.received[self.head..self.head + length]);
        Ok(())
    }

    async fn read_chunks(&mut self) -> io::Result<()> {
        let stream = self.stream.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        let mut at = self.head;
        loop {
            match httparse::parse_chunk_size(&self.received[at..]) {
                Ok(httparse::Status::Complete((line, size))) => {
                    let begin = at + line;
                    let end = begin + usize::try_from(size).map_err(malformed)?;
                    // The data, or the last of the trailers, and an empty line.
                    while self.received.len() < end + 2 {
                        read(stream, &mut self.received).await?;
                    }
                    if size == 0 {
                        return Ok(());
                    }
                    self.body.extend_from_slice(&self.received[begin..end]);
                    at = end + 2;
                }
                Ok(httparse::Status::Partial) => read(stream, &mut self.received).await?,
                Err(_) => return Err(malformed("a chunk of a response has no size")),
            }
        }
    }
}

enum Framing {
    Length(usize),
    Chunked,
}

async fn read(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> io::Result<()> {
    buffer.reserve(16 * 1024);
    if stream.read_buf(buffer).await? == 0 { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
}

fn malformed(error: impl ToString) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error.to_string())
}

/// The bytes of a request.
pub(crate) fn request(method: &str, url: &Url, headers: &[(&str, &str)], body: &str) -> Vec<u8> {
    use std::fmt::Write as _;

    let mut text = format!("{method} {} HTTP/1.1\r\n", &url[Position::BeforePath..Position::AfterQuery]);
    // A string takes everything that is written to it.
    let _ = write!(text, "host: {}\r\n", url.authority());
    for (name, value) in headers {
        let _ = write!(text, "{name}: {value}\r\n");
    }
    if method == "POST" {
        let _ = write!(text, "content-length: {}\r\n", body.len());
    }
    text.push_str("\r\n");
    text.push_str(body);
    text.into_bytes()
}

const MAX_HEADERS: usize = 64;
