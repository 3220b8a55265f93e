//! NewSessionTicket (RFC 8446 section 4.6.1).

use super::Extensions;
use crate::codec::{self, Reader};
use crate::error::{LocalError, RemoteError};
use crate::names::{extension, message};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewSessionTicket {
    /// Seconds.
    pub lifetime: u32,
    pub age_add: u32,
    pub nonce: Vec<u8>,
    pub ticket: Vec<u8>,
    /// Parsed and unused: early data is never sent.
    pub max_early_data: Option<u32>,
}

impl NewSessionTicket {
    /// Unknown extensions are ignored (section 4.6.1).
    ///
    /// # Errors
    /// `decode_error` and `illegal_parameter` as section 4.2 says; the flags of a ticket (draft-ietf-tls-tlsflags
    /// section 2) are looked at for their form, as BoringSSL does.
    pub fn parse(body: &[u8]) -> Result<Self, RemoteError> {
        let mut r = Reader::new(body);
        let (lifetime, age_add) = (r.u32()?, r.u32()?);
        let nonce = r.vec8()?.rest().to_vec();
        let ticket = r.vec16()?.some()?.rest().to_vec();
        let extensions = Extensions::parse(r.vec16()?)?;
        r.end()?;
        if let Some(mut flags) = extensions.once(extension::FLAGS)? {
            let bits = flags.vec8()?.some()?.rest();
            flags.end()?;
            if bits.last() == Some(&0) {
                return Err(RemoteError::illegal("flags with zeros behind them"));
            }
        }
        let max_early_data = match extensions.once(extension::EARLY_DATA)? {
            None => None,
            Some(mut data) => Some((data.u32()?, data.end()?).0),
        };
        Ok(Self { lifetime, age_add, nonce, ticket, max_early_data })
    }

    /// # Errors
    /// [`LocalError::Config`] where a field is too long.
    pub fn write(&self) -> Result<Vec<u8>, LocalError> {
        codec::message(message::NEW_SESSION_TICKET, |w| {
            w.u32(self.lifetime);
            w.u32(self.age_add);
            w.vec8(|w| w.put(&self.nonce));
            w.vec16(|w| w.put(&self.ticket));
            w.vec16(|w| {
                if let Some(most) = self.max_early_data {
                    w.extension(extension::EARLY_DATA, |w| w.u32(most));
                }
            });
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip_and_cuts() {
        let it =
            NewSessionTicket { lifetime: 7, age_add: 8, nonce: vec![1], ticket: vec![2; 40], max_early_data: Some(9) };
        let bytes = it.write().unwrap();
        assert_eq!(NewSessionTicket::parse(&bytes[4..]).unwrap(), it);
        for cut in 4..bytes.len() {
            assert_eq!(NewSessionTicket::parse(&bytes[4..cut]).unwrap_err().alert.name(), "decode_error");
        }
        let flags = |data: &[u8]| {
            let list = [&[0, 62, 0, u8::try_from(data.len()).unwrap()], data].concat();
            let head = [0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 9, 0, u8::try_from(list.len()).unwrap()];
            NewSessionTicket::parse(&[&head[..], &list].concat()).map(|_| ()).map_err(|e| e.alert.name())
        };
        assert_eq!(flags(&[1, 1]), Ok(()));
        assert_eq!(flags(&[0]), Err("decode_error"));
        assert_eq!(flags(&[2, 1, 0]), Err("illegal_parameter"));
    }
}
