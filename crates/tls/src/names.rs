//! The registries: numbers that peers exchange, and the names people use for them.
//!
//! Plain numbers, not enums: a peer may write any of them, and a browser profile offers some that we only carry.

/// ContentType (RFC 8446 section 5.1).
pub mod content {
    pub const CHANGE_CIPHER_SPEC: u8 = 20;
    pub const ALERT: u8 = 21;
    pub const HANDSHAKE: u8 = 22;
    pub const APPLICATION_DATA: u8 = 23;
}

/// HandshakeType (RFC 8446 section 4; 25 from RFC 8879 section 4).
pub mod message {
    pub const CLIENT_HELLO: u8 = 1;
    pub const SERVER_HELLO: u8 = 2;
    pub const NEW_SESSION_TICKET: u8 = 4;
    pub const ENCRYPTED_EXTENSIONS: u8 = 8;
    pub const CERTIFICATE: u8 = 11;
    pub const CERTIFICATE_REQUEST: u8 = 13;
    pub const CERTIFICATE_VERIFY: u8 = 15;
    pub const FINISHED: u8 = 20;
    pub const KEY_UPDATE: u8 = 24;
    pub const COMPRESSED_CERTIFICATE: u8 = 25;
    /// Synthetic, never on the wire (RFC 8446 section 4.4.1).
    pub const MESSAGE_HASH: u8 = 254;
}

/// ExtensionType (RFC 8446 section 4.2 and the documents named).
pub mod extension {
    pub const SERVER_NAME: u16 = 0;
    pub const STATUS_REQUEST: u16 = 5;
    pub const SUPPORTED_GROUPS: u16 = 10;
    pub const SIGNATURE_ALGORITHMS: u16 = 13;
    pub const ALPN: u16 = 16;
    pub const SCT: u16 = 18;
    /// extended_master_secret (RFC 7627), and the next of RFC 5077, RFC 8422 and RFC 5746: TLS 1.2 alone has them.
    pub const EMS: u16 = 23;
    pub const SESSION_TICKET: u16 = 35;
    pub const POINTS: u16 = 11;
    pub const RENEGOTIATION: u16 = 0xff01;
    pub const PADDING: u16 = 21;
    /// RFC 8879.
    pub const COMPRESS_CERTIFICATE: u16 = 27;
    /// RFC 8449.
    pub const RECORD_SIZE_LIMIT: u16 = 28;
    /// draft-ietf-tls-tlsflags.
    pub const FLAGS: u16 = 62;
    /// RFC 9345.
    pub const DELEGATED_CREDENTIAL: u16 = 34;
    pub const PRE_SHARED_KEY: u16 = 41;
    pub const EARLY_DATA: u16 = 42;
    pub const SUPPORTED_VERSIONS: u16 = 43;
    pub const COOKIE: u16 = 44;
    pub const PSK_MODES: u16 = 45;
    pub const CERTIFICATE_AUTHORITIES: u16 = 47;
    pub const OID_FILTERS: u16 = 48;
    pub const POST_HANDSHAKE_AUTH: u16 = 49;
    pub const SIGNATURE_ALGORITHMS_CERT: u16 = 50;
    pub const KEY_SHARE: u16 = 51;
    /// trust_anchors (draft-ietf-tls-trust-anchor-ids), as Chrome offers it.
    pub const TRUST_ANCHORS: u16 = 0xca34;
    /// application_settings, the codepoint Chrome uses since 2024 (draft-vvv-tls-alps; BoringSSL's "new codepoint").
    pub const ALPS: u16 = 17_613;
    /// encrypted_client_hello (draft-ietf-tls-esni).
    pub const ECH: u16 = 0xfe0d;
}

/// Cipher suites of TLS 1.3 (RFC 8446 appendix B.4).
pub mod suite {
    pub const AES_128_GCM_SHA256: u16 = 0x1301;
    pub const AES_256_GCM_SHA384: u16 = 0x1302;
    pub const CHACHA20_POLY1305_SHA256: u16 = 0x1303;
}

/// NamedGroup (RFC 8446 section 4.2.7; the hybrid from draft-ietf-tls-ecdhe-mlkem).
pub mod group {
    pub const P256: u16 = 0x0017;
    pub const P384: u16 = 0x0018;
    pub const X25519: u16 = 0x001d;
    pub const X25519MLKEM768: u16 = 0x11ec;
}

/// SignatureScheme (RFC 8446 section 4.2.3; ML-DSA from draft-ietf-tls-mldsa).
pub mod scheme {
    pub const RSA_PKCS1_SHA256: u16 = 0x0401;
    pub const ECDSA_P256_SHA256: u16 = 0x0403;
    pub const RSA_PKCS1_SHA384: u16 = 0x0501;
    pub const ECDSA_P384_SHA384: u16 = 0x0503;
    pub const RSA_PKCS1_SHA512: u16 = 0x0601;
    pub const ECDSA_P521_SHA512: u16 = 0x0603;
    pub const RSA_PSS_SHA256: u16 = 0x0804;
    pub const RSA_PSS_SHA384: u16 = 0x0805;
    pub const RSA_PSS_SHA512: u16 = 0x0806;
    pub const ED25519: u16 = 0x0807;
    pub const ML_DSA_44: u16 = 0x0904;
    pub const ML_DSA_65: u16 = 0x0905;
    pub const ML_DSA_87: u16 = 0x0906;
}

/// CertificateCompressionAlgorithm (RFC 8879 section 7.3).
pub mod compression {
    pub const ZLIB: u16 = 1;
    pub const BROTLI: u16 = 2;
    pub const ZSTD: u16 = 3;
}

/// ProtocolVersion (RFC 8446 section 4.1.2 and 4.2.1).
pub mod version {
    pub const TLS10: u16 = 0x0301;
    pub const TLS12: u16 = 0x0303;
    pub const TLS13: u16 = 0x0304;
}

/// PskKeyExchangeMode psk_dhe_ke (RFC 8446 section 4.2.9).
pub const PSK_DHE_KE: u8 = 1;
