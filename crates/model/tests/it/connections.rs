//! What happens to the connections themselves.

use futures_util::StreamExt as _;
use quire_dialect::Dialect;
use quire_protocol::{Delta, Model as _, ModelEvent, TokenStop};

use crate::server::{Scene, Server, ask, model, quick, reply, request};
use crate::wire;

#[tokio::test]
async fn one_connection_for_many_requests() {
    let server = Server::start((0..20).map(|_| Scene::Send(wire::messages("ok")))).await;
    let model = server.model(Dialect::Messages);
    for _ in 0..20 {
        reply(&model, request("test/m")).await;
    }
    let got = server.got();
    assert_eq!(got.len(), 20);
    assert!(
        got.iter().all(|each| each.connection == 1),
        "{}",
        got.last().unwrap().connection
    );
}

#[tokio::test]
async fn dropping_the_stream_closes_the_connection_and_its_use_is_known() {
    let (first, _) = wire::messages_halves("half");
    let mut server = Server::start([Scene::Hang(wire::opening(&first))]).await;
    let mut events = server.model(Dialect::Messages).respond(request("test/m"));
    let used = events.next().await;
    assert!(
        matches!(used, Some(ModelEvent::Used { usage, .. }) if usage.input == 1000),
        "{used:?}"
    );
    let first = events.next().await;
    assert!(
        matches!(first, Some(ModelEvent::Delta(Delta::Text { .. }))),
        "{first:?}"
    );
    drop(events);
    server.hung_up().await;
}

#[tokio::test]
async fn nothing_is_sent_before_it_is_polled() {
    let server = Server::start([Scene::Send(wire::chat("ok"))]).await;
    drop(server.model(Dialect::Chat).respond(request("test/m")));
    assert!(server.got().is_empty());
}

#[tokio::test]
async fn a_flood_of_tiny_deltas_becomes_few_events() {
    use std::fmt::Write as _;
    let (_, end) = wire::messages_halves("");
    let (mut text, _) = wire::messages_halves("x");
    for _ in 0..20_000 {
        text.push_str("event: content_block_delta\ndata: {\"type\":\"content_block_delta\",");
        writeln!(
            text,
            "\"index\":0,\"delta\":{{\"type\":\"text_delta\",\"text\":\"x\"}}}}\n"
        )
        .unwrap();
    }
    let server = Server::start([Scene::Send(wire::stream(&(text + &end)))]).await;
    let (deltas, last) = ask(&server.model(Dialect::Messages), request("test/m")).await;
    let ModelEvent::Finished(reply) = last else {
        panic!("{last:?}");
    };
    assert_eq!(reply.stop, TokenStop::EndTurn);
    let shown: usize = deltas
        .iter()
        .map(|delta| match delta {
            Delta::Text { text } => text.len(),
            other => panic!("{other:?}"),
        })
        .sum();
    assert_eq!(shown, 20_001);
    assert!(deltas.len() < 2_000, "{} events", deltas.len());
}

#[tokio::test]
async fn a_proxy_is_used_for_hosts_elsewhere() {
    let tunnelled = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
    let proxy = Server::start([Scene::Send(tunnelled), Scene::Send(wire::chat("through"))]).await;
    let mut provider = proxy.provider(Dialect::Chat);
    provider.base_url = "http://models.invalid/v1".into();
    provider.proxies.all.clone_from(&proxy.url);
    reply(&model(provider.clone(), quick()), request("test/m")).await;
    let got = proxy.got();
    assert!(
        got[0].head.starts_with("CONNECT models.invalid:80 "),
        "{}",
        got[0].head
    );
    assert!(
        got[1].head.starts_with("POST /v1/chat/completions "),
        "{}",
        got[1].head
    );
    // Not for this machine, whatever the variables say.
    let here = Server::start([Scene::Send(wire::chat("direct"))]).await;
    provider.base_url = format!("{}/v1", here.url);
    reply(&model(provider, quick()), request("test/m")).await;
    assert_eq!((here.got().len(), proxy.got().len()), (1, 2));
}
