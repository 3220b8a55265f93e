//! ServerHello and HelloRetryRequest, which share a shape (RFC 8446 sections 4.1.3 and 4.1.4).

use super::Extensions;
use crate::alert::Alert;
use crate::codec::{self, Reader};
use crate::error::{LocalError, RemoteError};
use crate::hello::Offered;
use crate::names::{extension, message, version};

/// The random of a HelloRetryRequest: SHA-256 of "HelloRetryRequest" (RFC 8446 section 4.1.3).
pub const RETRY: [u8; 32] = [
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91, 0xc2, 0xa2, 0x11,
    0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
];
/// Last eight bytes of the random of a TLS 1.3 server that was made to speak less: "DOWNGRD" and 1 or 0 (section
/// 4.1.3), and what Java 11 wrote instead (kJDK11DowngradeRandom in ssl/handshake_client.cc of BoringSSL).
const DOWNGRADE: [[u8; 8]; 3] = [*b"DOWNGRD\x01", *b"DOWNGRD\x00", [0xed, 0xbf, 0xb4, 0xa8, 0xc2, 0x47, 0x10, 0xff]];

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerHello {
    pub random: [u8; 32],
    pub session_id: Vec<u8>,
    pub suite: u16,
    /// Group and key of the server's share.
    pub share: Option<(u16, Vec<u8>)>,
    /// Index of the accepted PSK.
    pub psk: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HelloRetryRequest {
    pub session_id: Vec<u8>,
    pub suite: u16,
    /// The group that a share is wanted of.
    pub group: Option<u16>,
    pub cookie: Option<Vec<u8>>,
}

/// Either of the two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Hello(ServerHello),
    Retry(HelloRetryRequest),
}

/// A ServerHello of any version, as it stands.
struct Parts<'a> {
    legacy: u16,
    random: [u8; 32],
    session_id: &'a [u8],
    suite: u16,
    compression: u8,
    extensions: Extensions<'a>,
}

impl<'a> Parts<'a> {
    fn read(body: &'a [u8]) -> Result<Self, RemoteError> {
        let mut r = Reader::new(body);
        let legacy = r.u16()?;
        let random: [u8; 32] = r.array()?;
        let session_id = r.vec8()?.rest();
        if session_id.len() > 32 {
            return Err(RemoteError::decode("a session id that is too long"));
        }
        let suite = r.u16()?;
        let compression = r.u8()?;
        // TLS 1.2 and older may leave the list out; that is told apart below.
        let list = if r.is_empty() { Reader::new(&[]) } else { r.vec16()? };
        r.end()?;
        Ok(Self { legacy, random, session_id, suite, compression, extensions: Extensions::parse(list)? })
    }

    /// Whether this is TLS 1.3, by the rules of BoringSSL (parse_server_version in ssl/handshake_client.cc): the
    /// legacy version counts where it is not that of TLS 1.2.
    ///
    /// An older version gets `protocol_version`, as BoringSSL answers what it does not do, unless the random says that
    /// somebody forced it: then `illegal_parameter` (RFC 8446 section 4.1.3).
    fn settle(&self, offered: &Offered) -> Result<(), RemoteError> {
        const OTHER: RemoteError = RemoteError::new(Alert::PROTOCOL_VERSION, "a version that we do not do");
        let mut chosen = self.legacy;
        if self.legacy == version::TLS12 {
            if let Some(mut data) = self.extensions.once(extension::SUPPORTED_VERSIONS)? {
                chosen = (data.u16()?, data.end()?).0;
                if chosen == version::TLS12 {
                    // Section 4.2.1: an older version is never chosen here.
                    return Err(RemoteError::illegal("an older version where none may be chosen"));
                }
            }
        }
        if chosen == version::TLS13 && offered.versions.contains(&chosen) {
            return Ok(());
        }
        let forced = offered.versions.contains(&chosen) && DOWNGRADE.iter().any(|tail| self.random.ends_with(tail));
        Err(if forced { RemoteError::illegal("somebody forced an older version") } else { OTHER })
    }
}

impl Answer {
    /// Whether the peer speaks TLS 1.3; everything else of the message is for [`Answer::parse`].
    ///
    /// # Errors
    /// `protocol_version`, or `illegal_parameter` where the version was forced down; `decode_error`.
    pub fn settle(body: &[u8], offered: &Offered) -> Result<(), RemoteError> {
        Parts::read(body)?.settle(offered)
    }

    /// Parses the body against what was offered.
    ///
    /// # Errors
    /// Those of [`Answer::settle`] and of [`Answer::parse_again`].
    pub fn parse(body: &[u8], offered: &Offered) -> Result<Self, RemoteError> {
        Self::settle(body, offered)?;
        Self::parse_again(body, offered)
    }

