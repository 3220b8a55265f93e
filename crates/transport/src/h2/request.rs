//! The words of the conversation: what a tunnel's request and answer say in header fields.
//!
//! Streams are opened as NaiveProxy does (CONNECT with only `:method` and `:authority`, credentials sent at once,
//! padding negotiated in the same fields), datagrams as RFC 9298 over RFC 8441. What went wrong behind the edge is told
//! by `proxy-status` (RFC 9209), and only to who authenticated: everybody else gets the cover.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rozaneh_wire::h2::{Field, find, status};
use rozaneh_wire::padding::{self, Kind};

use crate::next::Refusal;
use crate::target::Target;

/// Padding types both of our ends speak, best first.
const KINDS: [Kind; 2] = [Kind::FIRST_EIGHT, Kind::NONE];
/// `user:password` for `proxy-authorization` (RFC 7617), encoded once a way.
#[derive(Clone)]
pub struct Credentials(String);

impl Credentials {
    #[must_use]
    pub fn new(user: &str, password: &str) -> Self {
        Self(format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))))
    }

    fn field(&self) -> Field {
        Field::sensitive("proxy-authorization", self.0.clone())
    }
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credentials(…)")
    }
}

/// Twelve bytes of randomness for a `padding` field.
fn random() -> [u8; 12] {
    let mut bytes = [0; 12];
    // Padding only varies lengths: should randomness fail, a constant is no secret told.
    let _ = aws_lc_rs::rand::fill(&mut bytes);
    bytes
}

/// CONNECT to `target`. `fast`: payload may follow at once, since this server's padding type is known.
pub(crate) fn connect(target: &Target, credentials: &Credentials, fast: bool) -> Vec<Field> {
    let mut fields = vec![
        Field::new(":method", "CONNECT"),
        Field::sensitive(":authority", target.authority()),
        credentials.field(),
        Field::sensitive(padding::field::PADDING, padding::header_value(padding::Side::Request, random())),
        Field::new(padding::field::TYPE_REQUEST, padding::print_offer(&KINDS)),
    ];
    if fast {
        fields.push(Field::new(padding::field::FASTOPEN, "1"));
    }
    fields
}

/// Extended CONNECT for datagrams to `target` (RFC 9298 section 3.4); `authority` is the edge's own name.
pub(crate) fn connect_udp(target: &Target, authority: &str, credentials: &Credentials) -> Vec<Field> {
    let (host, port) = match target {
        Target::Name(name, port) => (name.clone(), *port),
        Target::Addr(addr) => (addr.ip().to_string(), addr.port()),
    };
    vec![
        Field::new(":method", "CONNECT"),
        Field::new(":protocol", "connect-udp"),
        Field::new(":scheme", "https"),
        Field::sensitive(":path", rozaneh_wire::capsule::udp_path(&host, port)),
        Field::new(":authority", authority.to_owned()),
        Field::new("capsule-protocol", "?1"),
        credentials.field(),
    ]
}

/// What the edge answered.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The tunnel stands, padded like this.
    Open(Kind),
    /// The edge knows us and cannot or will not reach the destination.
    Refused(Refusal),
    /// Whoever answered does not know us: a cover, or another site.
    Stranger,
}

/// Reads the answer to one of the requests above.
pub(crate) fn answer(fields: &[Field]) -> Answer {
    match status(fields) {
        Some(200..=299) => {
            let reply = find(fields, padding::field::TYPE_REPLY);
            match padding::chosen(find(fields, padding::field::PADDING), reply, &KINDS) {
                Ok(kind) => Answer::Open(kind),
                Err(_) => Answer::Stranger,
            }
        }
        _ => match find(fields, "proxy-status") {
            Some(text) => Answer::Refused(parse_status(text)),
            None => Answer::Stranger,
        },
    }
}

/// The errors of RFC 9209 section 2.3 that stand for our refusals.
const STATUS: [(Refusal, &str, &str); 8] = [
    (Refusal::Policy, "403", "edge; error=destination_ip_prohibited"),
    (Refusal::Name, "502", "edge; error=dns_error"),
    (Refusal::Unreachable, "502", "edge; error=destination_ip_unroutable"),
    (Refusal::Refused, "502", "edge; error=connection_refused"),
    (Refusal::Timeout, "504", "edge; error=connection_timeout"),
    (Refusal::Busy, "503", "edge; error=connection_limit_reached"),
    (Refusal::Upstream, "502", "edge; error=destination_unavailable"),
    (Refusal::Failed, "500", "edge; error=proxy_internal_error"),
];

fn parse_status(text: &[u8]) -> Refusal {
    let known = STATUS.iter().find(|(_, _, ours)| ours.as_bytes() == text);
    known.map_or(Refusal::Failed, |(refusal, ..)| *refusal)
}

