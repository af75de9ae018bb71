//! The only way out of a cell: an HTTP proxy that lets commands reach named hosts. It listens
//! inside the cell but runs in the main process. It knows `CONNECT` and plain HTTP with absolute
//! addresses, looks names up itself, and never connects into private networks unless told to.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::AbortHandle;

use crate::linux::domains::{self, Verdict};

/// The longest head of a request, in bytes.
const HEAD_BYTES: usize = 64 * 1024;

/// How many connections are served at once; more wait.
const CONNECTIONS: usize = 256;

/// How long a client may take to send a head, and a host to answer a connection.
const PATIENCE: Duration = Duration::from_secs(30);

/// Serves on a listening socket until it is aborted. Needs a runtime.
pub(crate) fn serve(listener: OwnedFd, domains: Vec<String>) -> io::Result<AbortHandle> {
    let listener = std::net::TcpListener::from(listener);
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener)?;
    let domains = Arc::new(domains);
    let task = tokio::spawn(async move {
        let room = Arc::new(Semaphore::new(CONNECTIONS));
        let mut connections = tokio::task::JoinSet::new();
        loop {
            let Ok(permit) = Arc::clone(&room).acquire_owned().await else {
                return;
            };
            while connections.try_join_next().is_some() {}
            let Ok((client, _)) = listener.accept().await else {
                continue;
            };
            let domains = Arc::clone(&domains);
            connections.spawn(async move {
                let _permit = permit;
                // A connection that fails concerns its two ends alone, and they notice.
                let _ = converse(client, &domains).await;
            });
        }
    });
    Ok(task.abort_handle())
}

/// What a client asks for.
#[derive(Debug, PartialEq, Eq)]
struct Request {
    host: String,
    port: u16,
    /// What to send to the host first; absent for a tunnel.
    head: Option<Vec<u8>>,
}

async fn converse(mut client: TcpStream, domains: &[String]) -> io::Result<()> {
    let read = tokio::time::timeout(PATIENCE, read_head(&mut client)).await;
    let Ok(Ok((head, rest))) = read else {
        return refuse(&mut client, "400 Bad Request", "no request").await;
    };
    let Some(request) = parse(&head) else {
        return refuse(&mut client, "400 Bad Request", "not a proxy request").await;
    };
    let verdict = domains::judge(&request.host, domains);
    if verdict == Verdict::Refused {
        let reason = format!("{} is not among the allowed domains", request.host);
        return refuse(&mut client, "403 Forbidden", &reason).await;
    }
    let reached = tokio::time::timeout(PATIENCE, reach(&request, verdict)).await;
    let mut host = match reached {
        Ok(Ok(host)) => host,
        Ok(Err(error)) => {
            return refuse(&mut client, "502 Bad Gateway", &error.to_string()).await;
        }
        Err(_) => return refuse(&mut client, "504 Gateway Timeout", "no answer").await,
    };
    if let Some(head) = &request.head {
        host.write_all(head).await?;
    } else {
        let done = b"HTTP/1.1 200 Connection established\r\n\r\n";
        client.write_all(done).await?;
    }
    host.write_all(&rest).await?;
    copy_bidirectional(&mut client, &mut host).await?;
    Ok(())
}

/// Reads up to the empty line. Returns the head and what came after it.
async fn read_head(client: &mut TcpStream) -> io::Result<(Vec<u8>, Vec<u8>)> {
    let mut head = Vec::new();
    loop {
        if client.read_buf(&mut head).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if let Some(place) = head.windows(4).position(|four| four == b"\r\n\r\n") {
            let rest = head.split_off(place + 4);
            return Ok((head, rest));
        }
        if head.len() > HEAD_BYTES {
            return Err(io::ErrorKind::InvalidData.into());
        }
    }
}

async fn reach(request: &Request, verdict: Verdict) -> io::Result<TcpStream> {
    let found = tokio::net::lookup_host((request.host.as_str(), request.port)).await?;
    let allowed: Vec<SocketAddr> = found
        .filter(|address| verdict == Verdict::Named || domains::is_public(address.ip()))
        .collect();
    if allowed.is_empty() {
        let reason = format!("{} leads into a private network", request.host);
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, reason));
    }
    TcpStream::connect(allowed.as_slice()).await
}

