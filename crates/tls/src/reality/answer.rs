//! The handshake with a friend, in the shape of the cover's: its ServerHello with our key, and protected records of
//! its lengths, filled with our messages and padding (RFC 8446 section 5.4).

use std::sync::Arc;

use super::certificate::Identity;
use super::flight::{Flight, MESSAGES};
use super::server::Friend;
use crate::channel::{Channel, MaxIdle};
use crate::error::{Error, LocalError};
use crate::messages::certificate::{self as certs, Certificate};
use crate::messages::encrypted::EncryptedExtensions;
use crate::names::{content, message, scheme, version};
use crate::record::{self, HEAD, Protection, TAIL};
use crate::schedule::Early;
use crate::server::{self, WaitFinish};
use crate::transcript::Transcript;
use crate::{Connected, Facts, Progress, codec, groups};

/// How the cover behaves besides its flight.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manners {
    /// Lengths on the wire of the records that it sends right after a handshake.
    pub after: Vec<usize>,
    /// How many dummy ChangeCipherSpec records it takes in a row; none where it takes any number.
    pub specs: Option<u32>,
}

impl Default for Manners {
    /// Of a cover that nothing was learned of yet: no records, and the limit that most servers have.
    fn default() -> Self {
        Self { after: Vec::new(), specs: Some(32) }
    }
}

/// A friend's handshake, our flight being out.
#[derive(Debug)]
pub struct Server {
    inner: server::Server,
    after: Vec<usize>,
}

impl Server {
    /// Answers: a handshake, and the bytes to send. Nothing was sent before, so where this fails the connection can
    /// still be the cover's.
    ///
    /// # Errors
    /// [`LocalError::Room`] where our messages do not fit into the cover's records; [`Error::Remote`] where the
    /// client's share is no share.
    pub fn new(
        friend: &Friend,
        flight: &Flight,
        identity: &Identity,
        manners: &Manners,
    ) -> Result<(Self, Vec<u8>), Error> {
        const NONE: LocalError = LocalError::Crypto("the ServerHello");
        let share = friend.shares.iter().find(|(group, _)| *group == flight.group).ok_or(NONE)?;
        let (own, shared) = groups::respond(flight.group, &share.1)?;
        let answer = flight.hello_with(&own).ok_or(NONE)?;
        let hash = flight.suite.hash();
        let mut transcript = Transcript::new(hash, &friend.hello);
        transcript.add(&answer);
        let handshake = Early::new(hash, None).handshake(&shared)?;
        let value = transcript.value();
        let (client, server) = (handshake.client_traffic(&value)?, handshake.server_traffic(&value)?);

        let leaf = identity.leaf(&friend.key, &friend.hello, &answer)?;
        let extensions = EncryptedExtensions::default().write()?;
        transcript.add(&extensions);
        let certificate = Certificate { chain: vec![leaf], ocsp: Vec::new(), ..Certificate::default() }.write()?;
        transcript.add(&certificate);
        let signed = certs::signed(&transcript.value());
        let verify = certs::write_verify(scheme::ED25519, &identity.config().key.sign(scheme::ED25519, &signed)?)?;
        transcript.add(&verify);
        let tag = server.finished(&transcript.value())?;
        let finished = codec::message(message::FINISHED, |w| w.put(tag.as_ref()))?;
        transcript.add(&finished);

        let mut keys = Protection::new(flight.suite, server)?;
        let mut out = Vec::new();
        record::plain(content::HANDSHAKE, version::TLS12, &answer, &mut out);
        record::change_cipher_spec(&mut out);
        for (piece, wire) in cut(&[extensions, certificate, verify, finished], &flight.records)? {
            keys.append_as_long(content::HANDSHAKE, &piece, wire, &mut out)?;
        }

        let mut channel = Channel::default();
        channel.spec_allowed = true;
        channel.empties.bear(MaxIdle(manners.specs));
        channel.change_read(Protection::new(flight.suite, client.clone())?)?;
        let facts = Facts {
            suite: flight.suite,
            group: flight.group,
            alpn: None,
            alps: None,
            chain: Vec::new(),
            resumed: false,
            retried: false,
            scheme: Some(scheme::ED25519),
            name: Some(friend.server_name.clone().into_bytes()),
        };
        let stage = WaitFinish::new(handshake.master()?, client, transcript, facts, &mut channel, (None, None))?;
        // Behind our Finished, and so under the application's keys already.
        for wire in &flight.more {
            let keys = channel.write.as_mut().ok_or(NONE)?;
            keys.append_as_long(content::APPLICATION_DATA, &[], *wire, &mut out)?;
        }
        let inner = server::Server::waiting(Arc::clone(identity.config()), channel, stage);
        Ok((Self { inner, after: manners.after.clone() }, out))
    }

