//! The configuration document, schema `rozaneh.engine/1`: read and judged as a whole before anything changes.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rozaneh_transport::look::Look;
use rozaneh_wire::vless::Id;
use serde::{Deserialize, Deserializer};

use crate::policy::Net;

/// The schema this engine reads.
pub const SCHEMA: &str = "rozaneh.engine/1";

/// Why a document is refused: where, and what is wrong there. Holds no secret: values are not repeated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// Place in the document, such as `listeners[0].bind`.
    pub path: String,
    /// What is wrong.
    pub reason: String,
}

impl ConfigError {
    pub(crate) fn new(path: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { path: path.into(), reason: reason.into() }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.reason)
    }
}

impl std::error::Error for ConfigError {}

/// A string that never shows: passwords.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// SHA-256, in hexadecimal in the document.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest(pub [u8; 32]);

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest(…)")
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let mut bytes = [0; 32];
        let pairs = text.as_bytes().chunks_exact(2);
        if text.len() != 64 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(serde::de::Error::custom("64 hexadecimal digits are expected"));
        }
        for (byte, pair) in bytes.iter_mut().zip(pairs) {
            let digits = std::str::from_utf8(pair).map_err(serde::de::Error::custom)?;
            *byte = u8::from_str_radix(digits, 16).map_err(serde::de::Error::custom)?;
        }
        Ok(Self(bytes))
    }
}

/// A key of 32 bytes, base64url without padding in the document.
#[derive(Clone, PartialEq, Eq)]
pub struct Key(pub zeroize::Zeroizing<[u8; 32]>);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = zeroize::Zeroizing::new(String::deserialize(deserializer)?);
        let mut key = zeroize::Zeroizing::new([0; 32]);
        // Decoding asks for room for a multiple of three bytes.
        let mut room = zeroize::Zeroizing::new([0; 33]);
        let length = URL_SAFE_NO_PAD.decode_slice(text.as_bytes(), &mut *room).ok();
        match (length, room.first_chunk::<32>()) {
            (Some(32), Some(bytes)) => key.copy_from_slice(bytes),
            _ => return Err(serde::de::Error::custom("base64url of 32 bytes is expected")),
        }
        Ok(Self(key))
    }
}

/// A REALITY short id: 16 hexadecimal digits in the document.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ShortId(pub [u8; 8]);

impl fmt::Debug for ShortId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ShortId(…)")
    }
}

impl<'de> Deserialize<'de> for ShortId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let digits = text.len() == 16 && text.bytes().all(|b| b.is_ascii_hexdigit());
        let value = u64::from_str_radix(&text, 16).ok().filter(|_| digits);
        value
            .map(|value| Self(value.to_be_bytes()))
            .ok_or_else(|| serde::de::Error::custom("16 hexadecimal digits are expected"))
    }
}

/// The whole document.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub schema: String,
    /// Threads that move bytes; 0 is one a core.
    #[serde(default)]
    pub workers: usize,
    /// Browsers that upstreams look like, by name: `rozaneh.browser/1` documents whose signatures were checked.
    #[serde(default)]
    pub looks: BTreeMap<String, serde_json::Value>,
    #[serde(default)]
    pub listeners: Vec<Listener>,
    #[serde(default)]
    pub upstreams: Vec<Upstream>,
    #[serde(default)]
    pub users: Vec<User>,
    #[serde(default)]
    pub policy: Policy,
    #[serde(default)]
    pub resolver: Resolver,
    #[serde(default)]
    pub limits: Limits,
}

/// Where a listener listens.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Bind {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl<'de> Deserialize<'de> for Bind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match text.strip_prefix("unix:") {
            Some("") => Err(serde::de::Error::custom("a path is expected behind `unix:`")),
            Some(path) => Ok(Self::Unix(PathBuf::from(path))),
            None => text
                .parse()
                .map(Self::Tcp)
                .map_err(|_| serde::de::Error::custom("`address:port` or `unix:/path` is expected")),
        }
    }
}

