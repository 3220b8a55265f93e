//! EncryptedExtensions, both directions (RFC 8446 section 4.3.1; the client's is draft-vvv-tls-alps).
//!
//! Application settings, as BoringSSL does them: the server answers the offer with its settings for the protocol it
//! chose, and only then the client sends an EncryptedExtensions of its own, first in its second flight, with its
//! settings (perhaps empty) under the same codepoint. They belong to one protocol, so ALPN must have been agreed on.

use super::Extensions;
use crate::alert::Alert;
use crate::codec::{self, Reader};
use crate::error::{LocalError, RemoteError};
use crate::hello::Offered;
use crate::names::{extension, message};

/// What a server says under the handshake keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EncryptedExtensions {
    pub alpn: Option<Vec<u8>>,
    /// The server's application settings.
    pub alps: Option<Vec<u8>>,
    /// RFC 8449.
    pub record_size_limit: Option<u16>,
}

impl EncryptedExtensions {
    /// ECH retry configurations answer a GREASE offer and are ignored (draft-ietf-tls-esni section 6.2).
    ///
    /// # Errors
    /// The alerts of RFC 8446 section 4.2, RFC 7301 section 3.1 and RFC 8449 section 4; for what was offered and has
    /// no place here those of BoringSSL, which differ by extension (kExtensions in ssl/extensions.cc).
    pub fn parse(body: &[u8], offered: &Offered) -> Result<Self, RemoteError> {
        use extension as x;
        let mut r = Reader::new(body);
        let extensions = Extensions::parse(r.vec16()?)?.unique()?;
        r.end()?;
        let mut this = Self::default();
        for (kind, data) in extensions.all() {
            let mut data = *data;
            if !offered.extensions.contains(kind) {
                return Err(RemoteError::new(Alert::UNSUPPORTED_EXTENSION, "an extension that was not offered"));
            }
            match *kind {
                // RFC 6066 section 3: the acknowledgement is empty.
                x::SERVER_NAME => data.end()?,
                // For a later connection (RFC 8446 section 4.2.7); neither we nor BoringSSL read them.
                x::SUPPORTED_GROUPS => {}
                x::ALPN => {
                    let mut list = data.vec16()?;
                    data.end()?;
                    let one = list.vec8()?.some()?.rest();
                    list.end()?;
                    if !offered.alpn.iter().any(|p| p == one) {
                        return Err(RemoteError::illegal("an application protocol that was not offered"));
                    }
                    this.alpn = Some(one.to_vec());
                }
                x::RECORD_SIZE_LIMIT => {
                    let limit = data.u16()?;
                    data.end()?;
                    if limit < 64 {
                        return Err(RemoteError::illegal("a record size limit below 64"));
                    }
                    this.record_size_limit = Some(limit);
                }
                // Anchors the server could also use; they matter to who would ask again.
                x::TRUST_ANCHORS => {
                    let mut list = data.vec16()?.some()?;
                    data.end()?;
                    while !list.is_empty() {
                        list.vec8()?.some()?;
                    }
                }
                x::ALPS => this.alps = Some(data.rest().to_vec()),
                x::ECH => {
                    let mut list = data.vec16()?.some()?;
                    data.end()?;
                    // ECHConfig: a version, and contents as long as they say.
                    while !list.is_empty() {
                        list.u16()?;
                        list.vec16()?;
                    }
                }
                // They belong to TLS 1.2, or into the Certificate message.
                x::EMS | x::SESSION_TICKET | x::POINTS | x::STATUS_REQUEST | x::SCT | x::COMPRESS_CERTIFICATE => {
                    return Err(RemoteError::decode("an extension in the wrong message"));
                }
                x::RENEGOTIATION => return Err(RemoteError::illegal("an extension in the wrong message")),
                _ => return Err(RemoteError::new(Alert::UNSUPPORTED_EXTENSION, "an extension of no use here")),
            }
        }
        if this.alps.is_some() && !this.alpn.as_ref().is_some_and(|p| offered.alps.contains(p)) {
            return Err(RemoteError::illegal("application settings without their protocol"));
        }
        Ok(this)
    }

    /// # Errors
    /// [`LocalError::Config`] where a field is too long.
    pub fn write(&self) -> Result<Vec<u8>, LocalError> {
        codec::message(message::ENCRYPTED_EXTENSIONS, |w| {
            w.vec16(|w| {
                if let Some(alpn) = &self.alpn {
                    w.extension(extension::ALPN, |w| w.vec16(|w| w.vec8(|w| w.put(alpn))));
                }
                if let Some(limit) = self.record_size_limit {
                    w.extension(extension::RECORD_SIZE_LIMIT, |w| w.u16(limit));
                }
                if let Some(settings) = &self.alps {
                    w.extension(extension::ALPS, |w| w.put(settings));
                }
            });
        })
    }
}

