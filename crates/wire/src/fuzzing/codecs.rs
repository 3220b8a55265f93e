//! SOCKS5, HTTP/1 proxy, capsules, padding: whatever arrives, however it is cut, the outcome is the same, nothing is
//! taken twice or lost, and what was written is read back.

use crate::http1::body::{Framing, Tracker};
use crate::http1::response::Rewriter;
use crate::http1::{Form, Problem, Request, RequestReader};
use crate::padding::{self, Kind, Side};
use crate::socks5::client::Answer;
use crate::socks5::server::{Demand, Event};
use crate::socks5::{Address, Client, Code, Command, Server, udp};
use crate::{capsule, varint};

/// Splits off the byte that chooses what is fuzzed, and the one that says how the rest is cut.
fn plan(data: &[u8]) -> Option<(u8, usize, &[u8])> {
    let (head, rest) = data.split_first_chunk::<2>()?;
    Some((head[0], usize::from(head[1]) + 1, rest))
}

/// What a SOCKS5 server said, and what is left for the stream; `None` once it broke off.
type Served = (Vec<u8>, Vec<Event>, Option<Vec<u8>>);

fn serve(demand: Demand, input: &[u8], step: usize) -> Served {
    let mut server = Server::new(demand);
    let (mut said, mut events, mut left) = (Vec::new(), Vec::new(), Vec::new());
    for mut chunk in input.chunks(step) {
        while !chunk.is_empty() {
            if matches!(events.last(), Some(Event::Request { .. })) {
                left.extend_from_slice(chunk);
                break;
            }
            let fed = server.feed(chunk);
            said.extend(server.out());
            let Ok((taken, event)) = fed else { return (said, events, None) };
            assert!(taken > 0 && taken <= chunk.len(), "bytes are neither refused silently nor invented");
            assert!(event.is_some() || taken == chunk.len(), "without an event everything is taken");
            chunk = chunk.get(taken..).unwrap_or_default();
            match &event {
                Some(Event::Credentials { user, password }) => {
                    assert!(server.verdict(user.len() >= password.len()).is_ok(), "a verdict is due");
                }
                Some(Event::Request { address, .. }) => {
                    assert!(server.reply(Code::Succeeded, address).is_ok(), "what was read can be written");
                }
                None => {}
            }
            said.extend(server.out());
            events.extend(event);
        }
    }
    (said, events, Some(left))
}

fn ask(input: &[u8], step: usize, password: bool) -> (Vec<u8>, Option<Answer>, usize, bool) {
    let credentials: Option<(&[u8], &[u8])> = password.then_some((b"u", b"p"));
    let Ok(mut client) = Client::new(credentials, Command::Connect, &Address::UNSPECIFIED) else {
        return Default::default();
    };
    let (mut said, mut taken) = (client.out(), 0);
    for chunk in input.chunks(step) {
        let fed = client.feed(chunk);
        said.extend(client.out());
        match fed {
            Ok((used, answer)) => {
                taken += used;
                if answer.is_some() {
                    return (said, answer, taken, false);
                }
                assert_eq!(used, chunk.len(), "without an answer everything is taken");
            }
            Err(_) => return (said, None, 0, true),
        }
    }
    (said, None, taken, false)
}

/// Both sides of SOCKS5 and its UDP header.
pub fn socks5(data: &[u8]) {
    let Some((mode, step, input)) = plan(data) else { return };
    match mode % 4 {
        0 => assert!(serve(Demand::Nothing, input, step) == serve(Demand::Nothing, input, usize::MAX)),
        1 => assert!(serve(Demand::Password, input, step) == serve(Demand::Password, input, usize::MAX)),
        2 => assert!(ask(input, step, mode & 4 != 0) == ask(input, usize::MAX, mode & 4 != 0)),
        _ => {
            if let Ok((address, start)) = udp::decode(input) {
                let mut again = Vec::new();
                assert!(udp::encode_head(&address, &mut again).is_ok());
                assert_eq!(Some(&again[..]), input.get(..start), "a header has one spelling");
            }
        }
    }
}

fn read(input: &[u8], step: usize) -> Result<Option<(Request, usize)>, Problem> {
    let mut reader = RequestReader::new();
    let mut at = 0;
    for chunk in input.chunks(step) {
        let (taken, request) = reader.feed(chunk)?;
        at += taken;
        if let Some(request) = request {
            return Ok(Some((request, at)));
        }
        assert_eq!(taken, chunk.len(), "without a request everything is taken");
    }
    Ok(None)
}

fn track(framing: Framing, input: &[u8], step: usize) -> Option<(usize, bool)> {
    let mut tracker = Tracker::new(framing);
    let mut at = 0;
    for chunk in input.chunks(step) {
        let taken = tracker.feed(chunk).ok()?;
        at += taken;
        if tracker.is_done() {
            break;
        }
        assert_eq!(taken, chunk.len(), "a body takes everything up to its end");
    }
    Some((at, tracker.is_done()))
}

fn rewrite(input: &[u8], step: usize) -> Option<(Vec<u8>, usize, bool)> {
    let mut rewriter = Rewriter::new();
    let (mut out, mut at) = (Vec::new(), 0);
    for chunk in input.chunks(step) {
        at += rewriter.feed(chunk, &mut out).ok()?;
        if rewriter.is_done() {
            break;
        }
    }
    Some((out, at, rewriter.is_done()))
}

