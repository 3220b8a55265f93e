//! The server's judgement of a hello: friend or stranger. It sends nothing, and says nothing of why.
//!
//! Every condition is looked at for every hello that can be parsed, whatever came before: a stranger costs what a
//! friend costs, up to the friend's own handshake.

use aws_lc_rs::agreement::{self, PrivateKey, UnparsedPublicKey, X25519};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use zeroize::Zeroizing;

use super::auth::{self, AuthKey, SESSION_ID, Stamp};
use super::shape::Alpn;
use crate::channel::{Joiner, MAX_MESSAGE};
use crate::error::LocalError;
use crate::hello::{ClientHello, Offered};
use crate::names::{content, message, version};
use crate::record;

pub use super::answer::Server;
pub use super::flight::{Flight, Read};

/// What comes before a hello is whole: one message in the smallest records that make sense. Past it, it is no
/// browser's.
pub const MAX_HELLO: usize = 2 * MAX_MESSAGE;

/// The base point (RFC 7748 section 4.1): agreed with where a hello has no share, so that no step is left out.
const BASE: [u8; 32] = [9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// What a server knows, and whom it takes.
pub struct Keys {
    private: PrivateKey,
    /// Exactly these, byte for byte.
    pub server_names: Vec<String>,
    /// Padded with zeros at the end.
    pub short_ids: Vec<[u8; 8]>,
    /// Seconds that a client's clock may differ, both ways.
    pub max_skew_s: u64,
    /// The oldest and newest version that is taken.
    pub versions: ([u8; 3], [u8; 3]),
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("reality::server::Keys(..)")
    }
}

impl Keys {
    /// # Errors
    /// [`LocalError::Config`] where the private key is none.
    pub fn new(
        private: &[u8; 32],
        server_names: Vec<String>,
        short_ids: Vec<[u8; 8]>,
        max_skew_s: u64,
    ) -> Result<Self, LocalError> {
        let private = PrivateKey::from_private_key(&X25519, private)
            .map_err(|_| LocalError::Config("not an X25519 private key"))?;
        Ok(Self { private, server_names, short_ids, max_skew_s, versions: ([0; 3], [255; 3]) })
    }

    /// The public half, which clients are given.
    ///
    /// # Errors
    /// [`LocalError::Crypto`].
    pub fn public(&self) -> Result<[u8; 32], LocalError> {
        const FAILED: LocalError = LocalError::Crypto("public key");
        let public = self.private.compute_public_key().map_err(|_| FAILED)?;
        public.as_ref().try_into().map_err(|_| FAILED)
    }
}

/// Who speaks.
#[derive(Debug)]
pub enum Verdict {
    /// The hello is not whole yet.
    More,
    /// Not a friend, or not TLS at all: the cover's.
    Stranger,
    Friend(Box<Friend>),
}

/// A hello that authenticated, and what its answer needs.
#[derive(Debug)]
pub struct Friend {
    /// Unique to a hello: what a filter of replays is keyed on.
    pub session_id: [u8; SESSION_ID],
    pub stamp: Stamp,
    pub server_name: String,
    /// The client's application protocols, as far as a cover's habits depend on them.
    pub alpn: Alpn,
    /// Bytes of the input that the hello took.
    pub taken: usize,
    /// The message, header included.
    pub(crate) hello: Vec<u8>,
    pub(crate) offered: Offered,
    pub(crate) shares: Vec<(u16, Vec<u8>)>,
    pub(crate) key: AuthKey,
}

/// The first message of a connection, if it is a hello: as it came in its records, and where it ended.
enum First {
    More,
    Other,
    Hello(Vec<u8>, usize),
}

