use super::client::Answer;
use super::server::{Demand, Event};
use super::*;
use crate::error::RemoteProtocolError;
use proptest::prelude::*;

fn name(text: &str, port: u16) -> Address {
    Address::Name(text.as_bytes().to_vec(), port)
}

fn ip(text: &str) -> Address {
    Address::Ip(text.parse().unwrap())
}

/// Feeds a whole conversation, answers every event well, and returns what was said, asked and left over.
fn serve(demand: Demand, input: &[u8], step: usize) -> (Vec<u8>, Vec<Event>, Vec<u8>, Result<(), RemoteProtocolError>) {
    let mut server = Server::new(demand);
    let (mut said, mut events, mut left) = (Vec::new(), Vec::new(), Vec::new());
    for mut chunk in input.chunks(step.max(1)) {
        while !chunk.is_empty() {
            if events.iter().any(|event| matches!(event, Event::Request { .. })) {
                left.extend_from_slice(chunk);
                break;
            }
            let (taken, event) = match server.feed(chunk) {
                Ok(result) => result,
                Err(error) => {
                    said.extend(server.out());
                    assert!(server.feed(b"x").is_err());
                    return (said, events, left, Err(error));
                }
            };
            chunk = &chunk[taken..];
            match &event {
                Some(Event::Credentials { user, password }) => {
                    server.verdict(user == b"u" && password == b"pw").unwrap();
                }
                Some(Event::Request { .. }) => server.reply(Code::Succeeded, &ip("192.0.2.9:8080")).unwrap(),
                None => assert!(chunk.is_empty()),
            }
            events.extend(event);
            said.extend(server.out());
        }
    }
    (said, events, left, Ok(()))
}

#[test]
fn golden_connect_without_password() {
    let input = b"\x05\x01\x00\x05\x01\x00\x03\x0cnews.example\x01\xbbGET";
    for step in 1..=input.len() {
        let (said, events, left, result) = serve(Demand::Nothing, input, step);
        assert_eq!(result, Ok(()));
        assert_eq!(said, b"\x05\x00\x05\x00\x00\x01\xc0\x00\x02\x09\x1f\x90");
        assert!(
            matches!(&events[..], [Event::Request { command: Command::Connect, address }] if *address == name("news.example", 443))
        );
        assert_eq!(left, b"GET", "bytes behind the request are the stream's");
    }
}

#[test]
fn golden_connect_with_password() {
    let input =
        b"\x05\x03\x00\x01\x02\x01\x01u\x02pw\x05\x03\x00\x04\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\x00\x35";
    for step in 1..=input.len() {
        let (said, events, _, result) = serve(Demand::Password, input, step);
        assert_eq!(result, Ok(()));
        assert!(said.starts_with(b"\x05\x02\x01\x00\x05\x00\x00\x01"));
        assert!(
            matches!(&events[1], Event::Request { command: Command::UdpAssociate, address } if *address == ip("[2001:db8::1]:53"))
        );
    }
    // A wrong password is told, and nothing is heard after it.
    let (said, _, _, result) =
        serve(Demand::Password, b"\x05\x01\x02\x01\x01u\x01x\x05\x01\x00\x01\x01\x02\x03\x04\x00\x50", 99);
    assert_eq!((&said[..], result.is_err()), (&b"\x05\x02\x01\x01"[..], true));
    // Made-up users pass where no password is demanded.
    let (said, events, _, _) =
        serve(Demand::Nothing, b"\x05\x01\x02\x01\x01u\x02pw\x05\x01\x00\x01\x01\x02\x03\x04\x00\x50", 99);
    assert!(said.starts_with(b"\x05\x02\x01\x00\x05\x00"));
    assert_eq!(events.len(), 2);
}

