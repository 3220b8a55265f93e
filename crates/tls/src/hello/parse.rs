//! Reading a ClientHello (RFC 8446 section 4.1.2): ours, to know what was offered, and a stranger's, as a server.

use crate::alert::Alert;
use crate::codec::Reader;
use crate::error::RemoteError;
use crate::messages::Extensions;
use crate::names::{extension, message};

/// Group and key of a share.
pub type Share<'a> = (u16, &'a [u8]);

/// The parts of a hello, as they stand.
#[derive(Debug)]
pub struct ClientHello<'a> {
    pub legacy_version: u16,
    pub random: [u8; 32],
    pub session_id: &'a [u8],
    pub suites: Vec<u16>,
    pub compressions: &'a [u8],
    /// Type and data, in order.
    pub extensions: Vec<(u16, &'a [u8])>,
}

impl<'a> ClientHello<'a> {
    /// Parses a whole message, header included.
    ///
    /// # Errors
    /// `decode_error` for bad form and for an extension that stands twice (as BoringSSL), `illegal_parameter` for one
    /// behind the PSK.
    pub fn parse(message: &'a [u8]) -> Result<Self, RemoteError> {
        let mut r = Reader::new(message);
        if r.u8()? != message::CLIENT_HELLO {
            return Err(RemoteError::unexpected("not a client's hello"));
        }
        let mut body = r.vec24()?;
        r.end()?;
        let legacy_version = body.u16()?;
        let random = body.array()?;
        let session_id = body.vec8()?.rest();
        if session_id.len() > 32 {
            return Err(RemoteError::decode("a session id that is too long"));
        }
        let suites = body.vec16()?.some()?.u16s()?;
        let compressions = body.vec8()?.some()?.rest();
        // Before TLS 1.2 the list could be missing (RFC 5246 section 7.4.1.2).
        let list = if body.is_empty() { Reader::new(&[]) } else { body.vec16()? };
        body.end()?;
        let parsed = Extensions::parse(list)?.unique()?;
        let extensions: Vec<_> = parsed.all().iter().map(|(kind, data)| (*kind, data.rest())).collect();
        let psk = extensions.iter().position(|(kind, _)| *kind == extension::PRE_SHARED_KEY);
        if psk.is_some_and(|at| at.saturating_add(1) != extensions.len()) {
            // Section 4.2.11.
            return Err(RemoteError::illegal("the pre-shared key is not last"));
        }
        Ok(Self { legacy_version, random, session_id, suites, compressions, extensions })
    }

    /// The data of an extension.
    #[must_use]
    pub fn extension(&self, kind: u16) -> Option<Reader<'a>> {
        self.extensions.iter().find(|(k, _)| *k == kind).map(|(_, data)| Reader::new(data))
    }

    /// The name of `server_name` (RFC 6066 section 3).
    ///
    /// # Errors
    /// `decode_error`.
    pub fn server_name(&self) -> Result<Option<&'a [u8]>, RemoteError> {
        let Some(mut data) = self.extension(extension::SERVER_NAME) else { return Ok(None) };
        let mut list = data.vec16()?.some()?;
        data.end()?;
        let kind = list.u8()?;
        let name = list.vec16()?.some()?.rest();
        list.end()?;
        if kind == 0 { Ok(Some(name)) } else { Err(RemoteError::decode("a name of an unknown kind")) }
    }

    /// Group and key of each share (RFC 8446 section 4.2.8).
    ///
    /// # Errors
    /// `decode_error`; `illegal_parameter` for a group twice.
    pub fn shares(&self) -> Result<Option<Vec<Share<'a>>>, RemoteError> {
        let Some(mut data) = self.extension(extension::KEY_SHARE) else { return Ok(None) };
        let mut list = data.vec16()?;
        data.end()?;
        let mut all: Vec<(u16, &[u8])> = Vec::new();
        while !list.is_empty() {
            let group = list.u16()?;
            let key = list.vec16()?.some()?.rest();
            if all.iter().any(|(g, _)| *g == group) {
                return Err(RemoteError::illegal("two shares of one group"));
            }
            all.push((group, key));
        }
        Ok(Some(all))
    }

    /// The first identity, its binder, and how long the list of binders is with its length (section 4.2.11).
    ///
    /// # Errors
    /// `decode_error`; `illegal_parameter` where identities and binders differ in number.
    pub fn psk(&self) -> Result<Option<Psk<'a>>, RemoteError> {
        let Some(mut data) = self.extension(extension::PRE_SHARED_KEY) else { return Ok(None) };
        let mut identities = data.vec16()?.some()?;
        let mut binders = data.vec16()?.some()?;
        data.end()?;
        let binders_len = binders.rest().len().saturating_add(2);
        let mut first = None;
        while !identities.is_empty() {
            let identity = identities.vec16()?.some()?.rest();
            let age = identities.u32()?;
            if binders.is_empty() {
                return Err(RemoteError::illegal("fewer binders than identities"));
            }
            // One of a wrong length does not fit, as one of wrong bytes; BoringSSL tells the two by no alert.
            let binder = binders.vec8()?.rest();
            first.get_or_insert(Psk { identity, age, binder, binders_len });
        }
        if !binders.is_empty() {
            return Err(RemoteError::illegal("more binders than identities"));
        }
        Ok(first)
    }
}