fn first(input: &[u8]) -> First {
    let (mut joiner, mut at) = (Joiner::default(), 0_usize);
    loop {
        let rest = input.get(at..).unwrap_or_default();
        let header = match record::header(rest, false) {
            Err(_) => return First::Other,
            Ok(None) if rest.first().is_some_and(|kind| *kind != content::HANDSHAKE) => return First::Other,
            Ok(None) => return First::More,
            Ok(Some(header)) => header,
        };
        if header.kind != content::HANDSHAKE || header.length == 0 || at.saturating_add(header.wire()) > MAX_HELLO {
            return First::Other;
        }
        // What is there of the body is enough to see that it is no hello.
        let body = rest.get(record::HEAD..header.wire().min(rest.len())).unwrap_or_default();
        if at == 0 && body.first().is_some_and(|kind| *kind != message::CLIENT_HELLO) {
            return First::Other;
        }
        if body.len() < header.length {
            return First::More;
        }
        joiner.push(body);
        at = at.saturating_add(header.wire());
        match joiner.next() {
            Err(_) => return First::Other,
            Ok(Some(_)) if !joiner.is_empty() => return First::Other,
            Ok(Some(hello)) => return First::Hello(hello, at),
            Ok(None) => {}
        }
    }
}

/// Judges the first bytes of a connection; `now_s` is seconds since 1970. It is asked again with more bytes.
#[must_use]
pub fn judge(input: &[u8], keys: &Keys, now_s: u64) -> Verdict {
    match first(input) {
        First::More if input.len() > MAX_HELLO => Verdict::Stranger,
        First::More => Verdict::More,
        First::Other => Verdict::Stranger,
        First::Hello(hello, taken) => {
            friend(hello, taken, keys, now_s).map_or(Verdict::Stranger, |friend| Verdict::Friend(Box::new(friend)))
        }
    }
}

fn friend(message: Vec<u8>, taken: usize, keys: &Keys, now_s: u64) -> Option<Friend> {
    let hello = ClientHello::parse(&message).ok()?;
    let offered = Offered::of(&hello).ok()?;
    let shares = hello.shares().ok()?.unwrap_or_default();
    let name = hello.server_name().ok()?.unwrap_or_default();
    let session_id = <[u8; SESSION_ID]>::try_from(hello.session_id).ok();

    let versions = offered.versions.contains(&version::TLS13);
    let named = keys.server_names.iter().fold(false, |found, known| found | (known.as_bytes() == name));
    let share = auth::their_share(&shares);
    let shared = agree(&keys.private, &share.unwrap_or(BASE));
    let key = AuthKey::derive(shared.as_ref().map_or(&[0; 32], |shared| &**shared), &hello.random).ok()?;
    let opened = key.open(&message);
    let stamp = opened.unwrap_or(Stamp { version: [0; 3], time: 0, short_id: [0; 8] });
    let (least, most) = keys.versions;
    let recent = (least..=most).contains(&stamp.version);
    let timely = now_s.abs_diff(u64::from(stamp.time)) <= keys.max_skew_s;
    let known = |id: &[u8; 8]| verify_slices_are_equal(id, &stamp.short_id).is_ok();
    let short = keys.short_ids.iter().fold(false, |found, id| found | known(id));

    let taken_in = versions & named & share.is_some() & shared.is_some() & opened.is_some() & recent & timely & short;
    let session_id = session_id.filter(|_| taken_in)?;
    let shares = shares.iter().map(|(group, key)| (*group, key.to_vec())).collect();
    let server_name = String::from_utf8(name.to_vec()).ok()?;
    let alpn = Alpn::of(&offered);
    Some(Friend { session_id, stamp, server_name, alpn, taken, hello: message, offered, shares, key })
}

/// None where the result is all zeros (RFC 7748 section 6.1).
fn agree(private: &PrivateKey, theirs: &[u8; 32]) -> Option<Zeroizing<[u8; 32]>> {
    let peer = UnparsedPublicKey::new(&X25519, theirs);
    agreement::agree(private, peer, (), |secret| secret.try_into().map(Zeroizing::new).map_err(|_| ())).ok()
}