    /// As [`server::Server::step`]; when the client's Finished is there, the records that the cover would send now
    /// are in `out`.
    ///
    /// # Errors
    /// Any [`Error`]; the handshake is over then, and the alert is in `out`.
    pub fn step(&mut self, input: &mut Vec<u8>, out: &mut Vec<u8>) -> Result<Progress, Error> {
        let progress = self.inner.step(input, out)?;
        if let Some(traffic) = self.inner.traffic() {
            for wire in std::mem::take(&mut self.after) {
                traffic.queue_empty(wire)?;
            }
            out.append(traffic.pending());
        }
        Ok(progress)
    }

    /// The second stage; only after [`Progress::Done`].
    ///
    /// # Errors
    /// [`LocalError::State`] when called too early.
    pub fn finish(self) -> Result<Connected, LocalError> {
        self.inner.finish()
    }
}

/// The messages, one a record where the cover has as many records as there are messages; else one stream of them, in
/// records that are each as full as leaves a byte for every later one (an empty record is no handshake record, RFC
/// 8446 section 5.1).
fn cut(messages: &[Vec<u8>; MESSAGES], records: &[usize]) -> Result<Vec<(Vec<u8>, usize)>, LocalError> {
    let room = |wire: usize| wire.checked_sub(HEAD + TAIL).filter(|room| *room > 0).ok_or(LocalError::Room);
    if records.len() == MESSAGES {
        let pairs = messages.iter().zip(records);
        return pairs
            .map(
                |(bytes, wire)| {
                    if bytes.len() > room(*wire)? { Err(LocalError::Room) } else { Ok((bytes.clone(), *wire)) }
                },
            )
            .collect();
    }
    let all = messages.concat();
    let mut rest = all.as_slice();
    let mut pieces = Vec::new();
    for (index, wire) in records.iter().enumerate() {
        let later = records.len().saturating_sub(index).saturating_sub(1);
        let most = rest.len().checked_sub(later).ok_or(LocalError::Room)?;
        let (now, after) = rest.split_at_checked(room(*wire)?.min(most)).ok_or(LocalError::Room)?;
        pieces.push((now.to_vec(), *wire));
        rest = after;
    }
    if rest.is_empty() { Ok(pieces) } else { Err(LocalError::Room) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_cut_for_the_covers_records() {
        let messages = [vec![1; 6], vec![2; 200], vec![3; 72], vec![4; 36]];
        let sizes = |records: &[usize]| {
            cut(&messages, records).map(|pieces| pieces.iter().map(|(piece, _)| piece.len()).collect::<Vec<_>>())
        };
        assert_eq!(sizes(&[28, 222, 94, 58]), Ok(vec![6, 200, 72, 36]));
        for short in [[27, 222, 94, 58], [28, 221, 94, 58], [28, 222, 93, 58], [28, 222, 94, 57]] {
            assert_eq!(sizes(&short), Err(LocalError::Room));
        }
        assert_eq!(sizes(&[336]), Ok(vec![314]));
        assert_eq!(sizes(&[335]), Err(LocalError::Room));
        // Two records: the first takes what it can, the second the rest; and always a byte for the second.
        assert_eq!(sizes(&[122, 400]), Ok(vec![100, 214]));
        assert_eq!(sizes(&[2_000, 40]), Ok(vec![313, 1]));
        assert_eq!(sizes(&[22, 2_000]), Err(LocalError::Room));
        assert_eq!(sizes(&[0]), Err(LocalError::Room));
        assert_eq!(sizes(&[]), Err(LocalError::Room));
    }
}
