//! Straight to us.
#![expect(clippy::panic, reason = "a test fails by it")]

use std::time::Duration;

use futures_util::future::join_all;

use super::sender::{Conversation, Patience, converse, pour};
use super::vectors::{Outcome, Vector, all};
use super::{Smuggled, start};
use crate::databases::{TestDatabase, both_databases};
use crate::server::Server;

both_databases!(
    behind_a_request_that_ends_its_connection_nothing_is_run,
    a_trailer_without_end_is_cut,
    a_head_of_any_size_is_answered_or_refused,
    a_chunked_upload_works,
);

fn address(server: &Server) -> String {
    let address = server.base.strip_prefix("http://");
    address.expect("http").to_owned()
}

async fn send(server: &Server, parts: Vec<Vec<u8>>, patience: Patience) -> Conversation {
    let address = address(server);
    let talk = tokio::task::spawn_blocking(move || converse(&address, &parts, patience));
    talk.await.expect("no panic")
}

fn judge(vector: &Vector, talk: &Conversation, was_run: bool) -> Result<(), String> {
    let statuses = talk.statuses();
    let refused = matches!(statuses.as_slice(), [400 | 431]);
    // the decoder refuses what is behind an answer that did not wait for the body
    let one = matches!(statuses.as_slice(), [_] | [_, 400]);
    let right = match vector.outcome {
        Outcome::Plain => statuses.len() == 2 && was_run,
        Outcome::Body => statuses.len() == 1 && !was_run,
        Outcome::Last => one && talk.closed && !was_run,
        Outcome::Refused => refused && talk.closed && !was_run,
    };
    let whole = talk.rest == 0 && statuses.iter().all(|status| *status < 500);
    match right && whole {
        true => Ok(()),
        false => Err(format!(
            "{}: {:?}, answered {statuses:?} ({} continued, {} bytes more), closed: {}, the next one was run: {was_run}",
            vector.name, vector.outcome, talk.continued, talk.rest, talk.closed
        )),
    }
}

async fn behind_a_request_that_ends_its_connection_nothing_is_run(db: TestDatabase) {
    // CVE-2026-134342; RFC 9112 §6.1, §6.3, §9.6. In one packet, and with the next request in a packet of its own
    let server = start(db).await;
    let host = address(&server);
    let count = all(&host, b"").len();
    let attack = async |index: usize, together: bool| {
        let smuggled = Smuggled::new(&server).await;
        let vector = all(&host, &smuggled.bytes).swap_remove(index);
        let patience = match vector.outcome {
            Outcome::Plain => Patience::for_answers(2),
            Outcome::Body => Patience::for_answers(1),
            Outcome::Last | Outcome::Refused => Patience::UNTIL_CLOSED,
        };
        let parts = match together {
            true => vec![[vector.bytes.as_slice(), &smuggled.bytes].concat()],
            false => vec![vector.bytes.clone(), smuggled.bytes.clone()],
        };
        let talk = send(&server, parts, patience).await;
        judge(&vector, &talk, smuggled.was_run(&server).await).err()
    };
    let all: Vec<_> = (0..count)
        .flat_map(|index| [(index, true), (index, false)])
        .collect();
    let mut wrong = Vec::new();
    for some in all.chunks(32) {
        let attacks = some
            .iter()
            .map(|(index, together)| attack(*index, *together));
        wrong.extend(join_all(attacks).await.into_iter().flatten());
    }
    assert!(
        wrong.is_empty(),
        "{} of {count}:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

async fn a_trailer_without_end_is_cut(db: TestDatabase) {
    // also a line before a chunk, and whether anybody reads the body or not
    let server = start(db).await;
    let host = address(&server);
    const MOST: Duration = Duration::from_secs(5);
    for door in ["POST /oauth2/revoke", "GET /healthz", "POST /nothing"] {
        for (start, piece) in [
            ("0\r\nX: ", "y".repeat(8192)),
            ("0\r\n", "X: y\r\n".repeat(1000)),
            ("5;a=", "b".repeat(8192)),
        ] {
            let head = format!(
                "{door} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/x-www-form-urlencoded\r\n\
                 Transfer-Encoding: chunked\r\n\r\n{start}"
            );
            let address = host.clone();
            let piece = piece.into_bytes();
            let pouring = move || pour(&address, head.as_bytes(), &piece, MOST);
            let sent = tokio::task::spawn_blocking(pouring).await;
            let (sent, after) = sent.expect("no panic");
            // what the kernel keeps on both sides is in it
            let bounded = sent < 32 * 1024 * 1024;
            assert!(
                after < MOST && bounded,
                "{door} took {sent} bytes of {start:?} in {after:?}"
            );
        }
    }
    let status = server
        .get("/healthz")
        .send()
        .await
        .expect("an answer")
        .status();
    assert_eq!(status, 200);
}

async fn a_head_of_any_size_is_answered_or_refused(db: TestDatabase) {
    // the ruler: whatever a proxy adds, a head that is too large ends the connection, and nothing of it is run
    let server = start(db).await;
    let host = address(&server);
    let (mut taken, mut refused) = (0, 0);
    for (kind, size) in [1, 4, 8, 16, 32, 64, 127, 128, 129, 200, 400]
        .into_iter()
        .flat_map(|kib| [("value", kib * 1024), ("path", kib * 1024)])
        .chain([("fields", 90), ("fields", 100), ("fields", 5000)])
    {
        let (query, fields) = match kind {
            "value" => (String::new(), format!("X: {}\r\n", "y".repeat(size))),
            "path" => (format!("?{}", "y".repeat(size)), String::new()),
            _ => (String::new(), "X: y\r\n".repeat(size)),
        };
        let head = format!("GET /healthz{query} HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n");
        let smuggled = Smuggled::new(&server).await;
        let parts = vec![[head.as_bytes(), &smuggled.bytes].concat()];
        let talk = send(&server, parts, Patience::for_answers(2)).await;
        let was_run = smuggled.was_run(&server).await;
        match talk.statuses().as_slice() {
            [200, 200] if was_run => taken += 1,
            [400 | 414 | 431] | [] if talk.closed && !was_run => refused += 1,
            other => panic!("{kind} of {size}: {other:?}, run: {was_run}"),
        }
    }
    assert!(taken > 8 && refused > 4, "{taken} taken, {refused} refused");
}

async fn a_chunked_upload_works(db: TestDatabase) {
    // byte by byte, with extensions and a trailer: slow is not endless
    let server = start(db).await;
    let host = address(&server);
    let secret = &server.secrets.client_secret;
    let head = format!(
        "POST /oauth2/token HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/x-www-form-urlencoded\r\n\
         Transfer-Encoding: chunked\r\n\r\n"
    );
    let form = format!(
        "grant_type=client_credentials&client_id={}&client_secret={secret}",
        server.planted.application
    );
    let (start, end) = form.split_at(20);
    let body = format!(
        "{:x};a=b\r\n{start}\r\n{:x}\r\n{end}\r\n0\r\nX: y\r\n\r\n",
        start.len(),
        end.len()
    );
    let bytes = body.bytes().map(|byte| vec![byte]);
    let parts = std::iter::once(head.into_bytes()).chain(bytes).collect();
    let talk = send(&server, parts, Patience::UNTIL_CLOSED).await;
    assert_eq!((talk.statuses(), talk.closed), (vec![200], true));
}
