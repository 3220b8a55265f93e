//! CertificateRequest, Certificate, CompressedCertificate and CertificateVerify (RFC 8446 sections 4.3.2, 4.4.2 and
//! 4.4.3; RFC 8879 section 4).

use super::Extensions;
use crate::alert::Alert;
use crate::codec::{self, Reader};
use crate::error::{LocalError, RemoteError};
use crate::hello::Offered;
use crate::names::{extension, message};

/// A server's chain, leaf first, and the OCSP response of the leaf (empty without).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Certificate {
    pub chain: Vec<Vec<u8>>,
    pub ocsp: Vec<u8>,
    /// The leaf's delegated credential (RFC 9345), as it came; empty without.
    pub delegated: Vec<u8>,
}

impl Certificate {
    /// Parses a server's Certificate.
    ///
    /// # Errors
    /// Those of BoringSSL (ssl_process_certificate in ssl/tls13_both.cc): `decode_error` for a context or a kind of
    /// status that has no place, and `certificate_required` for an empty chain, where section 4.4.2.4 has
    /// `decode_error`; extension faults as in section 4.2.
    pub fn parse(body: &[u8], offered: &Offered) -> Result<Self, RemoteError> {
        let mut r = Reader::new(body);
        if !r.vec8()?.is_empty() {
            return Err(RemoteError::decode("a certificate for a request that was not made"));
        }
        let mut list = r.vec24()?;
        r.end()?;
        let mut this = Self::default();
        while !list.is_empty() {
            let der = list.vec24()?.some()?.rest();
            let extensions = Extensions::parse(list.vec16()?)?;
            // trust_anchors says that the chain is for an anchor that was offered; the verifier finds that out itself.
            let allowed =
                [extension::STATUS_REQUEST, extension::SCT, extension::DELEGATED_CREDENTIAL, extension::TRUST_ANCHORS];
            // Those of other certificates than the leaf are ignored (RFC 9345 section 4.1.1), anchors are not.
            let allowed = if this.chain.is_empty() { &allowed[..] } else { &allowed[..3] };
            extensions.only(offered, allowed, &[])?;
            if let Some(matched) = extensions.get(extension::TRUST_ANCHORS) {
                matched.end()?;
            }
            if let Some(mut status) = extensions.get(extension::STATUS_REQUEST) {
                // CertificateStatus (RFC 6066 section 8): ocsp(1), a response of at least one byte.
                let kind = status.u8()?;
                let response = status.vec24()?.some()?.rest();
                status.end()?;
                if kind != 1 {
                    return Err(RemoteError::decode("a certificate status of an unknown kind"));
                }
                if this.chain.is_empty() {
                    this.ocsp = response.to_vec();
                }
            }
            if let Some(mut timestamps) = extensions.get(extension::SCT) {
                // SignedCertificateTimestampList (RFC 6962 section 3.3); read for its form, judged by nobody.
                let mut each = timestamps.vec16()?.some()?;
                timestamps.end()?;
                while !each.is_empty() {
                    each.vec16()?.some()?;
                }
            }
            if let Some(delegated) = extensions.get(extension::DELEGATED_CREDENTIAL).filter(|_| this.chain.is_empty()) {
                this.delegated = delegated.some()?.rest().to_vec();
            }
            this.chain.push(der.to_vec());
        }
        if this.chain.is_empty() {
            return Err(RemoteError::new(Alert::CERTIFICATE_REQUIRED, "no certificate"));
        }
        Ok(this)
    }

    /// # Errors
    /// [`LocalError::Config`] where something is too long.
    pub fn write(&self) -> Result<Vec<u8>, LocalError> {
        codec::message(message::CERTIFICATE, |w| {
            w.vec8(|_| {});
            w.vec24(|w| {
                for (index, der) in self.chain.iter().enumerate() {
                    w.vec24(|w| w.put(der));
                    w.vec16(|w| {
                        if index == 0 && !self.ocsp.is_empty() {
                            w.extension(extension::STATUS_REQUEST, |w| {
                                w.u8(1);
                                w.vec24(|w| w.put(&self.ocsp));
                            });
                        }
                        if index == 0 && !self.delegated.is_empty() {
                            w.extension(extension::DELEGATED_CREDENTIAL, |w| w.put(&self.delegated));
                        }
                    });
                }
            });
        })
    }
}

/// A client without a certificate answers a request so (section 4.4.2).
///
/// # Errors
/// [`LocalError::Config`], which cannot happen for so short a message.
pub fn none(context: &[u8]) -> Result<Vec<u8>, LocalError> {
    codec::message(message::CERTIFICATE, |w| {
        w.vec8(|w| w.put(context));
        w.vec24(|_| {});
    })
}

/// Checks a CertificateRequest's form; what it asks for does not matter to a client without certificates.
///
/// # Errors
/// `decode_error` for everything, as BoringSSL (do_read_certificate_request in ssl/tls13_client.cc); without signature
/// algorithms section 4.3.2 has `missing_extension`.
pub fn parse_request(body: &[u8]) -> Result<(), RemoteError> {
    let mut r = Reader::new(body);
    // Section 4.3.2: the context is empty but for post-handshake authentication.
    if !r.vec8()?.is_empty() {
        return Err(RemoteError::decode("a certificate request with a context"));
    }
    let extensions = Extensions::parse(r.vec16()?)?;
    r.end()?;
    let Some(mut schemes) = extensions.once(extension::SIGNATURE_ALGORITHMS)? else {
        return Err(RemoteError::decode("a request without signature algorithms"));
    };
    extensions.once(extension::CERTIFICATE_AUTHORITIES)?;
    schemes.vec16()?.some()?.u16s()?;
    schemes.end()
}

