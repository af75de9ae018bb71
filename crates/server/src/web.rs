//! Faces that come over TCP: a WebSocket, by which browsers and programs elsewhere reach the host.
//! Whoever comes must know the host's token, and no page of a foreign site gets in with it.

use std::fs::OpenOptions;
use std::io::{self, Read as _, Write as _};
use std::net::IpAddr;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use quire_protocol::ClientError;
use subtle::ConstantTimeEq as _;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::StatusCode;
use tokio_tungstenite::tungstenite::http::header::{
    AUTHORIZATION, HOST, HeaderMap, HeaderName, HeaderValue, ORIGIN, SEC_WEBSOCKET_PROTOCOL,
};
use tokio_tungstenite::tungstenite::http::uri::{Authority, Uri};
use tokio_tungstenite::tungstenite::{Error, protocol::WebSocketConfig};
use tokio_tungstenite::{accept_hdr_async_with_config, client_async_with_config};

use crate::link::Unanswered;
use crate::pipe::{self, Reader, Writer};
use crate::wire::{self, Failure};

/// What a person is told who lets others than this machine reach the host.
pub const NOT_ENCRYPTED: &str = "warning: others can reach this address, and what is said there is \
                                 not encrypted: whoever listens in learns the token. Prefer 127.0.0.1 \
                                 and `ssh -L`";

/// What a browser asks to speak; the host says the same back.
const SPOKEN: &str = "quire";
/// What a browser asks to speak as well, since it can set no other header: this and the token.
const SPOKEN_TOKEN: &str = "quire.token.";
/// How long somebody may take to say who he is.
const ENTRY: Duration = Duration::from_secs(10);
/// What is told to those who say something that is no WebSocket's beginning.
const NO_WEB_SOCKET: &str = "this is a WebSocket of Quire: `quire --host ws://…` opens it\n";
/// Letters of a token: 32 random bytes.
const LETTERS: usize = 64;

/// What only those know who may reach a host over TCP.
#[derive(Clone)]
pub struct Token(String);

impl Token {
    /// The token by its text.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.trim().to_owned())
    }

    /// Where the token of the host in this folder is.
    #[must_use]
    pub fn file(folder: &Path) -> PathBuf {
        folder.join("token")
    }

    /// The token of the host in this folder.
    pub fn read(folder: &Path) -> io::Result<Self> {
        let text = std::fs::read_to_string(Self::file(folder))?;
        let token = Self::new(&text);
        if token.0.len() < LETTERS {
            return Err(invalid("it is too short for a token: delete it"));
        }
        Ok(token)
    }

    /// The token of the host in this folder; makes one where there is none.
    pub(crate) fn keep(folder: &Path) -> io::Result<Self> {
        let file = Self::file(folder);
        let made = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&file);
        match made {
            Ok(mut file) => {
                let token = random()?;
                file.write_all(format!("{token}\n").as_bytes())?;
                Ok(Self(token))
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                if std::fs::metadata(&file)?.mode() & 0o077 != 0 {
                    return Err(invalid("others may read it: delete it"));
                }
                Self::read(folder)
            }
            Err(error) => Err(error),
        }
    }

    fn is(&self, said: &str) -> bool {
        self.0.as_bytes().ct_eq(said.as_bytes()).into()
    }
}

fn invalid(words: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, words)
}

fn random() -> io::Result<String> {
    let mut bytes = [[0; 16]; 2];
    let mut source = std::fs::File::open("/dev/urandom")?;
    for half in &mut bytes {
        source.read_exact(half)?;
    }
    let [first, second] = bytes.map(u128::from_ne_bytes);
    Ok(format!("{first:032x}{second:032x}"))
}

/// Who is let in.
pub(crate) struct Gate {
    pub(crate) token: Token,
    /// Sites whose pages are, besides programs, such as `https://example.org`.
    pub(crate) origins: Vec<String>,
}

impl Gate {
    /// Lets somebody in, or tells him why not and hangs up.
    pub(crate) async fn admit(&self, stream: TcpStream) -> io::Result<(Reader, Writer)> {
        // Short lines are not to wait for more of their kind.
        stream.set_nodelay(true)?;
        let stream = stream.into_std()?;
        let same = stream.try_clone()?;
        let stream = TcpStream::from_std(stream)?;
        #[expect(clippy::result_large_err, reason = "the library wants it so")]
        let judge = |request: &Request, response: Response| {
            judge(self, request.headers(), response)
                .map_err(|(status, words)| refusal(status, words))
        };
        let entering = accept_hdr_async_with_config(stream, judge, Some(limits(wire::LONGEST)));
        match timeout(ENTRY, entering).await {
            Ok(Ok(stream)) => Ok(pipe::of_web(stream)),
            Ok(Err(error)) => {
                if matches!(error, Error::Protocol(_)) {
                    let length = NO_WEB_SOCKET.len();
                    let answer = format!(
                        "HTTP/1.1 426 Upgrade Required\r\nupgrade: websocket\r\nconnection: close\r\n\
                         content-type: text/plain\r\ncontent-length: {length}\r\n\r\n{NO_WEB_SOCKET}"
                    );
                    // Nothing has been said to it yet, so that this much is taken at once.
                    (&same).write_all(answer.as_bytes())?;
                }
                Err(io::Error::other(error))
            }
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        }
    }