#[test]
fn refusals_are_clear() {
    let greeted = |request: &[u8]| [b"\x05\x01\x00", request].concat();
    for (demand, input, said) in [
        (Demand::Password, b"\x05\x01\x00".to_vec(), &b"\x05\xff"[..]),
        (Demand::Password, b"\x05\x00".to_vec(), b"\x05\xff"),
        (Demand::Nothing, b"\x05\x02\x01\x03".to_vec(), b"\x05\xff"),
        (Demand::Nothing, b"\x04\x01\x00\x50\x01\x02\x03\x04\x00".to_vec(), b"\x00\x5b\0\0\0\0\0\0"),
        (Demand::Nothing, b"GET / HTTP/1.1\r\n".to_vec(), b""),
        (Demand::Password, b"\x05\x01\x02\x05".to_vec(), b"\x05\x02\x01\x01"),
        (
            Demand::Nothing,
            greeted(b"\x05\x02\x00\x01\x01\x02\x03\x04\x00\x50"),
            b"\x05\x00\x05\x07\x00\x01\0\0\0\0\0\0",
        ),
        (
            Demand::Nothing,
            greeted(b"\x05\xf0\x00\x01\x01\x02\x03\x04\x00\x50"),
            b"\x05\x00\x05\x07\x00\x01\0\0\0\0\0\0",
        ),
        (Demand::Nothing, greeted(b"\x05\x01\x00\x02"), b"\x05\x00\x05\x08\x00\x01\0\0\0\0\0\0"),
        (Demand::Nothing, greeted(b"\x05\x01\x00\x03\x00"), b"\x05\x00\x05\x01\x00\x01\0\0\0\0\0\0"),
        (Demand::Nothing, greeted(b"\x05\x01\x01"), b"\x05\x00\x05\x01\x00\x01\0\0\0\0\0\0"),
        (Demand::Nothing, greeted(b"\x04"), b"\x05\x00\x05\x01\x00\x01\0\0\0\0\0\0"),
    ] {
        for step in 1..=input.len() {
            let (heard, _, _, result) = serve(demand, &input, step);
            assert!(result.is_err(), "{input:?}");
            assert_eq!(heard, said, "{input:?}");
        }
    }
}

#[test]
fn wrong_calls_are_refused() {
    let mut server = Server::new(Demand::Nothing);
    assert!(server.verdict(true).is_err());
    assert!(server.reply(Code::Succeeded, &Address::UNSPECIFIED).is_err());
    assert!(Client::new(Some((b"", b"p")), Command::Connect, &name("h", 1)).is_err());
    assert!(Client::new(Some((b"u", &[b'x'; 256])), Command::Connect, &name("h", 1)).is_err());
    assert!(Client::new(None, Command::Connect, &name("", 1)).is_err());
    assert!(Client::new(None, Command::Connect, &name(&"n".repeat(256), 1)).is_err());
}

#[test]
fn nothing_secret_is_shown() {
    let (_, events, _, _) =
        serve(Demand::Password, b"\x05\x01\x02\x01\x01u\x02pw\x05\x01\x00\x03\x06secret\x00\x50", 99);
    assert_eq!(format!("{events:?}"), "[Credentials(…), Request(Connect, …)]");
    let client = Client::new(Some((b"user", b"secret")), Command::Connect, &name("secret", 1)).unwrap();
    assert_eq!(format!("{client:?}"), "Client(Choice)");
}

#[test]
fn golden_client() {
    let mut client = Client::new(Some((b"u", b"pw")), Command::Connect, &name("h", 80)).unwrap();
    assert_eq!(client.out(), b"\x05\x02\x00\x02");
    assert_eq!(client.feed(b"\x05\x02"), Ok((2, None)));
    assert_eq!(client.out(), b"\x01\x01u\x02pw");
    assert_eq!(client.feed(b"\x01\x00"), Ok((2, None)));
    assert_eq!(client.out(), b"\x05\x01\x00\x03\x01h\x00\x50");
    let reply = b"\x05\x00\x00\x01\xc0\x00\x02\x09\x1f\x90early";
    assert_eq!(client.feed(reply), Ok((10, Some(Answer::Granted { bound: ip("192.0.2.9:8080") }))));
    assert_eq!(client.feed(b"early"), Ok((0, None)));
}

#[test]
fn client_hears_refusals() {
    let ask = |credentials, input: &[u8]| {
        let mut client = Client::new(credentials, Command::Connect, &ip("192.0.2.1:80")).unwrap();
        client.feed(input).map(|(_, answer)| answer)
    };
    let user: Option<(&[u8], &[u8])> = Some((b"u", b"p"));
    assert_eq!(ask(None, b"\x05\x00\x05\x05\x00\x01\0\0\0\0\0\0"), Ok(Some(Answer::Refused(Code::Refused))));
    assert_eq!(ask(None, b"\x05\x00\x05\x02\x00\x00"), Ok(Some(Answer::Refused(Code::NotAllowed))));
    assert_eq!(ask(None, b"\x05\x00\x05\x09\x00\x03\x00"), Ok(Some(Answer::Refused(Code::Other(9)))));
    assert!(matches!(ask(None, b"\x05\x00\x05\x00\x00\x03\x01h\0\0"), Ok(Some(Answer::Granted { .. }))));
    for (credentials, input) in [
        (None, &b"\x04"[..]),
        (None, b"H"),
        (None, b"\x05\x02"),
        (None, b"\x05\xff"),
        (user, b"\x05\x01"),
        (user, b"\x05\x02\x01\x01"),
        (None, b"\x05\x00\x04"),
        (None, b"\x05\x00\x05\x00\x00\x07"),
    ] {
        assert!(ask(credentials, input).is_err(), "{input:?}");
    }
}

