//! Connections over real sockets: how many are opened, how many are kept, and what failures are called.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::Request;
use quire_net::{Error, Options, Proxies, Segments, Transport, address};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

fn post(url: &str, segments: &[&'static str]) -> Request<Segments> {
    let body = segments
        .iter()
        .map(|text| Bytes::from_static(text.as_bytes()));
    let mut request = Request::new(Segments::from(body.collect::<Vec<_>>()));
    *request.method_mut() = hyper::Method::POST;
    *request.uri_mut() = address(url).unwrap();
    request
}

/// Reads requests from a connection, tells each of them, and answers each once it is told to.
async fn serve(mut socket: TcpStream, heard: mpsc::UnboundedSender<(String, mpsc::Sender<()>)>) {
    let mut read = Vec::new();
    let mut chunk = [0; 1024];
    loop {
        match socket.read(&mut chunk).await {
            Ok(0) | Err(_) => return,
            Ok(count) => read.extend_from_slice(&chunk[..count]),
        }
        if !read.ends_with(b"end") {
            continue;
        }
        let (answer, mut may_answer) = mpsc::channel(1);
        let request = String::from_utf8(std::mem::take(&mut read)).unwrap();
        heard.send((request, answer)).unwrap();
        may_answer.recv().await.unwrap();
        let text = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
        socket.write_all(text).await.unwrap();
    }
}

/// A server: its URL, the connections that it took, and the requests that wait for an answer.
struct Server {
    url: String,
    taken: mpsc::UnboundedReceiver<()>,
    heard: mpsc::UnboundedReceiver<(String, mpsc::Sender<()>)>,
}

async fn server() -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let (take, taken) = mpsc::unbounded_channel();
    let (tell, heard) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let _ = take.send(());
            tokio::spawn(serve(socket, tell.clone()));
        }
    });
    Server { url, taken, heard }
}

impl Server {
    /// Sends so many requests at once, answers all, and waits until they are read.
    async fn burst(&mut self, transport: &Transport, count: usize) {
        let asked: Vec<_> = (0..count)
            .map(|_| {
                let (transport, request) = (transport.clone(), post(&self.url, &["the ", "end"]));
                tokio::spawn(async move {
                    let response = transport.send(request).await.unwrap();
                    response.into_body().collect().await.unwrap().to_bytes()
                })
            })
            .collect();
        let mut answers = Vec::new();
        for _ in 0..count {
            let (request, answer) = self.heard.recv().await.unwrap();
            assert!(request.contains("content-length: 7\r\n"), "{request}");
            assert!(request.ends_with("\r\n\r\nthe end"), "{request}");
            answers.push(answer);
        }
        for answer in answers {
            answer.send(()).await.unwrap();
        }
        for each in asked {
            assert_eq!(&each.await.unwrap()[..], b"ok");
        }
        // The connections' own tasks put them back into the pool.
        for _ in 0..8 {
            tokio::task::yield_now().await;
        }
    }

    fn connections(&mut self) -> usize {
        std::iter::from_fn(|| self.taken.try_recv().ok()).count()
    }
}

#[tokio::test]
async fn clones_share_connections_and_no_more_are_kept_than_may_be() {
    for (idle_per_host_most, opened_anew) in [(usize::MAX, 0), (2, 3)] {
        let mut server = server().await;
        let options = Options {
            idle_per_host_most,
            ..Options::default()
        };
        let transport = Transport::new(&Proxies::default(), options);
        server.burst(&transport, 5).await;
        assert_eq!(server.connections(), 5);
        server.burst(&transport.clone(), 5).await;
        assert_eq!(server.connections(), opened_anew, "{idle_per_host_most}");
    }
}

#[tokio::test]
async fn failures_are_called_by_what_to_do_about_them() {
    let transport = Transport::new(&Proxies::default(), Options::default());
    let closed = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        format!("http://{}/", listener.local_addr().unwrap())
    };
    let error = transport.send(post(&closed, &[])).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let cut = tokio::spawn(async move {
        for answer in ["", "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhal"] {
            let (mut socket, _) = listener.accept().await.unwrap();
            let _ = socket.read(&mut [0; 1024]).await.unwrap();
            socket.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    let error = transport.send(post(&url, &["x"])).await.unwrap_err();
    assert!(matches!(error, Error::Broken { .. }), "{error:?}");
    let response = transport.send(post(&url, &["x"])).await.unwrap();
    let error = Error::from(response.into_body().collect().await.unwrap_err());
    assert!(matches!(error, Error::CutShort { .. }), "{error:?}");
    cut.await.unwrap();

    let mut nowhere = Request::new(Segments::from(Vec::new()));
    *nowhere.uri_mut() = "/v1".parse().unwrap();
    let error = transport.send(nowhere).await.unwrap_err();
    assert_eq!(error, Error::BadUrl { url: "/v1".into() });
}
