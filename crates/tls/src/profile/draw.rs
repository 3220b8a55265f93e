//! Everything random about one hello, decided.

use super::random;
use super::schema::{Body, Browser, Grease, Hello, Number, Share};
use crate::codec::Writer;
use crate::error::LocalError;
use crate::groups::Offer;
use crate::hello::Random;
use crate::names::group;

const UNKNOWN: LocalError = LocalError::Config("a GREASE variable of the profile is not known");

/// One extension of one hello, all but its bytes.
#[derive(Debug)]
pub(super) enum Part {
    Bytes(Vec<u8>),
    ServerName,
    Numbers { prefix: u8, values: Vec<u16> },
    KeyShare(Vec<Key>),
    Padding { above: usize, to: usize },
}

/// A key share: the number of its offer, or its bytes.
#[derive(Debug)]
pub(super) enum Key {
    Real(usize),
    Bytes(u16, Vec<u8>),
}

/// The decisions behind one hello. The private keys in `shares` belong to it.
#[derive(Debug)]
pub struct Drawn {
    pub random: [u8; 32],
    pub session_id: Vec<u8>,
    pub shares: Vec<Offer>,
    pub(super) version: u16,
    pub(super) compression: Vec<u8>,
    pub(super) ciphers: Vec<u16>,
    pub(super) extensions: Vec<(u16, Part)>,
    /// Extensions that are left out with a ticket; none where tickets are not offered at all.
    pub(super) resuming: Option<Vec<u16>>,
}

impl Browser {
    /// Draws one hello as this browser would open a connection for which it has no ticket.
    ///
    /// # Errors
    /// [`LocalError::Config`] where the profile wants a share of a group the engine cannot run, and those of the
    /// machine.
    pub fn draw(&self, random: &dyn Random) -> Result<Drawn, LocalError> {
        let hello = &self.hello;
        let grease = Values::draw(hello, random)?;
        let mut drawn = Drawn {
            random: [0; 32],
            session_id: random::bytes(random, usize::from(hello.session_id))?,
            shares: Vec::new(),
            version: hello.version,
            compression: hello.compression.clone(),
            ciphers: grease.all(&hello.ciphers)?,
            extensions: Vec::with_capacity(hello.extensions.len()),
            resuming: match &self.resumption {
                Some(habit) => (habit.identities > 0).then(|| habit.removed.clone()),
                None => Some(Vec::new()),
            },
        };
        random.fill(&mut drawn.random)?;
        for index in order(hello, random)? {
            let Some(extension) = hello.extensions.get(index) else { continue };
            let part = match &extension.body {
                Body::Fixed { body } => Part::Bytes(body.clone()),
                Body::Choice { bodies } => {
                    let index = random::weighted(random, bodies.iter().map(|one| one.weight))?;
                    Part::Bytes(bodies.get(index).map(|one| one.body.clone()).unwrap_or_default())
                }
                Body::ServerName {} => Part::ServerName,
                Body::Numbers { prefix, values } => Part::Numbers { prefix: *prefix, values: grease.all(values)? },
                Body::KeyShare { shares, one_x25519 } => {
                    Part::KeyShare(keys(shares, *one_x25519, &grease, &mut drawn.shares)?)
                }
                Body::EchGrease { suites, key, x25519, payloads } => {
                    let suite = random::weighted(random, suites.iter().map(|one| one.weight))?;
                    let payload = random::weighted(random, payloads.iter().map(|one| one.weight))?;
                    let suite = suites.get(suite).map_or((0, 0), |suite| (suite.kdf, suite.aead));
                    let payload = payloads.get(payload).map_or(0, |payload| payload.length);
                    let key = if *x25519 {
                        Offer::generate(group::X25519)?.public().to_vec()
                    } else {
                        random::bytes(random, usize::from(*key))?
                    };
                    Part::Bytes(outer_hello(random, suite, &key, payload)?)
                }
                Body::Padding { above, to } => Part::Padding { above: usize::from(*above), to: usize::from(*to) },
            };
            drawn.extensions.push((grease.one(&extension.number)?, part));
        }
        Ok(drawn)
    }
}