/// The edge's answer to a request it will not serve.
pub(crate) fn refusal(why: Refusal) -> Vec<Field> {
    let (status, text) =
        STATUS.iter().find(|(refusal, ..)| *refusal == why).map_or(("500", "edge"), |(_, status, text)| (status, text));
    vec![Field::new(":status", status), Field::new("proxy-status", text)]
}

/// The answer to who has no account, where no cover stands behind the edge (RFC 9110 section 15.5.8).
pub(crate) fn unknown() -> Vec<Field> {
    vec![Field::new(":status", "407"), Field::new("proxy-authenticate", "Basic realm=\"\"")]
}

/// The edge's answer to CONNECT: the tunnel stands.
pub(crate) fn accepted(kind: Option<Kind>, date: Option<String>) -> Vec<Field> {
    let mut fields = vec![Field::new(":status", "200")];
    if let Some(kind) = kind {
        fields.push(Field::sensitive(padding::field::PADDING, padding::header_value(padding::Side::Reply, random())));
        fields.push(Field::new(padding::field::TYPE_REPLY, kind.0.to_string()));
    }
    fields.extend(date.map(|date| Field::new("date", date)));
    fields
}

/// The edge's answer to CONNECT-UDP.
pub(crate) fn accepted_udp() -> Vec<Field> {
    vec![Field::new(":status", "200"), Field::new("capsule-protocol", "?1")]
}

/// A request for a tunnel, as the edge reads it.
pub(crate) enum Tunnel {
    Stream { target: Target, padding: Option<Kind> },
    Datagrams { target: Target },
}

/// Whether this is a tunnel request at all, and a well-formed one.
pub(crate) fn tunnel(fields: &[Field]) -> Option<Tunnel> {
    if find(fields, ":method")? != b"CONNECT" {
        return None;
    }
    match find(fields, ":protocol") {
        None => {
            let target = Target::parse(std::str::from_utf8(find(fields, ":authority")?).ok()?)?;
            let offer = find(fields, padding::field::TYPE_REQUEST);
            let pads = find(fields, padding::field::PADDING);
            let padding = (pads.is_some() || offer.is_some()).then(|| padding::choose(pads, offer, &KINDS));
            Some(Tunnel::Stream { target, padding })
        }
        Some(b"connect-udp") => {
            let (host, port) = rozaneh_wire::capsule::parse_udp_path(find(fields, ":path")?)?;
            Some(Tunnel::Datagrams { target: Target::host(&host, port)? })
        }
        Some(_) => None,
    }
}

/// User and password of `proxy-authorization: Basic …`. The scheme's name is case-insensitive (RFC 9110 section 11.1).
pub(crate) fn credentials(fields: &[Field]) -> Option<(Vec<u8>, Vec<u8>)> {
    let value = find(fields, "proxy-authorization")?;
    let (scheme, encoded) = value.split_at_checked(6)?;
    if !scheme.eq_ignore_ascii_case(b"basic ") || encoded.len() > 1_024 {
        return None;
    }
    let mut user = STANDARD.decode(encoded.trim_ascii()).ok()?;
    let colon = user.iter().position(|&b| b == b':')?;
    let password = user.get(colon + 1..)?.to_vec();
    user.truncate(colon);
    Some((user, password))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_and_answer_agree() {
        let target = Target::parse("news.example:443").unwrap();
        let fields = connect(&target, &Credentials::new("u", "p:q"), true);
        assert_eq!(credentials(&fields), Some((b"u".to_vec(), b"p:q".to_vec())));
        let Some(Tunnel::Stream { target: seen, padding: Some(kind) }) = tunnel(&fields) else { panic!("no tunnel") };
        assert_eq!((seen, kind), (target.clone(), Kind::FIRST_EIGHT));
        assert_eq!(answer(&accepted(Some(kind), None)), Answer::Open(Kind::FIRST_EIGHT));
        assert_eq!(answer(&accepted(None, None)), Answer::Open(Kind::NONE));
        let udp = connect_udp(&target, "edge.example", &Credentials::new("u", "p"));
        assert!(matches!(tunnel(&udp), Some(Tunnel::Datagrams { target: seen }) if seen == target));
    }

    #[test]
    fn every_refusal_survives_the_way_back() {
        for (why, ..) in STATUS {
            assert_eq!(answer(&refusal(why)), Answer::Refused(why));
        }
        assert_eq!(answer(&[Field::new(":status", "400")]), Answer::Stranger);
        assert_eq!(answer(&unknown()), Answer::Stranger);
    }

    #[test]
    fn odd_credentials_are_no_credentials() {
        for bad in ["", "Basic", "Basic ", "Basic !!!!", "Basic dQ==", "Bearer dTpw", "Digest dTpw"] {
            assert_eq!(credentials(&[Field::new("proxy-authorization", bad)]), None, "{bad}");
        }
        assert!(credentials(&[Field::new("proxy-authorization", "bAsIc dTpw")]).is_some());
    }
}
