//! HTTP/1.1 at its barest, for both ends of a connection: of what comes, no more is looked at than where
//! it ends. Whoever measures a server must cost less than it does.

use std::io;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// How much is read at once, at first.
const BUFFER: usize = 32 * 1024;
/// The longest head.
const HEAD_LIMIT: usize = 64 * 1024;

/// A connection, and what was read from it ahead of time.
pub(super) struct Wire {
    stream: TcpStream,
    buffer: Vec<u8>,
    from: usize,
    to: usize,
}

/// Where the body behind a head ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// After so many bytes.
    Length(usize),
    /// After the chunk of no bytes.
    Chunked,
    /// With the connection.
    Open,
}

impl Wire {
    pub(super) fn new(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            buffer: vec![0; BUFFER],
            from: 0,
            to: 0,
        })
    }

    pub(super) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await
    }

    /// Reads a head, its first line and its body's framing; nothing where the connection ends instead.
    /// What has no length and no chunks is framed as `otherwise` says.
    pub(super) async fn head(&mut self, otherwise: Framing) -> io::Result<Option<(&str, Framing)>> {
        let mut seen = 0;
        loop {
            let read = &self.buffer[self.from..self.to];
            if let Some(end) = find(&read[seen..], b"\r\n\r\n") {
                let head = self.from..self.from + seen + end;
                self.from = head.end + 4;
                return parse_head(&self.buffer[head], otherwise).map(Some);
            }
            seen = read.len().saturating_sub(3);
            if read.len() > HEAD_LIMIT {
                return Err(wrong("a head without an end"));
            }
            let began = !read.is_empty();
            if self.fill().await? == 0 {
                return if began {
                    Err(io::ErrorKind::UnexpectedEof.into())
                } else {
                    Ok(None)
                };
            }
        }
    }

    /// Reads a body and hands over its bytes as they come.
    pub(super) async fn body(
        &mut self,
        framing: Framing,
        mut take: impl FnMut(&[u8]),
    ) -> io::Result<()> {
        match framing {
            Framing::Length(bytes) => self.exactly(bytes, &mut take).await,
            Framing::Chunked => self.chunks(&mut take).await,
            Framing::Open => loop {
                take(&self.buffer[self.from..self.to]);
                self.from = self.to;
                if self.fill().await? == 0 {
                    return Ok(());
                }
            },
        }
    }

    async fn exactly(&mut self, mut bytes: usize, take: &mut impl FnMut(&[u8])) -> io::Result<()> {
        loop {
            let here = bytes.min(self.to - self.from);
            if here > 0 {
                take(&self.buffer[self.from..self.from + here]);
                self.from += here;
                bytes -= here;
            }
            if bytes == 0 {
                return Ok(());
            }
            self.more().await?;
        }
    }

    async fn chunks(&mut self, take: &mut impl FnMut(&[u8])) -> io::Result<()> {
        loop {
            let line = self.line().await?;
            let digits = line.split(';').next().unwrap_or_default().trim();
            let bytes = usize::from_str_radix(digits, 16).map_err(|_| wrong("a chunk's size"))?;
            if bytes == 0 {
                while !self.line().await?.is_empty() {}
                return Ok(());
            }
            self.exactly(bytes, take).await?;
            self.line().await?;
        }
    }

    /// A line without its end.
    async fn line(&mut self) -> io::Result<String> {
        loop {
            let read = &self.buffer[self.from..self.to];
            if let Some(end) = find(read, b"\r\n") {
                let line = String::from_utf8_lossy(&read[..end]).into_owned();
                self.from += end + 2;
                return Ok(line);
            }
            if read.len() > HEAD_LIMIT {
                return Err(wrong("a line without an end"));
            }
            self.more().await?;
        }
    }

    async fn more(&mut self) -> io::Result<()> {
        if self.fill().await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(())
    }

    async fn fill(&mut self) -> io::Result<usize> {
        if self.from == self.to {
            (self.from, self.to) = (0, 0);
        } else if self.to == self.buffer.len() && self.from > 0 {
            self.buffer.copy_within(self.from..self.to, 0);
            (self.from, self.to) = (0, self.to - self.from);
        } else if self.to == self.buffer.len() {
            self.buffer.resize(2 * self.buffer.len(), 0);
        }
        let read = self.stream.read(&mut self.buffer[self.to..]).await?;
        self.to += read;
        Ok(read)
    }
}

fn parse_head(head: &[u8], otherwise: Framing) -> io::Result<(&str, Framing)> {
    let head = std::str::from_utf8(head).map_err(|_| wrong("a head that is no text"))?;
    let (first, fields) = head.split_once("\r\n").unwrap_or((head, ""));
    let mut framing = otherwise;
    for field in fields.split("\r\n") {
        let Some((name, value)) = field.split_once(':') else {
            continue;
        };
        if name.eq_ignore_ascii_case("content-length") {
            let bytes = value.trim().parse().map_err(|_| wrong("a length"))?;
            framing = Framing::Length(bytes);
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            framing = Framing::Chunked;
        }
    }
    Ok((first, framing))
}

fn wrong(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{what} cannot be read"))
}

/// Where a few bytes begin in many.
pub(super) fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    memchr::memmem::find(haystack, needle)
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[test]
    fn bodies_end_where_their_heads_say() {
        let text = b"POST /a HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc\
                     POST /b HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n2\r\nde\r\n1;x\r\nf\r\n0\r\n\r\n\
                     GET /c HTTP/1.1\r\n\r\n";
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let read = runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let sending = tokio::spawn(async move {
                let mut stream = TcpStream::connect(address).await.unwrap();
                for byte in text.chunks(7) {
                    stream.write_all(byte).await.unwrap();
                    stream.flush().await.unwrap();
                    tokio::task::yield_now().await;
                }
            });
            let mut wire = Wire::new(listener.accept().await.unwrap().0).unwrap();
            let mut read = Vec::new();
            while let Some((first, framing)) = wire.head(Framing::Length(0)).await.unwrap() {
                let first = first.to_owned();
                let mut body = Vec::new();
                let take = |bytes: &[u8]| body.extend_from_slice(bytes);
                wire.body(framing, take).await.unwrap();
                read.push((first, String::from_utf8(body).unwrap()));
            }
            sending.await.unwrap();
            read
        });
        let read: Vec<_> = read.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
        let expected = [
            ("POST /a HTTP/1.1", "abc"),
            ("POST /b HTTP/1.1", "def"),
            ("GET /c HTTP/1.1", ""),
        ];
        assert_eq!(read, expected);
    }
}