    /// Parses the answer to a second hello, whose version the retry settled.
    ///
    /// # Errors
    /// The alerts of RFC 8446 sections 4.1.3, 4.1.4 and 4.2; but `decode_error` for a wrong legacy field, as BoringSSL
    /// (parse_server_hello_tls13 in ssl/tls13_client.cc).
    pub fn parse_again(body: &[u8], offered: &Offered) -> Result<Self, RemoteError> {
        let parts = Parts::read(body)?;
        let Parts { legacy, random, session_id, suite, compression, extensions } = parts;
        let empty = extensions.all().is_empty();
        if legacy != version::TLS12 || compression != 0 || session_id != offered.session_id || empty {
            return Err(RemoteError::decode("version, compression or session id"));
        }
        let version = extensions.once(extension::SUPPORTED_VERSIONS)?.map(|data| data.rest());
        if version != Some(&version::TLS13.to_be_bytes()) {
            return Err(RemoteError::illegal("another version than before"));
        }
        if !offered.suites.contains(&suite) {
            return Err(RemoteError::illegal("a suite that was not offered"));
        }
        if random == RETRY {
            Self::retry(suite, session_id, &extensions, offered)
        } else {
            Self::hello(random, suite, session_id, &extensions, offered)
        }
    }

    fn retry(suite: u16, id: &[u8], extensions: &Extensions<'_>, offered: &Offered) -> Result<Self, RemoteError> {
        let allowed = [extension::SUPPORTED_VERSIONS, extension::KEY_SHARE, extension::ECH];
        extensions.only(offered, &allowed, &[extension::COOKIE])?;
        let group = match extensions.get(extension::KEY_SHARE) {
            None => None,
            Some(mut data) => Some((data.u16()?, data.end()?).0),
        };
        let cookie = match extensions.get(extension::COOKIE) {
            None => None,
            Some(mut data) => Some((data.vec16()?.some()?.rest().to_vec(), data.end()?).0),
        };
        Ok(Self::Retry(HelloRetryRequest { session_id: id.to_vec(), suite, group, cookie }))
    }

    fn hello(
        random: [u8; 32],
        suite: u16,
        id: &[u8],
        extensions: &Extensions<'_>,
        offered: &Offered,
    ) -> Result<Self, RemoteError> {
        let allowed = [extension::SUPPORTED_VERSIONS, extension::KEY_SHARE, extension::PRE_SHARED_KEY];
        extensions.only(offered, &allowed, &[])?;
        let share = match extensions.get(extension::KEY_SHARE) {
            None => None,
            Some(mut data) => {
                let group = data.u16()?;
                let key = data.vec16()?.some()?.rest().to_vec();
                data.end()?;
                Some((group, key))
            }
        };
        let psk = match extensions.get(extension::PRE_SHARED_KEY) {
            None => None,
            // We offer one identity.
            Some(mut data) => match (data.u16()?, data.end()?).0 {
                0 => Some(0),
                _ => return Err(RemoteError::new(Alert::UNKNOWN_PSK_IDENTITY, "an identity that was not offered")),
            },
        };
        Ok(Self::Hello(ServerHello { random, session_id: id.to_vec(), suite, share, psk }))
    }
}

fn write(
    random: &[u8; 32],
    id: &[u8],
    suite: u16,
    extensions: impl FnOnce(&mut codec::Writer),
) -> Result<Vec<u8>, LocalError> {
    codec::message(message::SERVER_HELLO, |w| {
        w.u16(version::TLS12);
        w.put(random);
        w.vec8(|w| w.put(id));
        w.u16(suite);
        w.u8(0);
        w.vec16(|w| {
            w.extension(extension::SUPPORTED_VERSIONS, |w| w.u16(version::TLS13));
            extensions(w);
        });
    })
}

impl ServerHello {
    /// # Errors
    /// [`LocalError::Config`] where a field is too long.
    pub fn write(&self) -> Result<Vec<u8>, LocalError> {
        write(&self.random, &self.session_id, self.suite, |w| {
            if let Some((group, key)) = &self.share {
                w.extension(extension::KEY_SHARE, |w| {
                    w.u16(*group);
                    w.vec16(|w| w.put(key));
                });
            }
            if let Some(index) = self.psk {
                w.extension(extension::PRE_SHARED_KEY, |w| w.u16(index));
            }
        })
    }
}

