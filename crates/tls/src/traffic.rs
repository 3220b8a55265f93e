//! After the handshake: application data in the caller's buffers, and the messages that may still come (RFC 8446
//! section 4.6): tickets and key updates. The same for both sides; only a client takes tickets.

use std::ops::Range;

use crate::alert::{Alert, Heard, hear};
use crate::channel::{Empties, Joiner, MAX_CERTIFICATE, Warnings};
use crate::error::{Error, LocalError, RemoteError};
use crate::messages::ticket::NewSessionTicket;
use crate::names::{content, message};
use crate::record::{self, HEAD, MAX_PLAIN, Protection};
use crate::schedule::Secret;
use crate::suite::Suite;
use crate::ticket::Ticket;

/// Key updates in a row without any application data, as BoringSSL (kMaxKeyUpdates in ssl/tls13_both.cc).
const MAX_UPDATES: u32 = 32;
/// Longest message to a server: a key update (ssl_max_handshake_message_len in ssl/handshake.cc of BoringSSL).
const MAX_TO_SERVER: usize = 1;
/// Tickets that are kept for the caller; older ones are dropped. Servers send one or two.
const MAX_TICKETS: usize = 8;

/// One opened record.
#[derive(Debug, PartialEq, Eq)]
pub enum Opened {
    /// Application data at this place of the buffer; the record took `wire` bytes.
    Data { wire: usize, plain: Range<usize> },
    /// Nothing for the application; the record took `wire` bytes.
    Quiet { wire: usize },
    /// The peer said `close_notify`: an orderly end.
    Closed { wire: usize },
    /// The record is not complete yet.
    Partial,
}

/// What a client needs to make tickets out of messages.
pub(crate) struct Resumption {
    pub(crate) master: Secret,
    pub(crate) name: String,
    pub(crate) alpn: Option<Vec<u8>>,
}

/// How much padding a record of so much plaintext gets.
pub type Padding = Box<dyn FnMut(usize) -> usize + Send>;

/// Protection of both directions after a handshake.
pub struct Traffic {
    suite: Suite,
    send: Protection,
    receive: Protection,
    exporter: Secret,
    resumption: Option<Resumption>,
    tickets: Vec<(NewSessionTicket, Secret)>,
    messages: Joiner,
    pending: Vec<u8>,
    padding: Option<Padding>,
    empties: Empties,
    warnings: Warnings,
    updates: u32,
    /// Largest content of a record we send and accept (RFC 8449).
    max_send: usize,
    max_receive: usize,
    closed: bool,
}

impl std::fmt::Debug for Traffic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Traffic({:?})", self.suite)
    }
}

impl Traffic {
    pub(crate) fn new(suite: Suite, send: Protection, receive: Protection, exporter: Secret) -> Self {
        Self {
            suite,
            send,
            receive,
            exporter,
            resumption: None,
            tickets: Vec::new(),
            messages: Joiner::with_most(MAX_TO_SERVER),
            pending: Vec::new(),
            padding: None,
            empties: Empties::default(),
            warnings: Warnings::default(),
            updates: 0,
            max_send: MAX_PLAIN,
            max_receive: MAX_PLAIN,
            closed: false,
        }
    }

    pub(crate) fn with_resumption(mut self, resumption: Resumption) -> Self {
        self.resumption = Some(resumption);
        self.messages.most = MAX_CERTIFICATE;
        self
    }

    /// RFC 8449 section 4: the limit counts the content type, and what one side sends binds the other.
    pub(crate) fn with_limits(mut self, ours: Option<usize>, theirs: Option<usize>) -> Self {
        let content = |limit: Option<usize>| limit.map_or(MAX_PLAIN, |n| n.saturating_sub(1).min(MAX_PLAIN));
        (self.max_receive, self.max_send) = (content(ours), content(theirs));
        self
    }

    /// Largest plaintext that [`Traffic::seal`] takes.
    #[must_use]
    pub const fn max_plain(&self) -> usize {
        self.max_send
    }

    /// From now on every record is padded by what `padding` says for its length, as far as it fits.
    pub fn set_padding(&mut self, padding: Padding) {
        self.padding = Some(padding);
    }

    /// Opens the first record of `buffer` in place.
    ///
    /// # Errors
    /// Any [`Error`]; [`Traffic::pending`] then holds the alert, and the connection is over.
    pub fn open(&mut self, buffer: &mut [u8]) -> Result<Opened, Error> {
        self.try_open(buffer).inspect_err(|error| {
            if let Some(alert) = error.due() {
                self.say(alert);
            }
            self.closed = true;
        })
    }

    fn try_open(&mut self, buffer: &mut [u8]) -> Result<Opened, Error> {
        let Some(header) = record::header(buffer, true)? else { return Ok(Opened::Partial) };
        let wire = header.wire();
        let Some(bytes) = buffer.get_mut(..wire) else { return Ok(Opened::Partial) };
        let (kind, length) = self.receive.open(bytes)?;
        if length > self.max_receive {
            return Err(RemoteError::new(Alert::RECORD_OVERFLOW, "longer than the record size limit").into());
        }
        let end = HEAD.saturating_add(length);
        let body = bytes.get(HEAD..end).unwrap_or_default();
        self.empties.see(body)?;
        if kind == content::ALERT {
            return match hear(body, true)? {
                Heard::Close => Ok(Opened::Closed { wire }),
                Heard::Warning => Ok(self.warnings.one().map(|()| Opened::Quiet { wire })?),
            };
        }
        if kind != content::HANDSHAKE && !self.messages.is_empty() {
            // Section 5.1: handshake messages are not interleaved with other records.
            return Err(RemoteError::unexpected("a record inside a message").into());
        }
        self.warnings.over();
        match kind {
            content::APPLICATION_DATA if length > 0 => {
                self.updates = 0;
                Ok(Opened::Data { wire, plain: HEAD..end })
            }
            content::APPLICATION_DATA => Ok(Opened::Quiet { wire }),
            content::HANDSHAKE => {
                self.messages.push(body);
                self.post_handshake()?;
                Ok(Opened::Quiet { wire })
            }
            _ => Err(RemoteError::unexpected("a record of no use here").into()),
        }
    }