/// Requests to the HTTP proxy, bodies, and responses on their way back.
pub fn http1(data: &[u8]) {
    let Some((mode, step, input)) = plan(data) else { return };
    match mode % 3 {
        0 => {
            let whole = read(input, usize::MAX);
            assert_eq!(read(input, step), whole, "the cut changes nothing");
            let Ok(Some((Request { form: Form::Forward { head, body, .. }, host, .. }, _))) = whole else { return };
            // The head for the next hop is one request, for the same host, with the same body, and stays as it is
            // when it is read as a proxy would read it once more.
            let target = head.iter().position(|byte| *byte == b' ').map(|at| at + 1).unwrap_or_default();
            let origin = head.get(target..).unwrap_or_default();
            let origin = if origin.starts_with(b"* ") { &origin[1..] } else { origin };
            let again = [head.get(..target).unwrap_or_default(), b"http://", host.as_bytes(), origin].concat();
            match read(&again, 7) {
                Ok(Some((request, at))) => {
                    assert_eq!(at, again.len(), "one head and nothing behind it");
                    assert!(request.host == host);
                    assert!(matches!(request.form, Form::Forward { body: framed, .. } if framed == body));
                }
                // The absolute form is longer by the host's name, and one field may have been added.
                Err(problem) => assert_eq!(problem, Problem::TOO_LARGE),
                Ok(None) => assert!(head.is_empty(), "a rewritten head is whole"),
            }
        }
        1 => {
            let framing = if mode & 4 == 0 { Framing::Chunked } else { Framing::Length(step as u64 * 7) };
            assert_eq!(track(framing, input, step), track(framing, input, usize::MAX));
        }
        _ => {
            let whole = rewrite(input, usize::MAX);
            assert_eq!(rewrite(input, step), whole);
            if let Some((out, _, true)) = whole {
                assert!(out.ends_with(b"Connection: close\r\n\r\n"));
                assert_eq!(
                    rewrite(&out, 5).map(|(again, ..)| again.len()),
                    Some(out.len()),
                    "rewriting settles at once"
                );
            }
        }
    }
}

fn payloads(input: &[u8], step: usize) -> (Vec<Vec<u8>>, bool, bool) {
    let mut decoder = capsule::Decoder::new();
    let mut found = Vec::new();
    for chunk in input.chunks(step) {
        let mut on = |datagram: capsule::Datagram| {
            assert!(datagram.bytes(chunk).len() <= capsule::MAX_UDP_PAYLOAD);
            found.push(datagram.bytes(chunk).to_vec());
        };
        if decoder.feed(chunk, &mut on).is_err() {
            return (found, true, false);
        }
    }
    (found, false, decoder.finish().is_ok())
}

/// Capsules, their integers, and the path of CONNECT-UDP.
pub fn capsule(data: &[u8]) {
    let Some((mode, step, input)) = plan(data) else { return };
    if mode % 4 == 3 {
        if let Some((host, port)) = capsule::parse_udp_path(input) {
            assert_eq!(capsule::parse_udp_path(capsule::udp_path(&host, port).as_bytes()), Some((host, port)));
        }
        return;
    }
    let whole = payloads(input, usize::MAX);
    assert_eq!(payloads(input, step), whole);
    let mut again = Vec::new();
    for payload in &whole.0 {
        assert!(capsule::encode_datagram(payload, &mut again).is_ok());
    }
    assert_eq!(payloads(&again, step), (whole.0, false, true));
    if let Some((value, used)) = varint::decode(input) {
        let mut shortest = Vec::new();
        assert!(varint::encode(value, &mut shortest).is_ok() && shortest.len() <= used);
        assert_eq!(varint::decode(&shortest), Some((value, shortest.len())));
    }
}

fn unpad(input: &[u8], step: usize) -> (Vec<u8>, bool, bool) {
    let mut decoder = padding::Decoder::new();
    let mut data = Vec::new();
    for chunk in input.chunks(step) {
        let mut last = 0;
        decoder.feed(chunk, &mut |range| {
            assert!(range.start >= last && range.start < range.end, "ranges go forward and are not empty");
            last = range.end;
            data.extend_from_slice(chunk.get(range).unwrap_or_default());
        });
    }
    (data, decoder.is_raw(), decoder.finish().is_ok())
}

/// Padding: framing, negotiation, and the header field.
pub fn padding(data: &[u8]) {
    let Some((mode, step, input)) = plan(data) else { return };
    if mode % 4 == 3 {
        let ours = [Kind::FIRST_EIGHT, Kind::NONE];
        let picked = padding::choose(Some(b"~"), Some(input), &ours);
        assert!(ours.contains(&picked));
        if let Ok(kind) = padding::chosen(Some(b"~"), Some(input), &ours) {
            assert!(ours.contains(&kind));
        }
        if let Some(random) = input.first_chunk() {
            let length = padding::header_value(if mode & 4 == 0 { Side::Request } else { Side::Reply }, *random).len();
            assert!((16..=61).contains(&length));
        }
        return;
    }
    assert_eq!(unpad(input, step), unpad(input, usize::MAX));
    let mut encoder = padding::Encoder::new();
    let mut wire = Vec::new();
    for write in input.chunks(step) {
        encoder.encode(write, &mut || mode, &mut wire);
    }
    assert_eq!(unpad(&wire, step), (input.to_vec(), encoder.is_raw(), true), "what was padded is read back");
}
