//! What the name server says, and what is understood.

use std::time::Duration;

use countersign::config::Domains;
use countersign::outbound::dns::{Answer, Dns, Unanswered};
use hickory_proto::op::ResponseCode;

use super::name_server::{NameServer, Reply, Transport};
use crate::databases::block_on;

const NAME: &str = "_countersign.brand.example";

fn look_up(names: &[&NameServer], timeout_seconds: u64) -> Result<Answer, Unanswered> {
    let nameservers = names.iter().map(|server| server.address).collect();
    let dns = Dns::new(&Domains {
        nameservers,
        timeout_seconds,
        ..Domains::default()
    });
    block_on(dns.look_up_txt(NAME))
}

fn texts(reply: Vec<Vec<String>>) -> Answer {
    let names = NameServer::start();
    names.say(NAME, Reply::Texts(reply));
    look_up(&[&names], 5).expect("an answer")
}

fn strings(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

#[test]
fn every_text_at_the_name_is_read_each_from_all_its_strings() {
    // RFC 7208 §3.3
    let answer = texts(vec![
        strings(&["one"]),
        strings(&["two ", "halves"]),
        strings(&[""]),
    ]);
    assert_eq!(answer, Answer::Texts(strings(&["one", "two halves", ""])));
}

#[test]
fn what_does_not_fit_into_udp_comes_over_tcp() {
    // RFC 7766 §5
    let names = NameServer::start();
    let many: Vec<_> = (0..20)
        .map(|number| strings(&[&format!("{number:0>100}")]))
        .collect();
    names.say(NAME, Reply::Texts(many));
    let Ok(Answer::Texts(found)) = look_up(&[&names], 5) else {
        unreachable!("texts")
    };
    assert_eq!((found.len(), found[19].len()), (20, 100));
    let transports: Vec<Transport> = names
        .take_asked()
        .into_iter()
        .map(|(_, transport)| transport)
        .collect();
    assert_eq!(transports, [Transport::Udp, Transport::Tcp]);
}

#[test]
fn an_endless_answer_is_cut_and_long_texts_are_left_out() {
    let long = vec!["x".repeat(255); 3];
    let mut many: Vec<_> = (0..500)
        .map(|number| strings(&[&format!("{number}")]))
        .collect();
    many.insert(0, long);
    let Answer::Texts(found) = texts(many) else {
        unreachable!("texts")
    };
    assert_eq!((found.len(), found[0].as_str()), (100, "0"));
}

#[test]
fn an_alias_is_followed() {
    let names = NameServer::start();
    names.say(NAME, Reply::Alias("elsewhere.example".to_owned()));
    names.publish("elsewhere.example", "token");
    assert_eq!(
        look_up(&[&names], 5),
        Ok(Answer::Texts(strings(&["token"])))
    );
    names.say("elsewhere.example", Reply::Alias(NAME.to_owned()));
    assert!(
        !matches!(look_up(&[&names], 5), Ok(Answer::Texts(texts)) if !texts.is_empty()),
        "round and round"
    );
}

#[test]
fn only_what_a_server_definitely_says_is_an_answer() {
    let names = NameServer::start();
    assert_eq!(look_up(&[&names], 5), Ok(Answer::Absent), "NXDOMAIN");
    names.say(NAME, Reply::Nothing);
    assert_eq!(look_up(&[&names], 5), Ok(Answer::Absent), "no data");
    for code in [
        ResponseCode::ServFail,
        ResponseCode::Refused,
        ResponseCode::FormErr,
        ResponseCode::NotImp,
        ResponseCode::NotAuth,
    ] {
        names.say(NAME, Reply::Code(code));
        assert!(look_up(&[&names], 5).is_err(), "{code}");
    }
    names.say(NAME, Reply::Referral);
    assert!(look_up(&[&names], 5).is_err(), "a referral");
}

#[test]
fn silence_noise_and_nobody_are_no_answer_and_end_in_time() {
    let names = NameServer::start();
    for reply in [Reply::Silence, Reply::Noise] {
        names.say(NAME, reply);
        assert!(look_up(&[&names], 1).is_err());
    }
    let gone = NameServer::start();
    let address = gone.address;
    drop(gone);
    let dns = Dns::new(&Domains {
        nameservers: vec![address],
        timeout_seconds: 1,
        ..Domains::default()
    });
    let patient =
        async { tokio::time::timeout(Duration::from_secs(60), dns.look_up_txt(NAME)).await };
    assert!(block_on(patient).expect("it ends by itself").is_err());
}

#[test]
fn of_two_servers_the_one_that_answers_is_heard() {
    let (silent, good) = (NameServer::start(), NameServer::start());
    silent.say(NAME, Reply::Silence);
    good.publish(NAME, "token");
    assert_eq!(
        look_up(&[&silent, &good], 10),
        Ok(Answer::Texts(strings(&["token"])))
    );
}

#[test]
fn names_are_asked_for_as_they_are() {
    // nothing is remembered, and no search list is tried
    let names = NameServer::start();
    for _ in 0..2 {
        assert_eq!(look_up(&[&names], 5), Ok(Answer::Absent));
    }
    assert_eq!(
        names.take_asked(),
        vec![(NAME.to_owned(), Transport::Udp); 2]
    );
}