/// The client's own message where application settings were agreed on: they are its only extension.
///
/// # Errors
/// [`LocalError::Config`] where the settings are too long.
pub fn client_settings(settings: &[u8]) -> Result<Vec<u8>, LocalError> {
    codec::message(message::ENCRYPTED_EXTENSIONS, |w| w.vec16(|w| w.extension(extension::ALPS, |w| w.put(settings))))
}

/// The server reads it.
///
/// # Errors
/// `missing_extension` without settings, `unsupported_extension` with anything else.
pub fn parse_client_settings(body: &[u8]) -> Result<Vec<u8>, RemoteError> {
    let mut r = Reader::new(body);
    let extensions = Extensions::parse(r.vec16()?)?;
    r.end()?;
    if extensions.all().iter().any(|(kind, _)| *kind != extension::ALPS) {
        return Err(RemoteError::new(Alert::UNSUPPORTED_EXTENSION, "an extension of no use here"));
    }
    let settings = extensions.get(extension::ALPS);
    settings.map(|s| s.rest().to_vec()).ok_or(RemoteError::new(Alert::MISSING_EXTENSION, "no application settings"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip_and_faults() {
        let offered = Offered {
            extensions: vec![0, 10, 16, 23, 28, 17_613, 0xfe0d, 51, 0xca34, 0xff01],
            alpn: vec![b"h2".to_vec(), b"x".to_vec()],
            alps: vec![b"h2".to_vec()],
            ..Offered::default()
        };
        let all = EncryptedExtensions {
            alpn: Some(b"h2".to_vec()),
            alps: Some(b"settings".to_vec()),
            record_size_limit: Some(100),
        };
        assert_eq!(EncryptedExtensions::parse(&all.write().unwrap()[4..], &offered).unwrap(), all);
        let fault = |edit: &dyn Fn(&mut EncryptedExtensions)| {
            let mut it = all.clone();
            edit(&mut it);
            EncryptedExtensions::parse(&it.write().unwrap()[4..], &offered).unwrap_err().alert.name()
        };
        assert_eq!(fault(&|e| e.alpn = Some(b"h3".to_vec())), "illegal_parameter");
        assert_eq!(fault(&|e| e.alpn = Some(b"x".to_vec())), "illegal_parameter");
        let other = |e: &mut EncryptedExtensions| (e.alpn, e.alps) = (Some(b"h3".to_vec()), None);
        assert_eq!(fault(&other), "illegal_parameter");
        assert_eq!(fault(&|e| e.alpn = None), "illegal_parameter");
        assert_eq!(fault(&|e| e.alpn = Some(vec![])), "decode_error");
        assert_eq!(fault(&|e| e.record_size_limit = Some(63)), "illegal_parameter");
        let raw = |bytes: &[u8]| EncryptedExtensions::parse(bytes, &offered).map(|_| ()).map_err(|e| e.alert.name());
        assert_eq!(raw(&[0, 4, 0, 0, 0, 0]), Ok(()));
        assert_eq!(raw(&[0, 8, 0xca, 0x34, 0, 4, 0, 2, 1, 9]), Ok(()));
        assert_eq!(raw(&[0, 6, 0xca, 0x34, 0, 2, 0, 0]), Err("decode_error"));
        assert_eq!(raw(&[0, 7, 0xca, 0x34, 0, 3, 0, 1, 0]), Err("decode_error"));
        assert_eq!(raw(&[0, 10, 0xfe, 0x0d, 0, 6, 0, 4, 9, 9, 0, 0]), Ok(()));
        assert_eq!(raw(&[0, 9, 0xfe, 0x0d, 0, 5, 0, 3, 9, 9, 0]), Err("decode_error"));
        assert_eq!(raw(&[0, 8, 0, 0, 0, 0, 0, 0, 0, 0]), Err("decode_error"));
        assert_eq!(raw(&[0, 4, 0, 23, 0, 0]), Err("decode_error"));
        assert_eq!(raw(&[0, 5, 0xff, 1, 0, 1, 0]), Err("illegal_parameter"));
        assert_eq!(raw(&[0, 5, 0, 0, 0, 1, 0]), Err("decode_error"));
        assert_eq!(raw(&[0, 4, 0, 51, 0, 0]), Err("unsupported_extension"));
        assert_eq!(raw(&[0, 4, 0, 42, 0, 0]), Err("unsupported_extension"));
        let client = client_settings(b"mine").unwrap();
        assert_eq!(parse_client_settings(&client[4..]).unwrap(), b"mine");
        assert_eq!(parse_client_settings(&[0, 0]).unwrap_err().alert.name(), "missing_extension");
    }
}
