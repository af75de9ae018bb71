//! The two ends of a connection, one message after the other: lines over a socket, or the messages of
//! a WebSocket.

use std::io;

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::io::{
    AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader,
};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpStream, UnixStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

type Web = WebSocketStream<TcpStream>;

/// Where messages come from.
pub(crate) enum Reader {
    /// With how many bytes one may have.
    Lines(BufReader<OwnedReadHalf>, usize),
    /// It knows that itself.
    Web(SplitStream<Web>),
}

/// Where messages go.
pub(crate) enum Writer {
    Lines(OwnedWriteHalf),
    Web(SplitSink<Web, Message>),
}

/// The ends of a socket from which messages of so many bytes are taken at most.
pub(crate) fn of_socket(stream: UnixStream, most: usize) -> (Reader, Writer) {
    let (reader, writer) = stream.into_split();
    (
        Reader::Lines(BufReader::new(reader), most),
        Writer::Lines(writer),
    )
}

/// The ends of a WebSocket.
pub(crate) fn of_web(stream: Web) -> (Reader, Writer) {
    let (writer, reader) = stream.split();
    (Reader::Web(reader), Writer::Web(writer))
}

impl Reader {
    /// Reads a message; false at the end. One that is longer than any may be is an error.
    pub(crate) async fn next(&mut self, message: &mut Vec<u8>) -> io::Result<bool> {
        match self {
            Self::Lines(reader, most) => next_line(reader, *most, message).await,
            Self::Web(reader) => next_message(reader, message).await,
        }
    }
}

impl Writer {
    /// Writes messages, each of which ends as a line does.
    pub(crate) async fn write(&mut self, lines: &[Vec<u8>]) -> io::Result<()> {
        match self {
            Self::Lines(writer) => match lines {
                [line] => writer.write_all(line).await,
                lines => writer.write_all(&lines.concat()).await,
            },
            Self::Web(writer) => {
                for line in lines {
                    let text = line.strip_suffix(b"\n").unwrap_or(line);
                    let text = String::from_utf8_lossy(text).into_owned();
                    let fed = writer.feed(Message::text(text)).await;
                    fed.map_err(io::Error::other)?;
                }
                writer.flush().await.map_err(io::Error::other)
            }
        }
    }
}

async fn next_line(
    reader: &mut (impl AsyncBufRead + Unpin),
    most: usize,
    line: &mut Vec<u8>,
) -> io::Result<bool> {
    line.clear();
    let most = most as u64;
    let read = reader.take(most).read_until(b'\n', line).await?;
    match line.last() {
        Some(b'\n') => Ok(true),
        _ if read as u64 == most => Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "a message is longer than any may be",
        )),
        _ => Ok(false),
    }
}

async fn next_message(reader: &mut SplitStream<Web>, text: &mut Vec<u8>) -> io::Result<bool> {
    text.clear();
    loop {
        match reader.next().await {
            Some(Ok(Message::Text(said))) => {
                text.extend_from_slice(said.as_bytes());
                return Ok(true);
            }
            Some(Ok(Message::Binary(said))) => {
                text.extend_from_slice(&said);
                return Ok(true);
            }
            // The other side's pings are answered below this.
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
            Some(Ok(Message::Close(_))) | None => return Ok(false),
            Some(Err(error)) => return Err(io::Error::other(error)),
        }
    }
}