/// What is offered for resumption.
#[derive(Clone, Copy, Debug)]
pub struct Psk<'a> {
    pub identity: &'a [u8],
    pub age: u32,
    pub binder: &'a [u8],
    pub binders_len: usize,
}

/// What a hello offers; the peer may choose from this and nothing else.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Offered {
    pub random: [u8; 32],
    pub session_id: Vec<u8>,
    pub suites: Vec<u16>,
    pub versions: Vec<u16>,
    pub groups: Vec<u16>,
    /// Groups of the shares, GREASE included.
    pub shares: Vec<u16>,
    pub schemes: Vec<u16>,
    /// Schemes of delegated credentials (RFC 9345 section 4.1.1).
    pub delegated: Vec<u16>,
    pub alpn: Vec<Vec<u8>>,
    pub compressions: Vec<u16>,
    /// Protocols with application settings.
    pub alps: Vec<Vec<u8>>,
    pub record_size_limit: Option<u16>,
    pub psk_modes: Vec<u8>,
    /// Length of the binders with their length field, where a PSK is offered; they end the message.
    pub binders: Option<usize>,
    /// All extension types, in order.
    pub extensions: Vec<u16>,
}

fn u16s(data: Option<Reader<'_>>) -> Result<Vec<u16>, RemoteError> {
    let Some(mut data) = data else { return Ok(Vec::new()) };
    let list = data.vec16()?.some()?.u16s()?;
    data.end()?;
    Ok(list)
}

fn protocols(data: Option<Reader<'_>>) -> Result<Vec<Vec<u8>>, RemoteError> {
    let Some(mut data) = data else { return Ok(Vec::new()) };
    let mut list = data.vec16()?.some()?;
    data.end()?;
    let mut all = Vec::new();
    while !list.is_empty() {
        all.push(list.vec8()?.some()?.rest().to_vec());
    }
    Ok(all)
}

impl Offered {
    /// Reads a whole ClientHello message.
    ///
    /// # Errors
    /// `decode_error` and `illegal_parameter` as for any hello.
    pub fn read(message: &[u8]) -> Result<Self, RemoteError> {
        Self::of(&ClientHello::parse(message)?)
    }