async fn refuse(client: &mut TcpStream, status: &str, reason: &str) -> io::Result<()> {
    let body = format!("quire: {reason}\n");
    let length = body.len();
    let answer = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n{body}"
    );
    client.write_all(answer.as_bytes()).await?;
    client.shutdown().await
}

/// Reads a request's head; `None` when it is not one for a proxy.
fn parse(head: &[u8]) -> Option<Request> {
    let text = std::str::from_utf8(head).ok()?;
    let (line, fields) = text.split_once("\r\n")?;
    let mut words = line.split(' ');
    let (method, target, version) = (words.next()?, words.next()?, words.next()?);
    if words.next().is_some() || !version.starts_with("HTTP/1.") {
        return None;
    }
    if method == "CONNECT" {
        let (host, port) = split_port(target, None)?;
        return Some(Request {
            host,
            port,
            head: None,
        });
    }
    let address = target.strip_prefix("http://")?;
    let end = address.find(['/', '?']).unwrap_or(address.len());
    let (authority, path) = address.split_at(end);
    if authority.contains('@') {
        return None;
    }
    let (host, port) = split_port(authority, Some(80))?;
    let slash = if path.starts_with('/') { "" } else { "/" };
    // One request a connection: a second one on it could name another host.
    let mut sent = format!("{method} {slash}{path} {version}\r\nHost: {authority}\r\n");
    for field in fields.split("\r\n").filter(|field| !field.is_empty()) {
        let name = field
            .split(':')
            .next()
            .unwrap_or_default()
            .trim()
            .to_ascii_lowercase();
        let dropped = ["host", "connection", "keep-alive", "upgrade"].contains(&name.as_str());
        if !dropped && !name.starts_with("proxy-") {
            sent.push_str(field);
            sent.push_str("\r\n");
        }
    }
    sent.push_str("Connection: close\r\n\r\n");
    Some(Request {
        host,
        port,
        head: Some(sent.into_bytes()),
    })
}

fn split_port(authority: &str, default: Option<u16>) -> Option<(String, u16)> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']')?;
            (host, port.strip_prefix(':'))
        }
        None => match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    let port = match port {
        Some(port) => port.parse().ok()?,
        None => default?,
    };
    (!host.is_empty()).then(|| (host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tunnels_name_a_host_and_a_port() {
        let tunnel = |host: &str, port| {
            Some(Request {
                host: host.to_owned(),
                port,
                head: None,
            })
        };
        assert_eq!(
            parse(b"CONNECT a.org:443 HTTP/1.1\r\n\r\n"),
            tunnel("a.org", 443)
        );
        assert_eq!(parse(b"CONNECT [::1]:8 HTTP/1.1\r\n\r\n"), tunnel("::1", 8));
        assert_eq!(parse(b"CONNECT a.org HTTP/1.1\r\n\r\n"), None);
        assert_eq!(parse(b"CONNECT :1 HTTP/1.1\r\n\r\n"), None);
    }

    #[test]
    fn plain_requests_are_rewritten_for_one_host_and_one_request() {
        let head = b"GET http://a.org:81/x?y HTTP/1.1\r\nHost: evil\r\nProxy-Auth: z\r\nConnection: keep-alive\r\nAccept: */*\r\n\r\n";
        let request = parse(head).expect("a request");
        assert_eq!((request.host.as_str(), request.port), ("a.org", 81));
        let sent = String::from_utf8(request.head.expect("plain")).expect("text");
        assert_eq!(
            sent,
            "GET /x?y HTTP/1.1\r\nHost: a.org:81\r\nAccept: */*\r\nConnection: close\r\n\r\n"
        );
    }

    #[test]
    fn other_requests_are_none_for_a_proxy() {
        for head in [
            "GET / HTTP/1.1\r\n\r\n",
            "GET http://u@a.org/ HTTP/1.1\r\n\r\n",
            "\r\n\r\n",
        ] {
            assert_eq!(parse(head.as_bytes()), None, "{head}");
        }
    }
}