/// A listener of one kind.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Listener {
    /// SOCKS5 and HTTP for programs of this machine.
    Proxy { tag: String, bind: Bind, auth: Auth, upstream: String },
    /// HTTP/2 over TLS, with a cover.
    H2 {
        tag: String,
        bind: Bind,
        cert_file: PathBuf,
        key_file: PathBuf,
        cover: Cover,
        upstream: String,
        #[serde(default)]
        services: Vec<Service>,
    },
    /// REALITY: friends speak HTTP/2 or VLESS, everybody else is relayed to the cover.
    Reality {
        tag: String,
        bind: Bind,
        upstream: String,
        #[serde(default)]
        services: Vec<Service>,
        private_key: Key,
        server_names: Vec<String>,
        short_ids: Vec<ShortId>,
        cover: RealityCover,
        #[serde(default = "two_minutes")]
        max_skew_s: u64,
        replay_file: PathBuf,
        #[serde(default)]
        mldsa65_seed: Option<Key>,
        #[serde(default = "all_protocols")]
        protocols: Vec<Protocol>,
    },
}

/// Where a REALITY listener's strangers go.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RealityCover {
    /// A web server, ours or another's.
    Address(SocketAddr),
    /// The `h2` listener of this name.
    Listener(String),
}

/// What friends may speak inside REALITY.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    H2,
    Vless,
}

fn two_minutes() -> u64 {
    120
}

fn all_protocols() -> Vec<Protocol> {
    vec![Protocol::H2, Protocol::Vless]
}

impl Listener {
    /// Its name.
    #[must_use]
    pub fn tag(&self) -> &str {
        match self {
            Self::Proxy { tag, .. } | Self::H2 { tag, .. } | Self::Reality { tag, .. } => tag,
        }
    }

    /// Where it listens.
    #[must_use]
    pub fn bind(&self) -> &Bind {
        match self {
            Self::Proxy { bind, .. } | Self::H2 { bind, .. } | Self::Reality { bind, .. } => bind,
        }
    }

    /// Where its streams go.
    #[must_use]
    pub fn upstream(&self) -> &str {
        match self {
            Self::Proxy { upstream, .. } | Self::H2 { upstream, .. } | Self::Reality { upstream, .. } => upstream,
        }
    }

    /// Its `type`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Proxy { .. } => "proxy",
            Self::H2 { .. } => "h2",
            Self::Reality { .. } => "reality",
        }
    }
}

/// Who may use a local proxy. There is no way to write "anybody".
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Auth {
    /// Programs of our own user, asked of the kernel before a byte is read.
    SameUser,
    /// User and password.
    Password { user: String, password_sha256: Digest },
    /// The credentials of the Unix socket's peer.
    PeerCred,
}

/// What strangers see.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Cover {
    /// The stock page of Debian's nginx.
    Stock,
    /// A directory, as nginx serves it.
    Directory { path: PathBuf },
    /// Another site.
    Proxy { url: String },
}

/// Documents answered inside the engine, under a name that is never resolved.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Service {
    pub authority: String,
    /// Base64, by compartment.
    pub documents: BTreeMap<String, String>,
}

/// Where streams go.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Upstream {
    /// The open internet, by the policy.
    Direct {
        tag: String,
        /// Source addresses; at most one a family.
        #[serde(default)]
        egress: Option<Vec<IpAddr>>,
    },
    /// A way over HTTP/2.
    H2 {
        tag: String,
        address: SocketAddr,
        server_name: String,
        user: String,
        password: Secret,
        #[serde(default = "two")]
        carriers: usize,
        /// A name in `looks`.
        look: String,
        security: Security,
    },
    /// VLESS 0, a connection a stream: what servers of others understand.
    Vless {
        tag: String,
        address: SocketAddr,
        server_name: String,
        /// A UUID, which is the whole secret.
        id: Secret,
        /// A name in `looks`.
        look: String,
        security: Security,
    },
    /// Another SOCKS5 proxy, which needs a password.
    Socks5 { tag: String, address: SocketAddr, user: String, password: Secret },
}