    /// The same of a parsed one.
    ///
    /// # Errors
    /// As [`Offered::read`].
    pub fn of(hello: &ClientHello<'_>) -> Result<Self, RemoteError> {
        use extension as x;
        let short = |kind: u16| -> Result<Option<Reader<'_>>, RemoteError> {
            let Some(mut data) = hello.extension(kind) else { return Ok(None) };
            let list = data.vec8()?.some()?;
            data.end()?;
            Ok(Some(list))
        };
        let record_size_limit = match hello.extension(x::RECORD_SIZE_LIMIT) {
            None => None,
            Some(mut data) => {
                let limit = data.u16()?;
                data.end()?;
                if limit < 64 {
                    // RFC 8449 section 4.
                    return Err(RemoteError::new(Alert::ILLEGAL_PARAMETER, "a record size limit below 64"));
                }
                Some(limit)
            }
        };
        let compressions = short(x::COMPRESS_CERTIFICATE)?.map_or(Ok(Vec::new()), Reader::u16s)?;
        if (1..compressions.len()).any(|n| compressions.iter().take(n).any(|c| compressions.get(n) == Some(c))) {
            // RFC 8879 does not say; BoringSSL refuses it (cert_compression_parse_clienthello in ssl/extensions.cc).
            return Err(RemoteError::decode("a compression twice"));
        }
        Ok(Self {
            random: hello.random,
            session_id: hello.session_id.to_vec(),
            suites: hello.suites.clone(),
            versions: short(x::SUPPORTED_VERSIONS)?.map_or(Ok(Vec::new()), Reader::u16s)?,
            groups: u16s(hello.extension(x::SUPPORTED_GROUPS))?,
            shares: hello.shares()?.unwrap_or_default().iter().map(|(group, _)| *group).collect(),
            schemes: u16s(hello.extension(x::SIGNATURE_ALGORITHMS))?,
            delegated: u16s(hello.extension(x::DELEGATED_CREDENTIAL))?,
            alpn: protocols(hello.extension(x::ALPN))?,
            compressions,
            alps: protocols(hello.extension(x::ALPS))?,
            record_size_limit,
            psk_modes: short(x::PSK_MODES)?.map(|list| list.rest().to_vec()).unwrap_or_default(),
            binders: hello.psk()?.map(|psk| psk.binders_len),
            extensions: hello.extensions.iter().map(|(kind, _)| *kind).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec;

    fn hello(extensions: &[(u16, &[u8])]) -> Vec<u8> {
        codec::message(message::CLIENT_HELLO, |w| {
            w.u16(0x0303);
            w.put(&[7; 32]);
            w.vec8(|_| {});
            w.vec16(|w| w.u16(0x1301));
            w.vec8(|w| w.u8(0));
            w.vec16(|w| extensions.iter().for_each(|(kind, data)| w.extension(*kind, |w| w.put(data))));
        })
        .unwrap()
    }

    fn fault(extensions: &[(u16, &[u8])]) -> &'static str {
        Offered::read(&hello(extensions)).map_or_else(|e| e.alert.name(), |_| "none")
    }

    #[test]
    fn the_psk_is_last_and_has_as_many_binders_as_identities() {
        let one: &[u8] = &[&[0, 7, 0, 1, 9, 0, 0, 0, 1, 0, 33, 32][..], &[5; 32]].concat();
        let read = hello(&[(45, &[1, 1]), (41, one)]);
        let psk = ClientHello::parse(&read).unwrap();
        let psk = psk.psk().unwrap().unwrap();
        assert_eq!((psk.identity, psk.age, psk.binder, psk.binders_len), (&[9][..], 1, &[5; 32][..], 35));
        assert_eq!(fault(&[(45, &[1, 1]), (41, one)]), "none");
        assert_eq!(fault(&[(41, one), (45, &[1, 1])]), "illegal_parameter");
        let more: &[u8] = &[&[0, 7, 0, 1, 9, 0, 0, 0, 1, 0, 66, 32][..], &[5; 32], &[32], &[5; 32]].concat();
        assert_eq!(fault(&[(41, more)]), "illegal_parameter");
        let fewer: &[u8] = &[&[0, 14, 0, 1, 9, 0, 0, 0, 1, 0, 1, 9, 0, 0, 0, 1, 0, 33, 32][..], &[5; 32]].concat();
        assert_eq!(fault(&[(41, fewer)]), "illegal_parameter");
    }

    #[test]
    fn extensions_have_their_form() {
        assert_eq!(fault(&[(28, &[0, 63])]), "illegal_parameter");
        assert_eq!(fault(&[(28, &[0, 64])]), "none");
        assert_eq!(fault(&[(10, &[0, 0])]), "decode_error");
        assert_eq!(fault(&[(10, &[0, 2, 0, 29]), (10, &[0, 2, 0, 29])]), "decode_error");
        assert_eq!(fault(&[(27, &[4, 0, 2, 0, 1])]), "none");
        assert_eq!(fault(&[(27, &[4, 0, 2, 0, 2])]), "decode_error");
        assert_eq!(fault(&[(16, &[0, 1, 0])]), "decode_error");
        assert_eq!(fault(&[(51, &[0, 5, 0, 29, 0, 1, 7])]), "none");
        assert_eq!(fault(&[(51, &[0, 10, 0, 29, 0, 1, 7, 0, 29, 0, 1, 7])]), "illegal_parameter");
        let named = hello(&[(0, &[0, 4, 0, 0, 1, b'a'])]);
        assert_eq!(ClientHello::parse(&named).unwrap().server_name().unwrap(), Some(&b"a"[..]));
        let other = hello(&[(0, &[0, 4, 1, 0, 1, b'a'])]);
        assert!(ClientHello::parse(&other).unwrap().server_name().is_err());
    }
}
