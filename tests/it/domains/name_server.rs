//! A name server in the test's hand: UDP and TCP on one free loopback port, answers by name.
#![expect(clippy::panic, reason = "a test fails by it")]

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use hickory_proto::op::{Message, OpCode, ResponseCode};
use hickory_proto::rr::rdata::{CNAME, NS, TXT};
use hickory_proto::rr::{Name, RData, Record};

/// RFC 1035 §4.2.1: what fits into UDP without EDNS; this server never takes more.
const MOST_UDP_BYTES: usize = 512;

/// What is said of a name. Of names that nobody told of: that they do not exist.
#[derive(Clone)]
pub enum Reply {
    /// Records, each of strings.
    Texts(Vec<Vec<String>>),
    /// The name is there, without texts.
    Nothing,
    Code(ResponseCode),
    Alias(String),
    /// "Ask those": what a server says that does not look further.
    Referral,
    Silence,
    /// Bytes that are no message.
    Noise,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    Udp,
    Tcp,
}

#[derive(Default)]
struct State {
    replies: HashMap<String, Reply>,
    asked: Vec<(String, Transport)>,
}

pub struct NameServer {
    pub address: SocketAddr,
    state: Arc<Mutex<State>>,
    stopped: Arc<AtomicBool>,
}

impl NameServer {
    pub fn start() -> Self {
        let (udp, tcp) = bind();
        let address = udp.local_addr().expect("an address");
        let (state, stopped) = (Arc::<Mutex<State>>::default(), Arc::<AtomicBool>::default());
        let (own_state, own_stopped) = (Arc::clone(&state), Arc::clone(&stopped));
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok((length, peer)) = udp.recv_from(&mut buffer) {
                if own_stopped.load(Ordering::SeqCst) {
                    return;
                }
                if let Some(answer) = answer(&own_state, &buffer[..length], Transport::Udp) {
                    udp.send_to(&answer, peer).expect("sent");
                }
            }
        });
        let (own_state, own_stopped) = (Arc::clone(&state), Arc::clone(&stopped));
        std::thread::spawn(move || {
            for connection in tcp.incoming().map_while(Result::ok) {
                if own_stopped.load(Ordering::SeqCst) {
                    return;
                }
                let state = Arc::clone(&own_state);
                std::thread::spawn(move || serve_tcp(&state, connection));
            }
        });
        Self {
            address,
            state,
            stopped,
        }
    }

    pub fn say(&self, name: &str, reply: Reply) {
        self.state
            .lock()
            .expect("no panic")
            .replies
            .insert(name.to_lowercase(), reply);
    }

    /// One record of one string.
    pub fn publish(&self, name: &str, text: &str) {
        self.say(name, Reply::Texts(vec![vec![text.to_owned()]]));
    }

    /// The name is gone.
    pub fn forget(&self, name: &str) {
        self.state
            .lock()
            .expect("no panic")
            .replies
            .remove(&name.to_lowercase());
    }

    /// What was asked since the last time.
    pub fn take_asked(&self) -> Vec<(String, Transport)> {
        std::mem::take(&mut self.state.lock().expect("no panic").asked)
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
        // both threads wake up, and see it
        let wake =
            UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.send_to(b"", self.address));
        drop((wake, TcpStream::connect(self.address)));
    }
}

/// A port that is free for both.
fn bind() -> (UdpSocket, TcpListener) {
    for _ in 0..100 {
        let udp = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        if let Ok(tcp) = TcpListener::bind(udp.local_addr().expect("an address")) {
            return (udp, tcp);
        }
    }
    panic!("no port is free for UDP and TCP");
}

fn serve_tcp(state: &Mutex<State>, mut connection: TcpStream) {
    let mut length = [0; 2];
    while connection.read_exact(&mut length).is_ok() {
        let mut query = vec![0; usize::from(u16::from_be_bytes(length))];
        if connection.read_exact(&mut query).is_err() {
            return;
        }
        let Some(answer) = answer(state, &query, Transport::Tcp) else {
            continue;
        };
        let length = u16::try_from(answer.len())
            .expect("at most 65535 bytes")
            .to_be_bytes();
        if connection
            .write_all(&[&length, answer.as_slice()].concat())
            .is_err()
        {
            return;
        }
    }
}

fn answer(state: &Mutex<State>, query: &[u8], transport: Transport) -> Option<Vec<u8>> {
    let query = Message::from_vec(query).ok()?;
    let question = query.queries.first()?.clone();
    let name = question
        .name()
        .to_ascii()
        .trim_end_matches('.')
        .to_lowercase();
    let reply = {
        let mut state = state.lock().expect("no panic");
        state.asked.push((name.clone(), transport));
        state
            .replies
            .get(&name)
            .cloned()
            .unwrap_or(Reply::Code(ResponseCode::NXDomain))
    };
    let mut response = Message::response(query.metadata.id, OpCode::Query);
    response.metadata.recursion_desired = true;
    response.metadata.recursion_available = true;
    let owner = question.name().clone();
    let record = |data| Record::from_rdata(owner.clone(), 300, data);
    response.add_query(question.clone());
    match reply {
        Reply::Silence => return None,
        Reply::Noise => return Some(b"this is no DNS message".to_vec()),
        Reply::Texts(texts) => {
            response.add_answers(
                texts
                    .into_iter()
                    .map(|strings| record(RData::TXT(TXT::new(strings)))),
            );
        }
        Reply::Nothing => {}
        Reply::Code(code) => response.metadata.response_code = code,
        Reply::Alias(target) => {
            response.add_answer(record(RData::CNAME(CNAME(
                Name::from_ascii(format!("{target}.")).expect("a name"),
            ))));
        }
        Reply::Referral => {
            response.add_authority(record(RData::NS(NS(
                Name::from_ascii("ns.example.").expect("a name")
            ))));
        }
    }
    let bytes = response.to_vec().expect("a message");
    if transport == Transport::Udp && bytes.len() > MOST_UDP_BYTES {
        return Some(response.truncate().to_vec().expect("a message"));
    }
    Some(bytes)
}