/// The outer layer of a way: how its TLS knows the edge.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Security {
    /// The edge's own certificate.
    Tls {
        /// Base64url of SHA-256 of the key's SubjectPublicKeyInfo.
        #[serde(default)]
        pin: Option<String>,
        /// Roots to trust instead of the system's, where there is no pin.
        #[serde(default)]
        ca_file: Option<PathBuf>,
    },
    /// The certificate of a cover, and an edge that proves its key in the handshake.
    Reality {
        /// The edge's X25519 key, base64url.
        public_key: String,
        /// 16 hexadecimal digits.
        short_id: String,
        /// Its ML-DSA-65 key, base64url, where the edge has to sign with it too.
        #[serde(default)]
        mldsa65: Option<String>,
        /// Seconds that the edge's clock is ahead of ours. The stamp in the hello is corrected by it, nothing else.
        #[serde(default)]
        clock_offset_s: i64,
        /// Roots that the cover's certificate may lead to instead of the system's.
        #[serde(default)]
        ca_file: Option<PathBuf>,
    },
}

fn two() -> usize {
    2
}

impl Upstream {
    /// Its name.
    #[must_use]
    pub fn tag(&self) -> &str {
        match self {
            Self::Direct { tag, .. } | Self::H2 { tag, .. } | Self::Vless { tag, .. } | Self::Socks5 { tag, .. } => tag,
        }
    }
}

/// Somebody who may pass, known by digests only.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct User {
    pub id: String,
    pub user_sha256: Digest,
    pub password_sha256: Digest,
    /// SHA-256 of the VLESS id's 16 bytes, of which bytes 6 and 7 are zero (they may carry a route).
    #[serde(default)]
    pub vless_sha256: Option<Digest>,
    pub compartment: String,
    #[serde(default)]
    pub up_bytes_per_s: Option<u64>,
    #[serde(default)]
    pub down_bytes_per_s: Option<u64>,
}

/// What may be dialled; see [`crate::policy`].
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    #[serde(default)]
    pub allow: Vec<String>,
    #[serde(default)]
    pub deny: Vec<String>,
    #[serde(default = "mail_ports")]
    pub denied_ports: Vec<u16>,
    #[serde(default)]
    pub own_addresses: Vec<IpAddr>,
}

/// SMTP, submission over TLS, submission: what an address is put on blocklists for.
fn mail_ports() -> Vec<u16> {
    vec![25, 465, 587]
}

impl Default for Policy {
    fn default() -> Self {
        Self { allow: Vec::new(), deny: Vec::new(), denied_ports: mail_ports(), own_addresses: Vec::new() }
    }
}

/// How names are resolved.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resolver {
    /// Name servers; the system's where missing.
    #[serde(default)]
    pub servers: Option<Vec<SocketAddr>>,
}

/// Bounds that are a matter of the machine's size.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Connections in all.
    pub connections: usize,
    /// Connections of one source address. Not below 1,024: readers sit behind shared addresses.
    pub connections_per_source: usize,
    /// Tunnels of one user.
    pub tunnels_per_user: u64,
    /// Seconds a dial may take.
    pub dial_timeout_s: u64,
    /// Seconds without a byte after which a tunnel ends; 0 is never.
    pub idle_tunnel_s: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // Two descriptors a tunnel, under the common hard limit of 20,000 and more.
            connections: 8_192,
            connections_per_source: 1_024,
            tunnels_per_user: 4_096,
            // Linux gives a SYN 21 s by three retries (tcp_syn_retries); a person has left before.
            dial_timeout_s: 20,
            idle_tunnel_s: 0,
        }
    }
}

