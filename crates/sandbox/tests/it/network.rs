//! The way out that a policy can open: named domains, through the proxy.

use std::io::{Read, Write};
use std::net::TcpListener;

use quire_protocol::{ProcessEnd, Wall};

use crate::world::{World, run};

/// A web server that answers every connection; returns its port.
fn serve() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let port = listener.local_addr().expect("an address").port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut room = [0; 4096];
            let _ = stream.read(&mut room);
            let _ = stream.write_all(
                b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello",
            );
        }
    });
    port
}

/// A script that asks the proxy and prints what it says.
fn ask(request: &str) -> String {
    format!(
        "perl -MIO::Socket::INET -e '$s = IO::Socket::INET->new(\"127.0.0.1:3128\") or die \"no proxy\"; \
         print $s qq({request}); $s->flush; print while <$s>'"
    )
}

#[test]
fn named_hosts_are_reached_and_others_are_not() {
    let port = serve();
    run(async {
        let mut world = World::with_wall(Some(Wall::Cell));
        world.policy.domains = vec!["localhost".to_owned(), "*.invalid".to_owned()];
        let get = |host: &str| {
            ask(&format!(
                "GET http://{host}:{port}/ HTTP/1.1\\r\\nConnection: close\\r\\n\\r\\n"
            ))
        };
        for (script, wanted) in [
            (get("localhost"), "hello"),
            (get("127.0.0.1"), "403 Forbidden"),
            (get("example.org"), "403 Forbidden"),
            (get("a.invalid"), "502 Bad Gateway"),
            (
                ask(&format!(
                    "CONNECT localhost:{port} HTTP/1.1\\r\\n\\r\\nGET / HTTP/1.0\\r\\n\\r\\n"
                )),
                "hello",
            ),
            (
                ask("CONNECT example.org:443 HTTP/1.1\\r\\n\\r\\n"),
                "403 Forbidden",
            ),
            (ask("GET / HTTP/1.1\\r\\n\\r\\n"), "400 Bad Request"),
        ] {
            let outcome = world.shell(&script).await;
            assert!(outcome.text.contains(wanted), "{script}: {}", outcome.text);
        }
        let outcome = world.run(&["env"]).await;
        assert!(outcome.text.contains("https_proxy=http://127.0.0.1:3128\n"));
    });
}

#[test]
fn a_name_of_this_machine_that_is_allowed_is_asked_of_the_proxy() {
    run(async {
        let mut world = World::with_wall(Some(Wall::Cell));
        for (domain, own) in [
            ("example.org", "localhost,127.0.0.1,::1"),
            ("*", "localhost,127.0.0.1,::1"),
            ("localhost", "127.0.0.1,::1"),
            ("127.0.0.1", "localhost,::1"),
        ] {
            world.policy.domains = vec![domain.to_owned()];
            let outcome = world.run(&["env"]).await;
            for name in ["NO_PROXY", "no_proxy"] {
                let wanted = format!("{name}={own}\n");
                assert!(outcome.text.contains(&wanted), "{domain}: {}", outcome.text);
            }
        }
    });
}

#[test]
fn a_pattern_does_not_lead_into_private_networks() {
    let port = serve();
    run(async {
        let mut world = World::with_wall(Some(Wall::Cell));
        world.policy.domains = vec!["*".to_owned()];
        let script = ask(&format!(
            "GET http://localhost:{port}/ HTTP/1.1\\r\\n\\r\\n"
        ));
        let outcome = world.shell(&script).await;
        assert!(outcome.text.contains("502 Bad Gateway"), "{}", outcome.text);
        assert!(outcome.text.contains("private network"), "{}", outcome.text);
    });
}

#[test]
fn without_domains_there_is_no_proxy_and_loopback_is_the_command_s_own() {
    run(async {
        let world = World::with_wall(Some(Wall::Cell));
        let outcome = world.shell(&ask("GET / HTTP/1.1\\r\\n\\r\\n")).await;
        assert!(outcome.text.contains("no proxy"), "{}", outcome.text);
        let own = "perl -MIO::Socket::INET -e '$l = IO::Socket::INET->new(Listen => 1, LocalAddr => \"127.0.0.1:8080\") or die; \
            $c = IO::Socket::INET->new(\"127.0.0.1:8080\") or die; print \"met\"'";
        let outcome = world.shell(own).await;
        assert_eq!(
            (outcome.text.as_str(), outcome.end),
            ("met", ProcessEnd::Exited(0))
        );
    });
}
