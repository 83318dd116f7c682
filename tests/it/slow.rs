//! A client that sends slowly, or not at all, is answered 408 and loses its connection: it cannot hold one for ever.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::databases::{TestDatabase, both_databases};
use crate::server::Server;

both_databases!(a_body_that_never_arrives_is_a_408_and_the_connection_ends);

async fn a_body_that_never_arrives_is_a_408_and_the_connection_ends(db: TestDatabase) {
    let server = Server::start(db).await;
    let address = server
        .base
        .strip_prefix("http://")
        .expect("http")
        .to_owned();
    let answer = tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(&address).expect("it listens");
        let head = "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 100\r\n\r\ngrant_type=";
        write!(
            stream,
            "POST /oauth2/token HTTP/1.1\r\nHost: {address}\r\n{head}"
        )
        .expect("sent");
        let mut answer = String::new();
        // until the server closes it
        stream.read_to_string(&mut answer).expect("an answer");
        answer
    });
    let answer = answer.await.expect("no panic");
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert_eq!(
        server
            .get("/healthz")
            .send()
            .await
            .expect("an answer")
            .status(),
        200
    );
}
