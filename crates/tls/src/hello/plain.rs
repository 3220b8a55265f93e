//! A modern and small hello that looks like nobody in particular: for tests and tools.

use super::second::second;
use super::{Ask, Author, Hello, write_psk};
use crate::codec;
use crate::error::{LocalError, RemoteError};
use crate::groups::Offer;
use crate::messages::HelloRetryRequest;
use crate::names::{PSK_DHE_KE, extension, group, message, scheme, suite, version};

/// What to offer; the default is everything the engine runs, with one share of each of the first two groups.
#[derive(Clone, Debug)]
pub struct Plain {
    pub suites: Vec<u16>,
    pub versions: Vec<u16>,
    pub groups: Vec<u16>,
    /// Groups to send shares of.
    pub shares: Vec<u16>,
    pub schemes: Vec<u16>,
    pub alpn: Vec<Vec<u8>>,
    pub alps: Vec<Vec<u8>>,
    pub compressions: Vec<u16>,
    pub record_size_limit: Option<u16>,
    /// Whether to ask for stapled OCSP and timestamps.
    pub status: bool,
    /// Whether to send a session id, which asks for middlebox compatibility (RFC 8446 appendix D.4).
    pub compatible: bool,
    /// Extensions to add as they are.
    pub extra: Vec<(u16, Vec<u8>)>,
    pub records: Vec<usize>,
}

impl Default for Plain {
    fn default() -> Self {
        Self {
            suites: vec![suite::AES_128_GCM_SHA256, suite::AES_256_GCM_SHA384, suite::CHACHA20_POLY1305_SHA256],
            versions: vec![version::TLS13],
            groups: vec![group::X25519MLKEM768, group::X25519, group::P256, group::P384],
            shares: vec![group::X25519MLKEM768, group::X25519],
            schemes: vec![
                scheme::ECDSA_P256_SHA256,
                scheme::RSA_PSS_SHA256,
                scheme::ED25519,
                scheme::ECDSA_P384_SHA384,
                scheme::RSA_PSS_SHA384,
                scheme::RSA_PSS_SHA512,
                scheme::ECDSA_P521_SHA512,
            ],
            alpn: Vec::new(),
            alps: Vec::new(),
            compressions: Vec::new(),
            record_size_limit: None,
            status: false,
            compatible: true,
            extra: Vec::new(),
            records: Vec::new(),
        }
    }
}

fn list16(w: &mut codec::Writer, kind: u16, values: &[u16]) {
    if !values.is_empty() {
        w.extension(kind, |w| w.vec16(|w| values.iter().for_each(|v| w.u16(*v))));
    }
}

fn list8(w: &mut codec::Writer, kind: u16, values: &[u16]) {
    if !values.is_empty() {
        w.extension(kind, |w| w.vec8(|w| values.iter().for_each(|v| w.u16(*v))));
    }
}

fn names(w: &mut codec::Writer, kind: u16, values: &[Vec<u8>]) {
    if !values.is_empty() {
        w.extension(kind, |w| w.vec16(|w| values.iter().for_each(|v| w.vec8(|w| w.put(v)))));
    }
}

