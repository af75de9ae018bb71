//! The pipes between the main process and a command: one from which is read all that it prints, or
//! three, where somebody talks to it.

use std::future::poll_fn;
use std::io::{self, ErrorKind, PipeReader, PipeWriter, Read as _};
use std::pin::Pin;
use std::task::{Context, Poll};

use quire_protocol::{ProcessEvent, Streams};
use tokio::io::{AsyncRead as _, AsyncWriteExt as _, ReadBuf};
use tokio::net::unix::pipe;
use tokio::sync::Mutex;

/// How much output is handed on at once, in bytes. What is not read yet waits in the pipe and
/// holds the command up.
const CHUNK_BYTES: usize = 64 * 1024;

/// The ends that the main process keeps.
pub(crate) struct Ends {
    /// What the command prints: on stdout alone, where stderr is apart.
    pub(crate) output: PipeReader,
    /// Its stderr and its stdin, where they are apart.
    pub(crate) apart: Option<(PipeReader, PipeWriter)>,
}

/// The ends that the command gets. A pipe ends when nobody has a copy of its other end, so they are
/// to be dropped here once the command has them.
pub(crate) enum TheirEnds {
    Merged(PipeWriter),
    Apart {
        output: PipeWriter,
        errors: PipeWriter,
        input: PipeReader,
    },
}

/// Makes the pipes.
pub(crate) fn pipes(streams: Streams) -> io::Result<(Ends, TheirEnds)> {
    let (output, printed) = io::pipe()?;
    if streams == Streams::Merged {
        let ends = Ends {
            output,
            apart: None,
        };
        return Ok((ends, TheirEnds::Merged(printed)));
    }
    let ((errors, complained), (input, written)) = (io::pipe()?, io::pipe()?);
    let ends = Ends {
        output,
        apart: Some((errors, written)),
    };
    let theirs = TheirEnds::Apart {
        output: printed,
        errors: complained,
        input,
    };
    Ok((ends, theirs))
}

impl Ends {
    /// Has the runtime watch them. Must be called in a runtime with IO.
    pub(crate) fn watched(self) -> io::Result<(Reader, Option<Input>)> {
        let live = |end: PipeReader| pipe::Receiver::from_owned_fd(end.into()).map(Stream::Live);
        let output = Some(live(self.output)?);
        let (errors, input) = match self.apart {
            Some((errors, input)) => (Some(live(errors)?), Some(Input::new(input)?)),
            None => (None, None),
        };
        let reader = Reader {
            streams: [output, errors],
            first: 0,
            chunk: Vec::new(),
        };
        Ok((reader, input))
    }
}

/// What a command prints, as it comes.
pub(crate) struct Reader {
    /// What is not at its end: stdout, or both streams as one; and stderr, where it is apart.
    streams: [Option<Stream>; 2],
    /// Which is looked at first, so that neither keeps the other waiting.
    first: usize,
    chunk: Vec<u8>,
}

impl Reader {
    /// The next piece; `None` when there will be none. `dead` is when nothing of the command is
    /// left.
    pub(crate) async fn next(&mut self, dead: impl Future<Output = ()>) -> Option<ProcessEvent> {
        if self.streams.iter().all(Option::is_none) {
            return None;
        }
        self.chunk.resize(CHUNK_BYTES, 0);
        let piece = tokio::select! {
            biased;
            piece = poll_fn(|context| self.poll(context)) => Some(piece),
            () = dead => None,
        };
        let piece = if let Some(piece) = piece {
            piece
        } else {
            self.leave();
            poll_fn(|context| self.poll(context)).await
        };
        if piece.is_none() {
            self.streams = [None, None];
            self.chunk = Vec::new();
        }
        piece
    }

    /// What one of the streams has; `None` when all are at their end.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<ProcessEvent>> {
        let mut waits = false;
        for which in [self.first, 1 - self.first] {
            let Some(stream) = &mut self.streams[which] else {
                continue;
            };
            match stream.poll_read(context, &mut self.chunk) {
                Poll::Pending => waits = true,
                Poll::Ready(Ok(length @ 1..)) => {
                    self.first = 1 - which;
                    let bytes = self.chunk[..length].to_vec();
                    return Poll::Ready(Some(match which {
                        0 => ProcessEvent::Output(bytes),
                        _ => ProcessEvent::Errors(bytes),
                    }));
                }
                Poll::Ready(Ok(0) | Err(_)) => self.streams[which] = None,
            }
        }
        if waits {
            Poll::Pending
        } else {
            Poll::Ready(None)
        }
    }

    /// Nobody prints any more, so only what is in the pipes counts.
    fn leave(&mut self) {
        for stream in &mut self.streams {
            *stream = stream.take().and_then(Stream::left);
        }
    }
}

/// A stream that is not at its end.
enum Stream {
    /// The runtime tells when there is something.
    Live(pipe::Receiver),
    /// Nobody prints on it any more. The runtime may not have noticed yet that there is something,
    /// and someone outside may still hold the other end: what cannot be read now never comes.
    Left(PipeReader),
}