/// CompressedCertificate: algorithm, length of what is inside, the bytes.
#[derive(Clone, Copy, Debug)]
pub struct Compressed<'a> {
    pub algorithm: u16,
    pub length: usize,
    pub bytes: &'a [u8],
}

impl<'a> Compressed<'a> {
    /// # Errors
    /// `decode_error`.
    pub fn parse(body: &'a [u8]) -> Result<Self, RemoteError> {
        let mut r = Reader::new(body);
        let (algorithm, length) = (r.u16()?, r.u24()?);
        let bytes = r.vec24()?.some()?.rest();
        r.end()?;
        Ok(Self { algorithm, length, bytes })
    }

    /// # Errors
    /// [`LocalError::Config`] where something is too long.
    pub fn write(&self) -> Result<Vec<u8>, LocalError> {
        let [_, a, b, c] = u32::try_from(self.length).unwrap_or(u32::MAX).to_be_bytes();
        codec::message(message::COMPRESSED_CERTIFICATE, |w| {
            w.u16(self.algorithm);
            w.put(&[a, b, c]);
            w.vec24(|w| w.put(self.bytes));
        })
    }
}

/// Scheme and signature of a CertificateVerify.
///
/// # Errors
/// `decode_error`.
pub fn parse_verify(body: &[u8]) -> Result<(u16, &[u8]), RemoteError> {
    let mut r = Reader::new(body);
    let scheme = r.u16()?;
    let signature = r.vec16()?.rest();
    r.end()?;
    Ok((scheme, signature))
}

/// # Errors
/// [`LocalError::Config`] where the signature is too long.
pub fn write_verify(scheme: u16, signature: &[u8]) -> Result<Vec<u8>, LocalError> {
    codec::message(message::CERTIFICATE_VERIFY, |w| {
        w.u16(scheme);
        w.vec16(|w| w.put(signature));
    })
}

/// What is signed: 64 spaces, a label, a zero, the transcript (section 4.4.3).
#[must_use]
pub fn signed(transcript: &[u8]) -> Vec<u8> {
    let mut content = vec![0x20; 64];
    content.extend_from_slice(b"TLS 1.3, server CertificateVerify\0");
    content.extend_from_slice(transcript);
    content
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chains_round_trip_and_faults_are_named() {
        let offered = Offered { extensions: vec![5, 18], ..Offered::default() };
        let it = Certificate { chain: vec![vec![1, 2], vec![3]], ocsp: vec![9], ..Certificate::default() };
        let bytes = it.write().unwrap();
        assert_eq!(Certificate::parse(&bytes[4..], &offered).unwrap(), it);
        let fault = |body: &[u8], o: &Offered| Certificate::parse(body, o).unwrap_err().alert.name();
        assert_eq!(fault(&bytes[4..], &Offered::default()), "unsupported_extension");
        assert_eq!(fault(&[0, 0, 0, 0], &offered), "certificate_required");
        assert_eq!(fault(&[1, 0, 0, 0, 0], &offered), "decode_error");
        let anchors = Offered { extensions: vec![extension::TRUST_ANCHORS], ..Offered::default() };
        let one = [0, 0, 1, 7, 0, 4, 0xca, 0x34, 0, 0];
        let chain = |certificates: &[u8]| {
            let length = u8::try_from(certificates.len()).unwrap();
            Certificate::parse(&[&[0, 0, 0, length], certificates].concat(), &anchors).map_err(|e| e.alert.name())
        };
        assert_eq!(chain(&one).unwrap().chain, [[7]]);
        assert_eq!(chain(&[one, one].concat()).unwrap_err(), "unsupported_extension");
        assert_eq!(chain(&[0, 0, 1, 7, 0, 5, 0xca, 0x34, 0, 1, 0]).unwrap_err(), "decode_error");
        for cut in 4..bytes.len() {
            assert_eq!(fault(&bytes[4..cut], &offered), "decode_error");
        }
    }

    #[test]
    fn requests_compression_and_signatures() {
        assert_eq!(parse_request(&[0, 0, 8, 0, 13, 0, 4, 0, 2, 4, 3]), Ok(()));
        assert_eq!(parse_request(&[0, 0, 0]).unwrap_err().alert.name(), "decode_error");
        assert_eq!(parse_request(&[1, 0, 0, 0]).unwrap_err().alert.name(), "decode_error");
        let bytes = Compressed { algorithm: 2, length: 70_000, bytes: b"x" }.write().unwrap();
        let back = Compressed::parse(&bytes[4..]).unwrap();
        assert_eq!((back.algorithm, back.length, back.bytes), (2, 70_000, &b"x"[..]));
        assert_eq!(parse_verify(&write_verify(7, b"sig").unwrap()[4..]).unwrap(), (7, &b"sig"[..]));
        assert_eq!(none(&[]).unwrap(), [11, 0, 0, 4, 0, 0, 0, 0]);
    }
}
