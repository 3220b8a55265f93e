//! REALITY's two parsers of strangers' bytes: the judge of hellos, and the reader of a cover's flight.

use std::sync::OnceLock;

use super::Sevens;
use crate::groups::Offer;
use crate::hello::plain::Plain;
use crate::hello::{Ask, Author};
use crate::names::{content, group};
use crate::reality::answer::{Manners, Server};
use crate::reality::flight::{Flight, Read};
use crate::reality::server::{Friend, Keys, Verdict, judge};
use crate::reality::{AuthKey, Identity, Stamp};
use crate::record;

/// The clock of all runs.
const NOW: u64 = 1_795_305_600;

struct World {
    keys: Keys,
    friend: Box<Friend>,
    identity: Identity,
}

/// A hello that is the same on every run, so that a flight in the corpus answers it.
fn world() -> Option<World> {
    let keys = Keys::new(&[9; 32], vec!["example.org".into()], vec![[0; 8]], 120).ok()?;
    let ask = Ask { name: "example.org", now: 0, ticket: None, random: &Sevens };
    let plain = Plain { shares: vec![group::X25519], ..Plain::default() };
    let mut hello = plain.hello(&ask).ok()?;
    let own = Offer::from_private(group::X25519, &[8; 32]).ok()?;
    let old = hello.shares.first()?.public().to_vec();
    let at = hello.message.windows(old.len()).position(|window| window == old)?;
    hello.message.get_mut(at..at.checked_add(old.len())?)?.copy_from_slice(own.public());
    let shared = own.agree_x25519(&keys.public().ok()?).ok()?;
    let stamp = Stamp { version: [1, 2, 3], time: u32::try_from(NOW).ok()?, short_id: [0; 8] };
    AuthKey::derive(&shared, &hello.offered.random).ok()?.seal(&mut hello.message, &stamp).ok()?;
    let mut wire = Vec::new();
    record::plain(content::HANDSHAKE, 0x0301, &hello.message, &mut wire);
    let Verdict::Friend(friend) = judge(&wire, &keys, NOW) else { return None };
    Some(World { keys, friend, identity: Identity::generate(None).ok()? })
}

/// Lengths of all records; none where they do not end together.
fn lengths(mut bytes: &[u8]) -> Option<Vec<(u8, usize)>> {
    let mut all = Vec::new();
    // The legacy version of a record before there are keys is the cover's business.
    while let Some(header) = record::header(bytes, bytes.first() == Some(&content::APPLICATION_DATA)).ok()? {
        all.push((header.kind, header.wire()));
        bytes = bytes.get(header.wire()..)?;
    }
    bytes.is_empty().then_some(all)
}

/// The first byte chooses: a stranger's first bytes, or a cover's, its flight of unknown or of a known number of
/// records.
pub fn reality(data: &[u8]) {
    static WORLD: OnceLock<Option<World>> = OnceLock::new();
    let world = WORLD.get_or_init(world).as_ref();
    assert!(world.is_some(), "a hello in order makes a friend");
    let (Some(world), Some((first, rest))) = (world, data.split_first()) else { return };
    if first % 2 == 0 {
        if let Verdict::Friend(friend) = judge(rest, &world.keys, NOW) {
            // Only the one hello opens, however it is cut into records.
            assert_eq!(friend.session_id, world.friend.session_id, "nobody else has the key");
        }
        return;
    }
    let known = match first >> 1 {
        0 => None,
        n => Some(usize::from(n % 8)),
    };
    let Read::Flight(flight) = Flight::read(rest, &world.friend, known) else { return };
    let Ok((_, out)) = Server::new(&world.friend, &flight, &world.identity, &Manners::default()) else { return };
    assert_eq!(lengths(&out), lengths(rest), "an answer has its cover's lengths");
}