impl Config {
    /// Reads and judges a document.
    ///
    /// # Errors
    /// The first thing that is wrong, with its place.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let mut json = serde_json::Deserializer::from_str(text);
        let config: Self = serde_path_to_error::deserialize(&mut json).map_err(|error| {
            let path = error.path().to_string();
            // The position behind " at line" is of no use to a person who did not write the document.
            let reason = error.into_inner().to_string();
            let reason = reason.split(" at line ").next().unwrap_or_default().to_owned();
            ConfigError::new(if path == "." { "document".to_owned() } else { path }, reason)
        })?;
        json.end().map_err(|_| ConfigError::new("document", "there is something behind the document"))?;
        config.check()?;
        Ok(config)
    }

    /// What an upstream looks like.
    pub(crate) fn look_of(&self, upstream: &Upstream) -> Option<&serde_json::Value> {
        match upstream {
            Upstream::H2 { look, .. } | Upstream::Vless { look, .. } => self.looks.get(look),
            Upstream::Direct { .. } | Upstream::Socks5 { .. } => None,
        }
    }

    fn check(&self) -> Result<(), ConfigError> {
        if self.schema != SCHEMA {
            return Err(ConfigError::new("schema", format!("this engine reads {SCHEMA}")));
        }
        if self.workers > 256 {
            return Err(ConfigError::new("workers", "at most 256"));
        }
        let mut tags = HashSet::new();
        for (i, upstream) in self.upstreams.iter().enumerate() {
            let at = |field: &str| format!("upstreams[{i}].{field}");
            if upstream.tag().is_empty() || !tags.insert(upstream.tag()) {
                return Err(ConfigError::new(at("tag"), "missing, or used twice"));
            }
            match upstream {
                Upstream::Direct { egress: Some(egress), .. } => {
                    let families = [
                        egress.iter().filter(|ip| ip.is_ipv4()).count(),
                        egress.iter().filter(|ip| ip.is_ipv6()).count(),
                    ];
                    if families.iter().any(|n| *n > 1) {
                        return Err(ConfigError::new(at("egress"), "at most one address a family"));
                    }
                }
                Upstream::H2 { carriers, .. } if !(1..=2).contains(carriers) => {
                    // Every further connection to one server is a habit no browser has.
                    return Err(ConfigError::new(at("carriers"), "1 or 2"));
                }
                Upstream::Vless { id, .. } if Id::parse(&id.0).is_none() => {
                    return Err(ConfigError::new(at("id"), "a UUID is expected"));
                }
                Upstream::H2 { look, .. } | Upstream::Vless { look, .. } if !self.looks.contains_key(look) => {
                    return Err(ConfigError::new(at("look"), "there is no such look"));
                }
                _ => {}
            }
        }
        for (name, document) in &self.looks {
            Look::from_json(document.to_string().as_bytes())
                .map_err(|reason| ConfigError::new(format!("looks.{name}"), reason))?;
        }
        let known: HashSet<&str> = self.upstreams.iter().map(Upstream::tag).collect();
        let mut tags = HashSet::new();
        for (i, listener) in self.listeners.iter().enumerate() {
            let at = |field: &str| format!("listeners[{i}].{field}");
            if listener.tag().is_empty() || !tags.insert(listener.tag()) {
                return Err(ConfigError::new(at("tag"), "missing, or used twice"));
            }
            if !known.contains(listener.upstream()) {
                return Err(ConfigError::new(at("upstream"), "there is no such upstream"));
            }
            match (listener, listener.bind()) {
                (Listener::Proxy { auth: Auth::SameUser, .. }, Bind::Unix(_)) => {
                    return Err(ConfigError::new(at("auth"), "a unix socket takes `peer_cred` or `password`"));
                }
                (Listener::Proxy { auth: Auth::PeerCred, .. }, Bind::Tcp(_)) => {
                    return Err(ConfigError::new(at("auth"), "TCP takes `same_user` or `password`"));
                }
                (Listener::Proxy { auth: Auth::SameUser, .. }, Bind::Tcp(addr)) if !addr.ip().is_loopback() => {
                    return Err(ConfigError::new(
                        at("auth"),
                        "`same_user` works on loopback only; others need `password`",
                    ));
                }
                (Listener::Proxy { auth: Auth::Password { user, .. }, .. }, _)
                    if user.is_empty() || user.len() > 255 =>
                {
                    return Err(ConfigError::new(at("auth.user"), "1 to 255 bytes (RFC 1929)"));
                }
                (Listener::H2 { .. } | Listener::Reality { .. }, Bind::Unix(_)) => {
                    return Err(ConfigError::new(at("bind"), "a way listens on TCP"));
                }
                (Listener::H2 { cover: Cover::Proxy { url }, .. }, _)
                    if !(url.starts_with("http://") || url.starts_with("https://")) =>
                {
                    return Err(ConfigError::new(at("cover.url"), "http:// or https:// is expected"));
                }
                _ => {}
            }
        }
        crate::reality::check(&self.listeners)?;
        check_users(&self.users)?;
        for (name, nets) in [("allow", &self.policy.allow), ("deny", &self.policy.deny)] {
            for (i, net) in nets.iter().enumerate() {
                net.parse::<Net>().map_err(|e| ConfigError::new(format!("policy.{name}[{i}]"), e.to_string()))?;
            }
        }
        if self.resolver.servers.as_ref().is_some_and(Vec::is_empty) {
            return Err(ConfigError::new("resolver.servers", "null for the system's, or at least one"));
        }
        if self.limits.connections_per_source < 1_024 {
            return Err(ConfigError::new("limits.connections_per_source", "at least 1024: readers share addresses"));
        }
        if self.limits.connections == 0 || self.limits.tunnels_per_user == 0 || self.limits.dial_timeout_s == 0 {
            return Err(ConfigError::new("limits", "zero would let nothing through"));
        }
        Ok(())
    }
}