impl Author for Plain {
    fn hello(&self, ask: &Ask<'_>) -> Result<Hello, LocalError> {
        use extension as x;
        let (mut random, mut id) = ([0; 32], vec![0; if self.compatible { 32 } else { 0 }]);
        ask.random.fill(&mut random)?;
        ask.random.fill(&mut id)?;
        let shares = self.shares.iter().map(|g| Offer::generate(*g)).collect::<Result<Vec<_>, _>>()?;
        let bytes = codec::message(message::CLIENT_HELLO, |w| {
            w.u16(version::TLS12);
            w.put(&random);
            w.vec8(|w| w.put(&id));
            w.vec16(|w| self.suites.iter().for_each(|s| w.u16(*s)));
            w.vec8(|w| w.u8(0));
            w.vec16(|w| {
                if let Some(name) = ask.sni() {
                    w.extension(x::SERVER_NAME, |w| {
                        w.vec16(|w| {
                            w.u8(0);
                            w.vec16(|w| w.put(name.as_bytes()));
                        });
                    });
                }
                list8(w, x::SUPPORTED_VERSIONS, &self.versions);
                list16(w, x::SUPPORTED_GROUPS, &self.groups);
                list16(w, x::SIGNATURE_ALGORITHMS, &self.schemes);
                w.extension(x::KEY_SHARE, |w| {
                    w.vec16(|w| {
                        for share in &shares {
                            w.u16(share.group());
                            w.vec16(|w| w.put(share.public()));
                        }
                    });
                });
                w.extension(x::PSK_MODES, |w| w.vec8(|w| w.u8(PSK_DHE_KE)));
                if self.status {
                    // RFC 6066 section 8: ocsp(1), no responders, no extensions.
                    w.extension(x::STATUS_REQUEST, |w| w.put(&[1, 0, 0, 0, 0]));
                    w.extension(x::SCT, |_| {});
                }
                names(w, x::ALPN, &self.alpn);
                names(w, x::ALPS, &self.alps);
                list8(w, x::COMPRESS_CERTIFICATE, &self.compressions);
                if let Some(limit) = self.record_size_limit {
                    w.extension(x::RECORD_SIZE_LIMIT, |w| w.u16(limit));
                }
                for (kind, data) in &self.extra {
                    w.extension(*kind, |w| w.put(data));
                }
                if let Some(ticket) = ask.ticket {
                    write_psk(w, ticket, ask.now);
                }
            });
        })?;
        let mut hello = Hello::new(bytes, shares)?;
        hello.records.clone_from(&self.records);
        Ok(hello)
    }

    fn second(&self, first: &Hello, retry: &HelloRetryRequest, ask: &Ask<'_>) -> Result<Hello, RemoteError> {
        second(first, retry, ask)
    }
}

#[cfg(test)]
mod tests {
    use super::super::SystemRandom;
    use super::*;

    #[test]
    fn what_is_written_is_read_back_and_a_second_changes_only_what_it_may() {
        let plain = Plain {
            alpn: vec![b"h2".to_vec()],
            alps: vec![b"h2".to_vec()],
            compressions: vec![1],
            record_size_limit: Some(100),
            status: true,
            ..Plain::default()
        };
        let ask = Ask { name: "example.org", now: 0, ticket: None, random: &SystemRandom };
        let first = plain.hello(&ask).unwrap();
        let offered = &first.offered;
        assert_eq!((&offered.suites, &offered.groups, &offered.shares), (&plain.suites, &plain.groups, &plain.shares));
        assert_eq!((&offered.alpn, &offered.alps, &offered.compressions), (&plain.alpn, &plain.alps, &vec![1]));
        assert_eq!((offered.record_size_limit, offered.session_id.len()), (Some(100), 32));
        let hello = super::super::ClientHello::parse(&first.message).unwrap();
        assert_eq!(hello.server_name().unwrap(), Some(&b"example.org"[..]));
        let retry = |group, cookie| HelloRetryRequest { session_id: vec![], suite: 0x1301, group, cookie };
        let next = plain.second(&first, &retry(Some(group::P256), Some(vec![5; 3])), &ask).unwrap();
        assert_eq!((next.offered.shares.clone(), next.offered.random), (vec![group::P256], offered.random));
        let without = |o: &[u16]| o.iter().copied().filter(|e| *e != extension::COOKIE).collect::<Vec<_>>();
        assert_eq!(without(&next.offered.extensions), offered.extensions);
        assert!(next.offered.extensions.contains(&extension::COOKIE));
        for bad in [retry(None, None), retry(Some(group::X25519), None), retry(Some(0x1a1a), None)] {
            assert_eq!(plain.second(&first, &bad, &ask).unwrap_err().alert.name(), "illegal_parameter");
        }
        for cut in 0..first.message.len() {
            assert!(super::super::Offered::read(&first.message[..cut]).is_err());
        }
    }
}