    fn post_handshake(&mut self) -> Result<(), Error> {
        while let Some(bytes) = self.messages.next()? {
            let body = bytes.get(4..).unwrap_or_default();
            match (bytes.first().copied().unwrap_or_default(), &self.resumption) {
                (message::KEY_UPDATE, _) => self.key_update(body)?,
                (message::NEW_SESSION_TICKET, Some(resumption)) => {
                    let ticket = NewSessionTicket::parse(body)?;
                    let psk = resumption.master.resumption(&ticket.nonce)?;
                    if self.tickets.len() >= MAX_TICKETS {
                        self.tickets.remove(0);
                    }
                    self.tickets.push((ticket, psk));
                }
                _ => return Err(RemoteError::unexpected("a message of no use after the handshake").into()),
            }
        }
        Ok(())
    }

    fn key_update(&mut self, body: &[u8]) -> Result<(), Error> {
        self.updates = self.updates.saturating_add(1);
        if self.updates > MAX_UPDATES {
            return Err(RemoteError::unexpected("too many key updates").into());
        }
        let asked = match *body {
            [0] => false,
            [1] => true,
            // Section 4.6.3 has illegal_parameter for another kind; BoringSSL does not tell it from a wrong length.
            _ => return Err(RemoteError::decode("key update of an unknown kind").into()),
        };
        if !self.messages.is_empty() {
            return Err(RemoteError::unexpected("a message across a key change").into());
        }
        self.receive.update()?;
        // One answer covers all requests that came before it goes out (section 4.6.3).
        if asked && !self.closed && self.pending.is_empty() {
            self.update_keys(false)?;
        }
        Ok(())
    }

    /// Changes our sending key; with `ask`, the peer's too. The message goes to [`Traffic::pending`].
    ///
    /// # Errors
    /// [`LocalError::State`] after close.
    pub fn update_keys(&mut self, ask: bool) -> Result<(), LocalError> {
        if self.closed {
            return Err(LocalError::State("closed"));
        }
        let update = [message::KEY_UPDATE, 0, 0, 1, u8::from(ask)];
        self.send.append(content::HANDSHAKE, &update, &mut self.pending)?;
        self.send.update()
    }

    /// Protects `room[HEAD..HEAD + len]` in place and returns the length of the record, which starts at `room[0]`.
    /// `room` has at least `HEAD + len + TAIL` bytes; padding takes what is beyond.
    ///
    /// # Errors
    /// [`LocalError`] where these are not given, or the connection is closed.
    pub fn seal(&mut self, room: &mut [u8], len: usize) -> Result<usize, LocalError> {
        if self.closed {
            return Err(LocalError::State("closed"));
        }
        if len > self.max_send {
            return Err(LocalError::Room);
        }
        let spare = room.len().saturating_sub(HEAD + record::TAIL).saturating_sub(len);
        let limit = self.max_send.saturating_sub(len).min(spare);
        let padding = self.padding.as_mut().map_or(0, |padding| padding(len).min(limit));
        let total = self.send.seal(content::APPLICATION_DATA, room, len, padding)?;
        if self.send.worn() {
            // The update goes to `pending`, which is sent before anything sealed later; it is sealed after this.
            self.update_keys(false)?;
        }
        Ok(total)
    }

    /// Bytes that must go out before anything sealed later; the caller drains it.
    pub fn pending(&mut self) -> &mut Vec<u8> {
        &mut self.pending
    }

    fn say(&mut self, alert: Alert) {
        if !self.closed {
            // Where sealing fails there is nothing left to say.
            let _ = self.send.append(content::ALERT, &alert.message(), &mut self.pending);
            self.closed = true;
        }
    }

    /// Queues `close_notify`. Idempotent.
    pub fn close(&mut self) {
        self.say(Alert::CLOSE_NOTIFY);
    }

    /// Tickets that came since the last call, stamped with the time of the call (milliseconds since 1970).
    pub fn tickets(&mut self, now: u64) -> Vec<Ticket> {
        let Some(resumption) = &self.resumption else { return Vec::new() };
        let name = &resumption.name;
        let alpn = &resumption.alpn;
        let suite = self.suite;
        self.tickets
            .drain(..)
            .filter(|(ticket, _)| ticket.lifetime > 0)
            .map(|(ticket, psk)| Ticket::new(ticket, psk, suite, name.clone(), alpn.clone(), now))
            .collect()
    }

    /// A value both sides derive (RFC 8446 section 7.5, RFC 5705).
    ///
    /// # Errors
    /// [`LocalError::Crypto`] where `out` is longer than HKDF gives.
    pub fn export(&self, label: &[u8], context: &[u8], out: &mut [u8]) -> Result<(), LocalError> {
        self.exporter.export(label, context, out)
    }

    /// An empty record that is `wire` bytes long on the wire: a shape without content.
    pub(crate) fn queue_empty(&mut self, wire: usize) -> Result<(), LocalError> {
        self.send.append_as_long(content::APPLICATION_DATA, &[], wire, &mut self.pending)
    }

    pub(crate) fn queue_message(&mut self, message: &[u8]) -> Result<(), LocalError> {
        self.send.append(content::HANDSHAKE, message, &mut self.pending)
    }
}

#[cfg(test)]
#[path = "traffic_tests.rs"]
mod tests;