/// Users are also replaced on their own.
pub(crate) fn check_users(users: &[User]) -> Result<(), ConfigError> {
    let mut ids = HashSet::new();
    let mut names = HashSet::new();
    let mut vless = HashSet::new();
    for (i, user) in users.iter().enumerate() {
        if user.id.is_empty() || !ids.insert(&user.id) {
            return Err(ConfigError::new(format!("users[{i}].id"), "missing, or used twice"));
        }
        if !names.insert(user.user_sha256) {
            return Err(ConfigError::new(format!("users[{i}].user_sha256"), "used twice"));
        }
        if user.vless_sha256.is_some_and(|id| !vless.insert(id)) {
            return Err(ConfigError::new(format!("users[{i}].vless_sha256"), "used twice"));
        }
        for (name, rate) in [("up_bytes_per_s", user.up_bytes_per_s), ("down_bytes_per_s", user.down_bytes_per_s)] {
            if rate == Some(0) {
                return Err(ConfigError::new(format!("users[{i}].{name}"), "null for no limit, or more than 0"));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        Config::parse(text).expect_err("must be refused").to_string()
    }

    #[test]
    fn says_where_and_what() {
        assert_eq!(refused(r#"{"schema":"rozaneh.engine/2"}"#), "schema: this engine reads rozaneh.engine/1");
        assert!(refused(r#"{"schema":"rozaneh.engine/1","extra":1}"#).starts_with("extra: unknown field `extra`"));
        let limits = r#"{"schema":"rozaneh.engine/1","limits":{"conections":1}}"#;
        assert!(refused(limits).starts_with("limits.conections: unknown field"), "{}", refused(limits));
        assert!(refused("[]").starts_with("document: "));
        assert!(refused(r#"{"schema":"rozaneh.engine/1"} 1"#).contains("behind"));
    }

    #[test]
    fn there_is_no_open_proxy() {
        let with = |bind: &str, auth: &str| {
            format!(
                r#"{{"schema":"rozaneh.engine/1","upstreams":[{{"tag":"d","type":"direct"}}],
                "listeners":[{{"tag":"l","type":"proxy","bind":"{bind}","upstream":"d"{auth}}}]}}"#
            )
        };
        assert!(refused(&with("127.0.0.1:0", "")).contains("auth"));
        for kind in ["none", "open", "anyone", ""] {
            refused(&with("127.0.0.1:0", &format!(r#","auth":{{"type":"{kind}"}}"#)));
        }
        refused(&with("127.0.0.1:0", r#","auth":{"type":"peer_cred"}"#));
        refused(&with("0.0.0.0:0", r#","auth":{"type":"same_user"}"#));
        refused(&with("unix:/x", r#","auth":{"type":"same_user"}"#));
        assert!(Config::parse(&with("127.0.0.1:0", r#","auth":{"type":"same_user"}"#)).is_ok());
        assert!(Config::parse(&with("[::1]:0", r#","auth":{"type":"same_user"}"#)).is_ok());
        assert!(Config::parse(&with("unix:/x", r#","auth":{"type":"peer_cred"}"#)).is_ok());
    }

    #[test]
    fn secrets_do_not_show() {
        let text = r#"{"schema":"rozaneh.engine/1","upstreams":[{"tag":"w","type":"socks5","address":"127.0.0.1:1","user":"u","password":"hunter2"}]}"#;
        assert!(!format!("{:?}", Config::parse(text).unwrap()).contains("hunter2"));
    }
}
