//! What is sent. Adding one is adding a line.

/// What must come of it when it is sent straight to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// A request like any other: the one behind it is run, and both are answered.
    Plain,
    /// What is behind it is its body: one answer, whatever it says, and nothing else is run.
    Body,
    /// One answer, whatever it says; the connection ends, and what is behind it is not run.
    Last,
    /// As `Last`, and the answer is a refusal (400 or 431).
    Refused,
}

pub struct Vector {
    pub name: String,
    pub bytes: Vec<u8>,
    pub outcome: Outcome,
}

/// The chunked bodies and where they end. The doors: one reads its body, the others answer without reading it.
const CHUNKED_DOORS: [&str; 3] = ["POST /oauth2/revoke", "GET /healthz", "POST /nothing"];

/// `behind`: the request that follows, as the body of a hidden one.
pub fn all(host: &str, behind: &[u8]) -> Vec<Vector> {
    let mut vectors = Vec::new();
    let mut add = |name: String, outcome, bytes: &[u8]| {
        vectors.push(Vector {
            name,
            outcome,
            bytes: bytes.to_vec(),
        });
    };
    for (name, outcome, head) in heads() {
        let length = behind.len().to_string();
        let head = head.replace("HOST", host).replace("LENGTH", &length);
        add(format!("head: {name}"), outcome, head.as_bytes());
    }
    for door in CHUNKED_DOORS {
        for (name, outcome, body) in bodies() {
            let head = format!(
                "{door} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/x-www-form-urlencoded\r\n\
                 Transfer-Encoding: chunked\r\n\r\n"
            );
            let bytes = [head.as_bytes(), body].concat();
            add(format!("{door}: {name}"), outcome, &bytes);
            // CVE-2026-134342: the head of the next request is taken for a trailer, and its body is run
            let hiding = format!(
                "POST /healthz HTTP/1.1\r\nHost: {host}\r\nContent-Length: {}\r\n\r\n",
                behind.len()
            );
            let bytes = [&bytes, hiding.as_bytes()].concat();
            add(format!("{door}: {name}, then a body"), outcome, &bytes);
        }
    }
    vectors
}

/// Chunked bodies. Where the size line or the end of a chunk is wrong, the answer may come before it is read.
fn bodies() -> Vec<(&'static str, Outcome, &'static [u8])> {
    use Outcome::Last;
    vec![
        ("as it should be", Last, b"5\r\nhello\r\n0\r\n\r\n"),
        ("empty", Last, b"0\r\n\r\n"),
        ("a trailer", Last, b"0\r\nX: y\r\n\r\n"),
        (
            "a length as trailer",
            Last,
            b"0\r\nContent-Length: 5\r\n\r\n",
        ),
        (
            "an encoding as trailer",
            Last,
            b"0\r\nTransfer-Encoding: chunked\r\n\r\n",
        ),
        ("bare LF at the end", Last, b"0\r\n\n"),
        ("bare LF behind the size", Last, b"0\n\r\n"),
        ("two bare LF", Last, b"0\n\n"),
        ("bare CR at the end", Last, b"0\r\n\r\r\n"),
        ("bare CR behind the size", Last, b"0\r\r\n\r\n"),
        ("LF CR", Last, b"0\r\n\n\r\n"),
        ("a trailer that ends in LF", Last, b"0\r\nX: y\n\r\n"),
        ("a trailer with a bare CR", Last, b"0\r\nX: y\rZ: a\r\n\r\n"),
        ("data that ends in LF", Last, b"5\r\nhello\n0\r\n\r\n"),
        ("data without an end", Last, b"5\r\nhello0\r\n\r\n"),
        ("data with two bytes more", Last, b"5\r\nhelloXX0\r\n\r\n"),
        ("an extension", Last, b"5;a=b\r\nhello\r\n0\r\n\r\n"),
        (
            "an extension without a name",
            Last,
            b"5;\r\nhello\r\n0\r\n\r\n",
        ),
        (
            "an extension behind a blank",
            Last,
            b"5 ;a=b\r\nhello\r\n0\r\n\r\n",
        ),
        ("LF in an extension", Last, b"5;a\nb\r\nhello\r\n0\r\n\r\n"),
        ("CR in an extension", Last, b"5;a\rb\r\nhello\r\n0\r\n\r\n"),
        (
            "a quoted extension",
            Last,
            b"5;a=\"b\"\r\nhello\r\n0\r\n\r\n",
        ),
        (
            "CRLF in a quoted extension",
            Last,
            b"5;a=\"\r\nhello\r\n0\r\n\r\n\"\r\n",
        ),
        ("LF in a quoted extension", Last, b"0;a=\"\n\"\r\n\r\n"),
        ("a quoted pair", Last, b"5;a=\"\\\"\"\r\nhello\r\n0\r\n\r\n"),
        ("a quoted pair at the end", Last, b"0;a=\"\\\r\n\r\n"),
        ("0x", Last, b"0x5\r\nhello\r\n0\r\n\r\n"),
        ("plus", Last, b"+5\r\nhello\r\n0\r\n\r\n"),
        ("minus", Last, b"-5\r\nhello\r\n0\r\n\r\n"),
        ("underscore", Last, b"0_5\r\nhello\r\n0\r\n\r\n"),
        ("a blank before the size", Last, b" 5\r\nhello\r\n0\r\n\r\n"),
        ("a tab behind the size", Last, b"5\t\r\nhello\r\n0\r\n\r\n"),
        ("no size", Last, b"\r\nhello\r\n0\r\n\r\n"),
        (
            "many zeros",
            Last,
            b"00000000000000000005\r\nhello\r\n000\r\n\r\n",
        ),
        (
            "2 to the 64",
            Last,
            b"10000000000000005\r\nhello\r\n0\r\n\r\n",
        ),
        ("two sizes", Last, b"5 5\r\nhello\r\n0\r\n\r\n"),
        (
            "letters that are no digits",
            Last,
            b"5g\r\nhello\r\n0\r\n\r\n",
        ),
    ]
}

