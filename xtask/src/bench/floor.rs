//! What the measuring itself costs: a body of the size of a long session's, from this process
//! straight to the model's side. No harness can be faster than this.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::server::Server;
use super::wire::Dialect;

/// Bytes of the body: 300 steps of 8 KB.
const BODY: usize = 2_400_000;
const REQUESTS: usize = 20;

/// From the start of writing each request until it was fully in.
pub(super) fn measure(dialect: Dialect) -> Result<Vec<Duration>> {
    let server = Server::start(dialect, Vec::new())?;
    let mut stream = TcpStream::connect(server.url().trim_start_matches("http://"))?;
    stream.set_nodelay(true)?;
    let mut request = format!("POST /v1/messages HTTP/1.1\r\ncontent-length: {BODY}\r\n\r\n");
    request.extend(std::iter::repeat_n('x', BODY));
    let mut begun = Vec::with_capacity(REQUESTS);
    for _ in 0..REQUESTS {
        begun.push(Instant::now());
        stream.write_all(request.as_bytes())?;
        read_answer(&mut stream)?;
    }
    let exchanges = server.exchanges();
    let taken = exchanges.iter().zip(begun);
    Ok(taken
        .map(|(exchange, begun)| exchange.asked - begun)
        .collect())
}

/// Reads up to the end of a chunked answer.
fn read_answer(stream: &mut TcpStream) -> Result<()> {
    let mut answer = Vec::new();
    let mut piece = [0; 4096];
    while !answer.ends_with(b"\r\n0\r\n\r\n") {
        let read = stream.read(&mut piece)?;
        anyhow::ensure!(read > 0, "the answer was cut");
        answer.extend_from_slice(&piece[..read]);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_request_is_taken() {
        assert_eq!(measure(Dialect::Chat).unwrap().len(), REQUESTS);
    }
}
