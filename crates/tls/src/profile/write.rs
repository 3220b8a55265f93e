//! The bytes of a drawn hello (RFC 8446 section 4.1.2).

use super::draw::{Drawn, Key, Part};
use crate::codec::{self, Writer};
use crate::error::LocalError;
use crate::hello::{Ask, write_psk};
use crate::names::message;

const HEAD: usize = 4; // of an extension, and of a handshake message

impl Drawn {
    /// The handshake message, its header included; with the ticket of `ask`, its binder still zero.
    ///
    /// # Errors
    /// [`LocalError::Config`] where something in it is too long for its length field.
    pub fn message(&self, ask: &Ask<'_>) -> Result<Vec<u8>, LocalError> {
        let whole = self.padded(ask, None)?;
        let padding = self.extensions.iter().find_map(|(_, part)| match part {
            Part::Padding { above, to } => Some((*above, *to)),
            _ => None,
        });
        let Some((above, to)) = padding else { return Ok(whole) };
        if whole.len() <= above || whole.len() >= to {
            return Ok(whole);
        }
        // An extension needs its head and, for servers that stumble over an empty last one, a byte at least.
        let zeros = to.saturating_sub(whole.len()).saturating_sub(HEAD).max(1);
        self.padded(ask, Some(zeros))
    }

    fn padded(&self, ask: &Ask<'_>, padding: Option<usize>) -> Result<Vec<u8>, LocalError> {
        codec::message(message::CLIENT_HELLO, |w| {
            w.u16(self.version);
            w.put(&self.random);
            w.vec8(|w| w.put(&self.session_id));
            w.vec16(|w| self.ciphers.iter().for_each(|cipher| w.u16(*cipher)));
            w.vec8(|w| w.put(&self.compression));
            w.vec16(|w| {
                let ticket = ask.ticket.zip(self.resuming.as_ref());
                for (kind, part) in &self.extensions {
                    if ticket.is_some_and(|(_, removed)| removed.contains(kind)) {
                        continue;
                    }
                    match (part, padding, ask.sni()) {
                        (Part::Padding { .. }, None, _) | (Part::ServerName, _, None) => {}
                        _ => w.extension(*kind, |w| self.part(w, part, ask.sni().unwrap_or_default(), padding)),
                    }
                }
                if let Some((ticket, _)) = ticket {
                    write_psk(w, ticket, ask.now);
                }
            });
        })
    }

    fn part(&self, w: &mut Writer, part: &Part, name: &str, padding: Option<usize>) {
        match part {
            Part::Bytes(bytes) => w.put(bytes),
            // RFC 6066 section 3: a list of names, of which the only type is 0, a host's.
            Part::ServerName => w.vec16(|w| {
                w.u8(0);
                w.vec16(|w| w.put(name.as_bytes()));
            }),
            Part::Numbers { prefix: 1, values } => w.vec8(|w| values.iter().for_each(|value| w.u16(*value))),
            Part::Numbers { values, .. } => w.vec16(|w| values.iter().for_each(|value| w.u16(*value))),
            Part::KeyShare(keys) => w.vec16(|w| {
                for key in keys {
                    let (group, share) = match key {
                        Key::Bytes(group, bytes) => (*group, bytes.as_slice()),
                        Key::Real(index) => match self.shares.get(*index) {
                            Some(offer) => (offer.group(), offer.public()),
                            None => continue,
                        },
                    };
                    w.u16(group);
                    w.vec16(|w| w.put(share));
                }
            }),
            Part::Padding { .. } => w.put(&vec![0; padding.unwrap_or(0)]),
        }
    }
}
