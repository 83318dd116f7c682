//! The leanest HTTP/1.1 client that a flow needs: one connection kept open, blocking, a body with a Content-Length. A
//! library would cost as much processor time as the server, on the same machine.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};

pub struct Client {
    host: String,
    connection: BufReader<TcpStream>,
}

pub struct Answer {
    pub status: u16,
    pub location: Option<String>,
    pub body: String,
}

impl Client {
    pub fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("the server listens");
        stream.set_nodelay(true).expect("a TCP option");
        Self {
            host: address.to_string(),
            connection: BufReader::new(stream),
        }
    }

    pub fn get(&mut self, path: &str, header: &str) -> Answer {
        let host = &self.host;
        self.send(&format!(
            "GET {path} HTTP/1.1\r\nHost: {host}\r\n{header}\r\n\r\n"
        ))
    }

    pub fn post(&mut self, path: &str, header: &str, form: &[(&str, &str)]) -> Answer {
        let body = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(form)
            .finish();
        let (host, length) = (&self.host, body.len());
        self.send(&format!(
            "POST {path} HTTP/1.1\r\nHost: {host}\r\n{header}\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {length}\r\n\r\n{body}"
        ))
    }

    fn send(&mut self, request: &str) -> Answer {
        self.connection
            .get_mut()
            .write_all(request.as_bytes())
            .expect("sent");
        self.read()
    }

    fn read(&mut self) -> Answer {
        let status = self
            .line()
            .split(' ')
            .nth(1)
            .and_then(|code| code.parse().ok())
            .expect("a status line");
        let (mut length, mut location) = (0, None);
        loop {
            let line = self.line();
            let Some((name, value)) = line.split_once(':') else {
                break;
            };
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.trim().parse().expect("a length"),
                "location" => location = Some(value.trim().to_owned()),
                "transfer-encoding" => panic!("a chunked answer"),
                _ => {}
            }
        }
        let mut body = vec![0; length];
        self.connection.read_exact(&mut body).expect("a whole body");
        Answer {
            status,
            location,
            body: String::from_utf8(body).expect("UTF-8"),
        }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.connection.read_line(&mut line).expect("a line");
        line.trim_end().to_owned()
    }
}