    /// Whether a request was meant for this host: a foreign name that was made to point here is
    /// another site's.
    fn is_host(&self, host: &str) -> bool {
        let Ok(host) = host.parse::<Authority>() else {
            return false;
        };
        let name = host.host();
        let bare = name.trim_start_matches('[').trim_end_matches(']');
        let named_too = |origin: &String| {
            let origin = origin.parse::<Uri>();
            origin.is_ok_and(|origin| origin.host().is_some_and(|host| host == name))
        };
        name.eq_ignore_ascii_case("localhost")
            || bare.parse::<IpAddr>().is_ok()
            || self.origins.iter().any(named_too)
    }
}

/// Messages of so many bytes at most, as over the socket.
fn limits(most: usize) -> WebSocketConfig {
    WebSocketConfig::default()
        .max_message_size(Some(most))
        .max_frame_size(Some(most))
}

type Refused = (StatusCode, &'static str);

fn judge(gate: &Gate, headers: &HeaderMap, mut response: Response) -> Result<Response, Refused> {
    let host = only(headers, &HOST)?.unwrap_or_default();
    if !gate.is_host(host) {
        let words = "this host is reached by its address or as localhost\n";
        return Err((StatusCode::MISDIRECTED_REQUEST, words));
    }
    if let Some(origin) = only(headers, &ORIGIN)?
        && !gate.origins.iter().any(|allowed| allowed == origin)
    {
        let words = "pages of this site may not: `quire serve --allow-origin` lets them\n";
        return Err((StatusCode::FORBIDDEN, words));
    }
    let bearer = only(headers, &AUTHORIZATION)?.and_then(bearer);
    let spoken = only(headers, &SEC_WEBSOCKET_PROTOCOL)?.unwrap_or_default();
    let mut spoken = spoken.split(',').map(str::trim);
    let token = bearer.or_else(|| {
        let mut spoken = spoken.clone();
        spoken.find_map(|said| said.strip_prefix(SPOKEN_TOKEN))
    });
    if !token.is_some_and(|said| gate.token.is(said)) {
        let words = "say the host's token: `Authorization: Bearer …`\n";
        return Err((StatusCode::UNAUTHORIZED, words));
    }
    if spoken.any(|said| said == SPOKEN) {
        let spoken = HeaderValue::from_static(SPOKEN);
        response
            .headers_mut()
            .insert(SEC_WEBSOCKET_PROTOCOL, spoken);
    }
    Ok(response)
}

/// What is said by the scheme of that name, which may be written in any case.
fn bearer(said: &str) -> Option<&str> {
    let (scheme, token) = said.split_once(' ')?;
    let same = scheme.eq_ignore_ascii_case("bearer");
    same.then_some(token.trim_start())
}

/// A header that must not be there twice.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, Refused> {
    let mut all = headers.get_all(name).iter();
    let (first, more) = (all.next(), all.next());
    let text = first.map(HeaderValue::to_str).transpose();
    match (text, more) {
        (Ok(text), None) => Ok(text),
        (Err(_), _) | (_, Some(_)) => {
            Err((StatusCode::BAD_REQUEST, "a header is not as it must be\n"))
        }
    }
}

fn refusal(status: StatusCode, words: &str) -> ErrorResponse {
    let mut response = ErrorResponse::new(Some(words.to_owned()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert("content-type", HeaderValue::from_static("text/plain"));
    headers.insert("content-length", HeaderValue::from(words.len()));
    headers.insert("connection", HeaderValue::from_static("close"));
    response
}

/// Where a host listens on TCP, and what it wants to hear.
#[derive(Clone)]
pub(crate) struct Address {
    uri: Uri,
    token: Token,
}

impl Address {
    /// Reads `ws://HOST:PORT`.
    pub(crate) fn new(url: &str, token: Token) -> Result<Self, String> {
        let wrong =
            || format!("`{url}` is no address of a host: it looks like ws://127.0.0.1:4711");
        let uri: Uri = url.parse().map_err(|_| wrong())?;
        match (uri.scheme_str(), uri.host(), uri.port_u16()) {
            (Some("ws"), Some(_), Some(_)) => Ok(Self { uri, token }),
            (Some("wss"), ..) => Err(format!(
                "`{url}`: Quire speaks no TLS here: go through a tunnel, such as `ssh -L`"
            )),
            _ => Err(wrong()),
        }
    }

    pub(crate) async fn connect(&self) -> Result<(Reader, Writer), Unanswered> {
        let (host, port) = (self.uri.host(), self.uri.port_u16());
        let host = host.unwrap_or_default().trim_matches(['[', ']']);
        let stream = TcpStream::connect((host, port.unwrap_or_default())).await?;
        stream.set_nodelay(true)?;
        let mut request = self.uri.clone().into_client_request().map_err(other)?;
        let bearer = HeaderValue::try_from(format!("Bearer {}", self.token.0));
        let headers = request.headers_mut();
        headers.insert(AUTHORIZATION, bearer.map_err(io::Error::other)?);
        match client_async_with_config(request, stream, Some(limits(wire::LONGEST_TOLD))).await {
            Ok((stream, _)) => Ok(pipe::of_web(stream)),
            Err(Error::Http(response)) => {
                let status = response.status();
                let words = match status {
                    StatusCode::UNAUTHORIZED => {
                        "the host does not take this token: its own is in the file that `quire serve` \
                         named; set QUIRE_HOST_TOKEN to it"
                            .to_owned()
                    }
                    status => format!("the host answered {status}"),
                };
                Err(Failure::from(ClientError::Unreachable(words)).into())
            }
            Err(error) => Err(other(error).into()),
        }
    }
}

fn other(error: Error) -> io::Error {
    match error {
        Error::Io(error) => error,
        error => io::Error::other(error),
    }
}