#[test]
fn udp_golden() {
    let mut datagram = Vec::new();
    udp::encode_head(&ip("192.0.2.1:53"), &mut datagram).unwrap();
    datagram.extend(b"query");
    assert_eq!(datagram, b"\0\0\0\x01\xc0\x00\x02\x01\x00\x35query");
    assert_eq!(udp::decode(&datagram), Ok((ip("192.0.2.1:53"), 10)));
    for (bad, why) in [
        (&b""[..], udp::Dropped::Short),
        (b"\0\0", udp::Dropped::Short),
        (b"\0\0\0", udp::Dropped::Short),
        (b"\0\0\0\x01\x01\x02\x03\x04\x00", udp::Dropped::Short),
        (b"\x01\0\0\x01\x01\x02\x03\x04\x00\x50", udp::Dropped::Reserved),
        (b"\0\0\x01\x01\x01\x02\x03\x04\x00\x50", udp::Dropped::Fragment),
        (b"\0\0\x80\x01\x01\x02\x03\x04\x00\x50", udp::Dropped::Fragment),
        (b"\0\0\0\x02\x01\x02\x03\x04\x00\x50", udp::Dropped::Address),
        (b"\0\0\0\x03\x00\x00\x50", udp::Dropped::Address),
    ] {
        assert_eq!(udp::decode(bad), Err(why), "{bad:?}");
    }
}

#[test]
fn codes_round_trip() {
    for byte in 0..=255 {
        assert_eq!(Code::from(byte).byte(), byte);
    }
}

fn any_address() -> impl Strategy<Value = Address> {
    prop_oneof![
        (any::<[u8; 4]>(), any::<u16>()).prop_map(|(octets, port)| Address::Ip((octets, port).into())),
        (any::<[u8; 16]>(), any::<u16>()).prop_map(|(octets, port)| Address::Ip((octets, port).into())),
        (prop::collection::vec(any::<u8>(), 1..=255), any::<u16>()).prop_map(|(name, port)| Address::Name(name, port)),
    ]
}

proptest! {
    #[test]
    fn addresses_round_trip(address in any_address(), behind in prop::collection::vec(any::<u8>(), 0..9)) {
        let mut out = Vec::new();
        address.encode(&mut out).unwrap();
        let size = out.len();
        for cut in 0..size {
            prop_assert_eq!(Address::decode(&out[..cut]), Decoded::More);
        }
        out.extend(&behind);
        prop_assert_eq!(Address::decode(&out), Decoded::Whole(address.clone(), size));
        let mut datagram = Vec::new();
        udp::encode_head(&address, &mut datagram).unwrap();
        let head = datagram.len();
        datagram.extend(&behind);
        prop_assert_eq!(udp::decode(&datagram), Ok((address, head)));
    }

    /// Our client against our server, every message cut at random, with early data behind the reply both ways.
    #[test]
    fn both_sides_agree(
        address in any_address(), associate in any::<bool>(), password in any::<bool>(),
        demand in any::<bool>(), step in 1usize..9,
    ) {
        let command = if associate { Command::UdpAssociate } else { Command::Connect };
        let credentials: Option<(&[u8], &[u8])> = password.then_some((b"u", b"pw"));
        let mut client = Client::new(credentials, command, &address).unwrap();
        let mut server = Server::new(if demand { Demand::Password } else { Demand::Nothing });
        let mut asked = None;
        let mut answer = None;
        let mut failed = false;
        'talk: while answer.is_none() {
            let said = client.out();
            for mut chunk in said.chunks(step) {
                while !chunk.is_empty() {
                    let Ok((taken, event)) = server.feed(chunk) else { failed = true; break 'talk };
                    chunk = &chunk[taken..];
                    match event {
                        Some(Event::Credentials { user, password }) => server.verdict(user == b"u" && password == b"pw").unwrap(),
                        Some(Event::Request { command, address }) => {
                            asked = Some((command, address));
                            server.reply(Code::Succeeded, &Address::UNSPECIFIED).unwrap();
                        }
                        None => {}
                    }
                }
            }
            for chunk in server.out().chunks(step) {
                let (taken, got) = client.feed(chunk).unwrap();
                prop_assert_eq!(taken, chunk.len());
                answer = answer.or(got);
            }
        }
        prop_assert_eq!(failed, demand && !password);
        if !failed {
            prop_assert_eq!(asked, Some((command, address)));
            prop_assert_eq!(answer, Some(Answer::Granted { bound: Address::UNSPECIFIED }));
        }
    }

    #[test]
    fn rubbish_never_breaks_a_bound(input in prop::collection::vec(prop_oneof![0u8..6, any::<u8>()], 0..700), step in 1usize..50) {
        let whole = serve(Demand::Nothing, &input, input.len());
        prop_assert_eq!(serve(Demand::Nothing, &input, step), whole);
    }
}