impl Stream {
    fn left(self) -> Option<Self> {
        match self {
            Self::Live(pipe) => {
                let pipe = pipe.into_nonblocking_fd().ok()?;
                Some(Self::Left(pipe.into()))
            }
            Self::Left(pipe) => Some(Self::Left(pipe)),
        }
    }

    /// Reads what there is; 0 at its end.
    fn poll_read(&mut self, context: &mut Context<'_>, room: &mut [u8]) -> Poll<io::Result<usize>> {
        match self {
            Self::Live(pipe) => {
                let mut room = ReadBuf::new(room);
                let read = Pin::new(pipe).poll_read(context, &mut room);
                read.map_ok(|()| room.filled().len())
            }
            Self::Left(pipe) => loop {
                match pipe.read(room) {
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    read => return Poll::Ready(read),
                }
            },
        }
    }
}

/// A command's stdin.
pub(crate) struct Input(Mutex<pipe::Sender>);

impl Input {
    fn new(end: PipeWriter) -> io::Result<Self> {
        pipe::Sender::from_owned_fd(end.into()).map(|end| Self(Mutex::new(end)))
    }

    /// Writes all of it, waiting for room. Fails when the command reads no more, and when nothing
    /// of it is left, although someone outside may still hold the other end. That nobody reads is
    /// an error and no signal: Rust's runtime has this process ignore SIGPIPE.
    pub(crate) async fn write(
        &self,
        bytes: &[u8],
        dead: impl Future<Output = ()>,
    ) -> io::Result<()> {
        let mut end = self.0.lock().await;
        tokio::select! {
            biased;
            () = dead => Err(ErrorKind::BrokenPipe.into()),
            done = end.write_all(bytes) => done,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::io::Write as _;

    use super::*;

    fn run(body: impl Future<Output = ()>) {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime")
            .block_on(body);
    }

    /// Both sides of three pipes: the process's, and what it prints on and reads from.
    fn apart() -> (Reader, Input, [PipeWriter; 2], PipeReader) {
        let (ends, theirs) = pipes(Streams::Apart).expect("pipes");
        let (reader, input) = ends.watched().expect("watched");
        let TheirEnds::Apart {
            output,
            errors,
            input: read,
        } = theirs
        else {
            panic!("one pipe");
        };
        (reader, input.expect("an input"), [output, errors], read)
    }

    #[test]
    fn a_stream_that_always_has_something_does_not_keep_the_other_waiting() {
        run(async {
            for busy in [0, 1] {
                let (mut reader, _input, mut ends, _read) = apart();
                ends[1 - busy].write_all(b"quiet").expect("room");
                let mut is_heard = false;
                for _ in 0..2 {
                    if !is_heard {
                        // As much as is read at once, so that the runtime sees no end of it.
                        let much = vec![0; CHUNK_BYTES];
                        ends[busy].write_all(&much).expect("room");
                    }
                    let heard = match reader.next(pending()).await {
                        Some(ProcessEvent::Output(_)) => 0,
                        Some(ProcessEvent::Errors(_)) => 1,
                        other => panic!("{other:?}"),
                    };
                    is_heard |= heard != busy;
                }
                assert!(is_heard, "{busy} alone is heard");
            }
        });
    }

    #[test]
    fn what_a_dead_process_printed_is_read_and_no_more_is_waited_for() {
        run(async {
            let (mut reader, _input, mut ends, _read) = apart();
            ends[0].write_all(&vec![1; 60_000]).expect("room");
            ends[1].write_all(&vec![2; 60_000]).expect("room");
            // Somebody still holds the other ends.
            let mut lengths = [0, 0];
            while let Some(event) = reader.next(ready(())).await {
                match event {
                    ProcessEvent::Output(bytes) => lengths[0] += bytes.len(),
                    ProcessEvent::Errors(bytes) => lengths[1] += bytes.len(),
                    ProcessEvent::Ended(end) => panic!("{end:?}"),
                }
            }
            assert_eq!(lengths, [60_000, 60_000]);
            assert_eq!(reader.next(pending()).await, None, "it is over");
        });
    }

    #[test]
    fn a_writer_does_not_wait_for_room_that_a_dead_process_will_not_make() {
        run(async {
            let (_reader, input, _ends, read) = apart();
            // Somebody still holds the other end.
            let (tell, told) = tokio::sync::oneshot::channel::<()>();
            let much = vec![0; 1 << 20];
            let write = input.write(&much, async {
                let _ = told.await;
            });
            let (written, ()) = tokio::join!(write, async { drop(tell) });
            assert_eq!(written.expect_err("dead").kind(), ErrorKind::BrokenPipe);
            drop(read);
            let unread = input.write(b"x", pending()).await;
            assert_eq!(unread.expect_err("unread").kind(), ErrorKind::BrokenPipe);
        });
    }
}