/// The hello's GREASE values by name.
struct Values<'a>(Vec<(&'a str, u16)>);

impl<'a> Values<'a> {
    fn draw(hello: &'a Hello, random: &dyn Random) -> Result<Self, LocalError> {
        let mut made = Self(Vec::with_capacity(hello.grease.len()));
        for Grease { name, unlike, flip } in &hello.grease {
            let other = unlike.as_ref().map(|name| made.named(name)).transpose()?;
            let mut value = grease(random)?;
            while Some(value) == other {
                value = if *flip == 0 { grease(random)? } else { value ^ flip };
            }
            made.0.push((name, value));
        }
        Ok(made)
    }

    fn named(&self, name: &str) -> Result<u16, LocalError> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| *value).ok_or(UNKNOWN)
    }

    fn one(&self, number: &Number) -> Result<u16, LocalError> {
        match number {
            Number::Registered(value) => Ok(*value),
            Number::Grease(name) => self.named(name),
        }
    }

    fn all(&self, numbers: &[Number]) -> Result<Vec<u16>, LocalError> {
        numbers.iter().map(|number| self.one(number)).collect()
    }
}

/// One of the sixteen values of RFC 8701 section 2: `0x0a0a`, `0x1a1a`, … `0xfafa`.
fn grease(random: &dyn Random) -> Result<u16, LocalError> {
    let high = u16::try_from(random::below(random, 16)?).unwrap_or(0);
    Ok(high << 12 | high << 4 | 0x0a0a)
}

/// Which extensions the hello has, in its order: runs of shuffled neighbours are put in a random one.
fn order(hello: &Hello, random: &dyn Random) -> Result<Vec<usize>, LocalError> {
    let mut order = Vec::with_capacity(hello.extensions.len());
    let mut run = Vec::new();
    for (index, extension) in hello.extensions.iter().enumerate() {
        if !extension.shuffle {
            random::shuffle(random, &mut run)?;
            order.append(&mut run);
        }
        let there = match extension.share {
            None => true,
            Some(share) => f64::from(random::number(random)?) / f64::from(u32::MAX) < share,
        };
        match (there, extension.shuffle) {
            (true, true) => run.push(index),
            (true, false) => order.push(index),
            (false, _) => {}
        }
    }
    random::shuffle(random, &mut run)?;
    order.append(&mut run);
    Ok(order)
}

fn keys(
    shares: &[Share],
    one_x25519: bool,
    grease: &Values<'_>,
    offers: &mut Vec<Offer>,
) -> Result<Vec<Key>, LocalError> {
    let mut keys = Vec::with_capacity(shares.len());
    for share in shares {
        let number = grease.one(&share.group)?;
        if let Some(body) = &share.body {
            keys.push(Key::Bytes(number, body.clone()));
        } else {
            keys.push(Key::Real(offers.len()));
            let hybrid = offers.iter().find(|offer| one_x25519 && offer.group() == group::X25519MLKEM768);
            offers.push(match hybrid {
                Some(hybrid) if number == group::X25519 => hybrid.x25519_half()?,
                _ => Offer::generate(number)?,
            });
        }
    }
    Ok(keys)
}

/// The outer hello of RFC 9849 section 5, as 6.2 wants it for GREASE: a random id and a random payload.
fn outer_hello(random: &dyn Random, suite: (u16, u16), key: &[u8], payload: u16) -> Result<Vec<u8>, LocalError> {
    let id = random::bytes(random, 1)?;
    let payload = random::bytes(random, usize::from(payload))?;
    let mut made = Writer::new();
    made.u8(0);
    made.u16(suite.0);
    made.u16(suite.1);
    made.put(&id);
    made.vec16(|w| w.put(key));
    made.vec16(|w| w.put(&payload));
    made.done()
}