impl HelloRetryRequest {
    /// # Errors
    /// As [`ServerHello::write`].
    pub fn write(&self) -> Result<Vec<u8>, LocalError> {
        write(&RETRY, &self.session_id, self.suite, |w| {
            if let Some(group) = self.group {
                w.extension(extension::KEY_SHARE, |w| w.u16(group));
            }
            if let Some(cookie) = &self.cookie {
                w.extension(extension::COOKIE, |w| w.vec16(|w| w.put(cookie)));
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offered() -> Offered {
        Offered {
            session_id: vec![7; 32],
            suites: vec![0x1301],
            versions: vec![0x0304, 0x0303],
            extensions: vec![43, 51, 16, 41],
            ..Offered::default()
        }
    }

    fn hello() -> ServerHello {
        ServerHello {
            random: [9; 32],
            session_id: vec![7; 32],
            suite: 0x1301,
            share: Some((29, vec![1])),
            psk: Some(0),
        }
    }

    #[test]
    fn round_trips() {
        let bytes = hello().write().unwrap();
        assert_eq!(Answer::parse(&bytes[4..], &offered()).unwrap(), Answer::Hello(hello()));
        let retry =
            HelloRetryRequest { session_id: vec![7; 32], suite: 0x1301, group: Some(23), cookie: Some(vec![1, 2]) };
        let bytes = retry.write().unwrap();
        assert_eq!(Answer::parse(&bytes[4..], &offered()).unwrap(), Answer::Retry(retry));
    }

    #[test]
    fn each_fault_has_its_alert() {
        let parse = |edit: &dyn Fn(&mut ServerHello)| {
            let mut it = hello();
            edit(&mut it);
            Answer::parse(&it.write().unwrap()[4..], &offered()).unwrap_err().alert.name()
        };
        assert_eq!(parse(&|h| h.session_id = vec![]), "decode_error");
        assert_eq!(parse(&|h| h.psk = Some(1)), "unknown_psk_identity");
        assert_eq!(parse(&|h| h.suite = 0x1302), "illegal_parameter");
        assert_eq!(parse(&|h| h.share = Some((29, vec![]))), "decode_error");
        assert_eq!(parse(&|h| h.session_id = vec![0; 33]), "decode_error");
        // TLS 1.2: no supported_versions; with and without the sentinel.
        let old = |tail: &[u8; 8]| {
            let mut random = [1; 32];
            random[24..].copy_from_slice(tail);
            let body = [&[3, 3][..], &random, &[0, 0xc0, 0x2f, 0]].concat();
            Answer::parse(&body, &offered()).unwrap_err().alert.name()
        };
        assert_eq!(old(b"DOWNGRD\x01"), "illegal_parameter");
        assert_eq!(old(b"DOWNGRD\x00"), "illegal_parameter");
        assert_eq!(old(&DOWNGRADE[2]), "illegal_parameter");
        assert_eq!(old(b"DOWNGRD\x02"), "protocol_version");
        assert_eq!(old(b"whatever"), "protocol_version");
        let with = |extensions: &[u8]| {
            let length = u16::try_from(extensions.len()).unwrap().to_be_bytes();
            let body = [&[3, 3][..], &[1; 32], &[32], &[7; 32], &[0x13, 1, 0], &length, extensions].concat();
            Answer::parse(&body, &offered()).map(|_| ()).map_err(|e| e.alert.name())
        };
        for (at, value, alert) in
            [(1, 1, "protocol_version"), (1, 4, "decode_error"), (69, 1, "decode_error"), (77, 5, "protocol_version")]
        {
            let head = [&[3, 3][..], &[1; 32], &[32], &[7; 32], &[0x13, 1, 0, 0, 6, 0, 43, 0, 2, 3, 4]];
            let mut body = head.concat();
            assert!(Answer::parse(&body, &offered()).is_ok());
            body[at] = value;
            assert_eq!(Answer::parse(&body, &offered()).unwrap_err().alert.name(), alert, "byte {at}");
        }
        assert_eq!(with(&[0, 43, 0, 2, 3, 4]), Ok(()));
        assert_eq!(with(&[0, 43, 0, 2, 3, 3]), Err("illegal_parameter"));
        assert_eq!(with(&[0, 43, 0, 2, 3, 4, 0, 43, 0, 2, 3, 4]), Err("illegal_parameter"));
        assert_eq!(with(&[0, 43, 0, 2, 3, 4, 0, 16, 0, 0]), Err("unsupported_extension"));
        assert_eq!(with(&[]), Err("protocol_version"));
        // Behind a retry the version is settled.
        for (extensions, alert) in [(&[][..], "decode_error"), (&[0, 43, 0, 2, 3, 3], "illegal_parameter")] {
            let length = u16::try_from(extensions.len()).unwrap().to_be_bytes();
            let body = [&[3, 3][..], &[1; 32], &[32], &[7; 32], &[0x13, 1, 0], &length, extensions].concat();
            assert_eq!(Answer::parse_again(&body, &offered()).unwrap_err().alert.name(), alert);
        }
        assert_eq!(with(&[0, 43, 0, 2, 3, 4, 0x12, 0x34, 0, 0]), Err("unsupported_extension"));
        assert_eq!(with(&[0, 43, 0, 3, 3, 4, 0]), Err("decode_error"));
    }
}
