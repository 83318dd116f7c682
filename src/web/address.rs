//! The client's address. `X-Forwarded-For` counts only from configured proxies, and its right-most untrusted hop is the
//! client: what stands left of it was written by the client itself (9700-51).

use std::net::{IpAddr, SocketAddr};

use actix_web::http::header::{HeaderMap, HeaderValue};
use ipnet::IpNet;

pub fn client_address(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let is_trusted = |address: IpAddr| {
        trusted
            .iter()
            .any(|network| network.contains(&address.to_canonical()))
    };
    let mut client = peer.to_canonical();
    if !is_trusted(client) {
        return client;
    }
    // bytes, not text: a line with an unreadable part must not vanish, and let one further left speak
    let lines: Vec<&[u8]> = headers
        .get_all("x-forwarded-for")
        .map(HeaderValue::as_bytes)
        .collect();
    for hop in lines
        .iter()
        .rev()
        .flat_map(|line| line.rsplit(|byte| *byte == b','))
    {
        let Some(address) = std::str::from_utf8(hop)
            .ok()
            .and_then(|hop| parse_hop(hop.trim()))
        else {
            return client;
        };
        client = address.to_canonical();
        if !is_trusted(client) {
            return client;
        }
    }
    client
}

/// Some proxies write a port behind the address, or brackets around an IPv6 one.
fn parse_hop(hop: &str) -> Option<IpAddr> {
    let bare = hop
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(hop);
    bare.parse()
        .ok()
        .or_else(|| hop.parse::<SocketAddr>().ok().map(|address| address.ip()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::HeaderName;

    fn forwarded(values: &[&'static str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(
                HeaderName::from_static("x-forwarded-for"),
                HeaderValue::from_static(value),
            );
        }
        headers
    }

    #[test]
    fn only_what_trusted_proxies_wrote_counts() {
        // 9700-51
        let proxy: IpAddr = [10, 0, 0, 1].into();
        let trusted: Vec<IpNet> = vec!["10.0.0.0/8".parse().expect("a network")];
        let client: IpAddr = [192, 0, 2, 7].into();
        assert_eq!(
            client_address(client, &forwarded(&["203.0.113.9"]), &trusted),
            client
        );
        assert_eq!(
            client_address(proxy, &forwarded(&["203.0.113.9, 192.0.2.7"]), &trusted),
            client
        );
        assert_eq!(
            client_address(
                proxy,
                &forwarded(&["203.0.113.9", "192.0.2.7, 10.0.0.2"]),
                &trusted
            ),
            client
        );
        assert_eq!(
            client_address(proxy, &forwarded(&["192.0.2.7, nonsense"]), &trusted),
            proxy
        );
        assert_eq!(
            client_address(proxy, &forwarded(&["192.0.2.7:51234"]), &trusted),
            client
        );
        assert_eq!(
            client_address(proxy, &forwarded(&["[2001:db8::7]"]), &trusted),
            "2001:db8::7".parse::<IpAddr>().expect("an address")
        );
        assert_eq!(client_address(proxy, &forwarded(&[]), &trusted), proxy);
        // a part that is no text stops the walk where it stands, and hides nothing that a proxy wrote behind it
        let mut garbage = forwarded(&["203.0.113.9"]);
        garbage.append(
            HeaderName::from_static("x-forwarded-for"),
            HeaderValue::from_bytes(b"\xFF, 192.0.2.7").expect("a value"),
        );
        assert_eq!(client_address(proxy, &garbage, &trusted), client);
        assert_eq!(
            client_address(proxy, &forwarded(&["192.0.2.7"]), &[]),
            proxy
        );
    }
}
