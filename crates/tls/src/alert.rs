//! Alerts: what one side says when it ends a connection (RFC 8446 section 6).
//!
//! On the wire an alert is a level and a description. TLS 1.3 fixes the level by the description: `close_notify` and
//! `user_canceled` are warnings, everything else is fatal.

use std::fmt;

use crate::error::{Error, RemoteError};

/// An alert description; every value is representable, because peers may send any.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Alert(pub u8);

macro_rules! alerts {
    ($($name:ident = $value:literal $text:literal),+ $(,)?) => {
        impl Alert {
            $(pub const $name: Self = Self($value);)+

            /// The name the RFC gives it.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self.0 {
                    $($value => $text,)+
                    _ => "unknown_alert",
                }
            }
        }
    };
}

// RFC 8446 section 6 and appendix B.2; 109 and 116 are from the same table, 120 from RFC 7301 section 3.2, and 121
// from the ECH draft (draft-ietf-tls-esni), which only names it in logs here: we offer ECH as GREASE.
alerts! {
    CLOSE_NOTIFY = 0 "close_notify",
    UNEXPECTED_MESSAGE = 10 "unexpected_message",
    BAD_RECORD_MAC = 20 "bad_record_mac",
    RECORD_OVERFLOW = 22 "record_overflow",
    HANDSHAKE_FAILURE = 40 "handshake_failure",
    BAD_CERTIFICATE = 42 "bad_certificate",
    UNSUPPORTED_CERTIFICATE = 43 "unsupported_certificate",
    CERTIFICATE_REVOKED = 44 "certificate_revoked",
    CERTIFICATE_EXPIRED = 45 "certificate_expired",
    CERTIFICATE_UNKNOWN = 46 "certificate_unknown",
    ILLEGAL_PARAMETER = 47 "illegal_parameter",
    UNKNOWN_CA = 48 "unknown_ca",
    ACCESS_DENIED = 49 "access_denied",
    DECODE_ERROR = 50 "decode_error",
    DECRYPT_ERROR = 51 "decrypt_error",
    PROTOCOL_VERSION = 70 "protocol_version",
    INSUFFICIENT_SECURITY = 71 "insufficient_security",
    INTERNAL_ERROR = 80 "internal_error",
    INAPPROPRIATE_FALLBACK = 86 "inappropriate_fallback",
    USER_CANCELED = 90 "user_canceled",
    MISSING_EXTENSION = 109 "missing_extension",
    UNSUPPORTED_EXTENSION = 110 "unsupported_extension",
    UNRECOGNIZED_NAME = 112 "unrecognized_name",
    BAD_CERTIFICATE_STATUS_RESPONSE = 113 "bad_certificate_status_response",
    UNKNOWN_PSK_IDENTITY = 115 "unknown_psk_identity",
    CERTIFICATE_REQUIRED = 116 "certificate_required",
    NO_APPLICATION_PROTOCOL = 120 "no_application_protocol",
    ECH_REQUIRED = 121 "ech_required",
}

impl Alert {
    /// The two bytes of the message: warning(1) for the closing alerts, else fatal(2) (RFC 8446 section 6).
    #[must_use]
    pub const fn message(self) -> [u8; 2] {
        match self {
            Self::CLOSE_NOTIFY | Self::USER_CANCELED => [1, self.0],
            _ => [2, self.0],
        }
    }
}

/// What an alert that came asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// An orderly end.
    Close,
    /// A warning that ends nothing; how many may come in a row is [`MAX_WARNINGS`].
    Warning,
}

/// Warnings in a row that are dropped: BoringSSL's number, the RFC has none (kMaxWarningAlerts in ssl/tls_record.cc).
pub(crate) const MAX_WARNINGS: u32 = 4;

/// Reads an alert record. Section 6 has the level ignored; BoringSSL judges it, and so Chrome (ssl_process_alert in
/// ssl/tls_record.cc): warnings of TLS 1.2 have no place once TLS 1.3 is `settled`, but `user_canceled` has.
pub(crate) fn hear(body: &[u8], settled: bool) -> Result<Heard, Error> {
    match *body {
        [1, 0] => Ok(Heard::Close),
        [1, kind] if settled && Alert(kind) != Alert::USER_CANCELED => {
            Err(RemoteError::decode("a warning that TLS 1.3 does not have").into())
        }
        [1, _] => Ok(Heard::Warning),
        [2, kind] => Err(Error::Peer(Alert(kind))),
        [_, _] => Err(RemoteError::illegal("an alert of an unknown level").into()),
        _ => Err(RemoteError::decode("an alert of a wrong length").into()),
    }
}

impl fmt::Display for Alert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Debug for Alert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({})", self.name(), self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_and_names() {
        assert_eq!(Alert::CLOSE_NOTIFY.message(), [1, 0]);
        assert_eq!(Alert::USER_CANCELED.message(), [1, 90]);
        assert_eq!(Alert::DECODE_ERROR.message(), [2, 50]);
        assert_eq!(format!("{} {:?}", Alert::UNKNOWN_CA, Alert(200)), "unknown_ca unknown_alert(200)");
    }
}
