//! `web/address.rs`: who asks, behind proxies. Each line is an X-Forwarded-For header as it arrives at the trusted 10.0.0.1.
//!
//! - Without a trusted proxy the headers do not matter.
//! - The answer is the peer, or an address that stands in a header.
//! - Once an untrusted or unreadable hop is there, nothing that a client puts in front of it changes the answer.

use std::net::IpAddr;

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use countersign::web::address::client_address;
use ipnet::IpNet;

pub fn check(input: &[u8]) {
    let lines: Vec<&[u8]> = input
        .split(|byte| *byte == b'\n')
        .filter(|line| HeaderValue::from_bytes(line).is_ok())
        .collect();
    if lines.is_empty() {
        return;
    }
    let headers = forwarded(&lines);
    let (proxy, stranger) = (
        IpAddr::from([10, 0, 0, 1]),
        IpAddr::from([203, 0, 113, 200]),
    );
    let trusted: Vec<IpNet> = ["10.0.0.0/8", "fd00::/8"]
        .iter()
        .map(|network| network.parse().expect("a network"))
        .collect();
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(&address));

    assert_eq!(client_address(stranger, &headers, &trusted), stranger);
    assert_eq!(client_address(proxy, &headers, &[]), proxy);

    let client = client_address(proxy, &headers, &trusted);
    let hops: Vec<Option<IpAddr>> = hops(&headers);
    assert!(
        client == proxy || hops.contains(&Some(client)),
        "{client} stands nowhere"
    );
    if hops
        .iter()
        .any(|hop| hop.is_none_or(|address| !is_trusted(address)))
    {
        for forged in [
            &b"198.51.100.66"[..],
            b"10.6.6.6",
            b"\xFF",
            b"198.51.100.66, \xFF",
        ] {
            let own_line: Vec<&[u8]> = [forged].into_iter().chain(lines.iter().copied()).collect();
            assert_eq!(
                client_address(proxy, &forwarded(&own_line), &trusted),
                client,
                "a line in front"
            );
            let joined = [forged, b", ", lines[0]].concat();
            let same_line: Vec<&[u8]> = [&joined[..]]
                .into_iter()
                .chain(lines[1..].iter().copied())
                .collect();
            assert_eq!(
                client_address(proxy, &forwarded(&same_line), &trusted),
                client,
                "a hop in front"
            );
        }
    }
}

fn forwarded(lines: &[&[u8]]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for value in lines
        .iter()
        .filter_map(|line| HeaderValue::from_bytes(line).ok())
    {
        headers.append(HeaderName::from_static("x-forwarded-for"), value);
    }
    headers
}

/// Every hop of every line, read another way: all lines as one list (RFC 9110 §5.3).
fn hops(headers: &HeaderMap) -> Vec<Option<IpAddr>> {
    let lines: Vec<&[u8]> = headers
        .get_all("x-forwarded-for")
        .map(HeaderValue::as_bytes)
        .collect();
    let list = lines.join(&b',');
    list.split(|byte| *byte == b',')
        .map(|hop| address(std::str::from_utf8(hop).ok()?.trim()))
        .collect()
}

fn address(hop: &str) -> Option<IpAddr> {
    let host = match hop.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map(|(host, _)| host)?,
        None if hop.matches(':').count() == 1 => hop.split_once(':').map(|(host, _)| host)?,
        None => hop,
    };
    // a zone is not compared
    host.split('%')
        .next()?
        .parse::<IpAddr>()
        .ok()
        .map(|address| address.to_canonical())
}