/// Whole requests; `HOST` stands for the right one, `LENGTH` for that of the request that follows.
#[rustfmt::skip]
fn heads() -> Vec<(&'static str, Outcome, &'static str)> {
    use Outcome::{Body, Last, Plain, Refused};
    vec![
        ("a request", Plain, "GET /healthz HTTP/1.1\r\nHost: HOST\r\n\r\n"),
        ("a request that closes", Last, "GET /healthz HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n\r\n"),
        ("close among others", Last, "GET /healthz HTTP/1.1\r\nHost: HOST\r\nConnection: keep-alive, Close\r\n\r\n"),
        ("HTTP/1.0", Last, "GET /healthz HTTP/1.0\r\nHost: HOST\r\n\r\n"),
        ("empty lines before it", Plain, "\r\n\r\nGET /healthz HTTP/1.1\r\nHost: HOST\r\n\r\n"),
        ("a body", Plain, "POST /oauth2/revoke HTTP/1.1\r\nHost: HOST\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 5\r\n\r\nhello"),
        ("0.CL: a GET whose body is a request", Body, "GET /healthz HTTP/1.1\r\nHost: HOST\r\nContent-Length: LENGTH\r\n\r\n"),
        ("0.CL: a DELETE whose body is a request", Body, "DELETE /nothing HTTP/1.1\r\nHost: HOST\r\nContent-Length: LENGTH\r\n\r\n"),
        ("0.CL with Expect", Body, "GET /healthz HTTP/1.1\r\nHost: HOST\r\nExpect: 100-continue\r\nContent-Length: LENGTH\r\n\r\n"),
        ("a body that is a request", Body, "POST /oauth2/revoke HTTP/1.1\r\nHost: HOST\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: LENGTH\r\n\r\n"),
        ("no length", Plain, "POST /nothing HTTP/1.1\r\nHost: HOST\r\nContent-Length: 0\r\n\r\n"),
        ("CL, then TE", Refused, "POST /nothing HTTP/1.1\r\nHost: HOST\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        ("TE, then CL", Refused, "POST /nothing HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n"),
        ("TE and CL 0", Refused, "POST /nothing HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n0\r\n\r\n"),
        ("TE in HTTP/1.0", Refused, "POST /nothing HTTP/1.0\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        ("two TE", Refused, "POST /nothing HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n"),
        ("two TE alike", Refused, "POST /nothing HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        ("TE identity", Refused, "POST /nothing HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: identity\r\n\r\n"),
        ("TE identity and a length", Refused, "POST /nothing HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: identity\r\nContent-Length: 5\r\n\r\nhello"),
        ("TE gzip, chunked", Refused, "POST /nothing HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
        ("TE chunked, gzip", Refused, "POST /nothing HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n"),
        ("TE chunked, chunked", Refused, "POST /nothing HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n"),
        ("TE chunked and an empty one", Refused, "POST /nothing HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked,\r\n\r\n0\r\n\r\n"),
        ("TE xchunked", Refused, "POST /nothing HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"),
        ("TE quoted", Refused, "POST /nothing HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n"),
        ("TE with a parameter", Refused, "POST /nothing HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n"),
        ("TE empty", Refused, "POST /nothing HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding:\r\n\r\n0\r\n\r\n"),
        ("TE behind a vertical tab", Refused, "POST /nothing HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n"),
        ("TE with a NUL", Refused, "POST /nothing HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked\0\r\n\r\n0\r\n\r\n"),
        ("a blank behind TE's name", Refused, "POST /nothing HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n"),
        ("a tab behind TE's name", Refused, "POST /nothing HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding\t: chunked\r\n\r\n0\r\n\r\n"),
        ("a blank before TE's name", Refused, "POST /nothing HTTP/1.1\r\nHost: HOST\r\nX: y\r\n Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        ("TE in capitals", Last, "POST /nothing HTTP/1.1\r\nHost: HOST\r\nTRANSFER-ENCODING: CHUNKED\r\n\r\n0\r\n\r\n"),
        ("TE among blanks", Last, "POST /nothing HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: \t chunked \t\r\n\r\n0\r\n\r\n"),
        ("TE behind a bare LF", Last, "POST /nothing HTTP/1.1\r\nHost: HOST\r\nX: y\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        ("TE behind a bare CR", Refused, "POST /nothing HTTP/1.1\r\nHost: HOST\r\nX: y\rTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        ("TE by line folding", Refused, "POST /nothing HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n"),
        ("two lengths alike", Refused, "POST /nothing HTTP/1.1\r\nHost: HOST\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello"),
        ("two lengths", Refused, "POST /nothing HTTP/1.1\r\nHost: HOST\r\nContent-Length: 5\r\nContent-Length: 0\r\n\r\nhello"),
        ("a list of lengths", Refused, "POST /nothing HTTP/1.1\r\nHost: HOST\r\nContent-Length: 5, 5\r\n\r\nhello"),
        ("length plus", Refused, "POST /nothing HTTP/1.1\r\nHost: HOST\r\nContent-Length: +5\r\n\r\nhello"),
        ("length minus", Refused, "POST /nothing HTTP/1.1\r\nHost: HOST\r\nContent-Length: -5\r\n\r\nhello"),
        ("length in hexadecimal", Refused, "POST /nothing HTTP/1.1\r\nHost: HOST\r\nContent-Length: 0x5\r\n\r\nhello"),
        ("length with a blank", Refused, "POST /nothing HTTP/1.1\r\nHost: HOST\r\nContent-Length: 5 5\r\n\r\nhello"),
        ("length with an exponent", Refused, "POST /nothing HTTP/1.1\r\nHost: HOST\r\nContent-Length: 5e0\r\n\r\nhello"),
        ("length empty", Refused, "POST /nothing HTTP/1.1\r\nHost: HOST\r\nContent-Length:\r\n\r\nhello"),
        ("length 2 to the 64", Refused, "POST /nothing HTTP/1.1\r\nHost: HOST\r\nContent-Length: 18446744073709551621\r\n\r\nhello"),
        ("a blank behind length's name", Refused, "POST /nothing HTTP/1.1\r\nHost: HOST\r\nContent-Length : 5\r\n\r\nhello"),
        ("length by line folding", Refused, "POST /nothing HTTP/1.1\r\nHost: HOST\r\nContent-Length:\r\n 5\r\n\r\nhello"),
        ("line folding", Refused, "GET /healthz HTTP/1.1\r\nHost: HOST\r\nX: a\r\n b\r\n\r\n"),
        ("a folded first line", Refused, "GET /healthz HTTP/1.1\r\n Host: HOST\r\nHost: HOST\r\n\r\n"),
        ("lines that end in CR", Refused, "GET /healthz HTTP/1.1\rHost: HOST\r\r\r\n\r\n"),
        ("a NUL in a value", Refused, "GET /healthz HTTP/1.1\r\nHost: HOST\r\nX: a\0b\r\n\r\n"),
        ("a field without a name", Refused, "GET /healthz HTTP/1.1\r\nHost: HOST\r\n: a\r\n\r\n"),
        ("a field without a colon", Refused, "GET /healthz HTTP/1.1\r\nHost: HOST\r\nX\r\n\r\n"),
        ("two hosts", Refused, "GET /healthz HTTP/1.1\r\nHost: HOST\r\nHost: HOST\r\n\r\n"),
        ("no host", Refused, "GET /healthz HTTP/1.1\r\n\r\n"),
        ("a target of another host", Refused, "GET http://evil.example/healthz HTTP/1.1\r\nHost: HOST\r\n\r\n"),
        ("a target of this host", Plain, "GET http://HOST/healthz HTTP/1.1\r\nHost: HOST\r\n\r\n"),
        ("WebSocket with a length", Refused, "POST /nothing HTTP/1.1\r\nHost: HOST\r\nConnection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 5\r\n\r\nhello"),
        ("another upgrade", Last, "GET /healthz HTTP/1.1\r\nHost: HOST\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n"),
        ("Expect", Plain, "POST /oauth2/revoke HTTP/1.1\r\nHost: HOST\r\nContent-Type: application/x-www-form-urlencoded\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello"),
        ("Expect with something before it", Plain, "POST /oauth2/revoke HTTP/1.1\r\nHost: HOST\r\nContent-Type: application/x-www-form-urlencoded\r\nExpect: y 100-continue\r\nContent-Length: 5\r\n\r\nhello"),
        ("Expect on a GET", Plain, "GET /healthz HTTP/1.1\r\nHost: HOST\r\nExpect: 100-continue\r\n\r\n"),
        ("Expect and TE", Last, "POST /nothing HTTP/1.1\r\nHost: HOST\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        ("CL that Connection names", Plain, "POST /oauth2/revoke HTTP/1.1\r\nHost: HOST\r\nContent-Type: application/x-www-form-urlencoded\r\nConnection: Content-Length\r\nContent-Length: 5\r\n\r\nhello"),
        ("TE that Connection names", Last, "POST /nothing HTTP/1.1\r\nHost: HOST\r\nConnection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        ("no version", Refused, "GET /healthz\r\nHost: HOST\r\n\r\n"),
        ("HTTP/1.2", Refused, "GET /healthz HTTP/1.2\r\nHost: HOST\r\n\r\n"),
    ]
}
