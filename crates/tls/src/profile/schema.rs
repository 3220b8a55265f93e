//! The document `rozaneh.browser/1` as types: unknown keys are refused, and values are checked once, on reading.

use serde::Deserialize;
use serde::de::{Deserializer, Error as _};

use crate::error::LocalError;

/// The schema's name.
pub const SCHEMA: &str = "rozaneh.browser/1";
/// Chromium's takes 4 KiB.
const MAX_BYTES: usize = 64 * 1024;

/// What the engine and whoever opens its connections use of a profile; the rest is for people.
#[derive(Clone, Debug, Deserialize)]
pub struct Browser {
    schema: String,
    pub name: String,
    pub version: String,
    pub hello: Hello,
    pub resumption: Option<Resumption>,
    pub http2: Option<Http2>,
    pub connections: Option<Connections>,
}

/// How HTTP/2 is opened above it.
#[derive(Clone, Debug, Deserialize)]
pub struct Http2 {
    /// Number and value of each setting, in order.
    pub settings: Vec<(u16, u32)>,
    /// What the connection's window grows by.
    pub window_update: u32,
    pub first_stream: u32,
    pub priority: Option<Priority>,
    /// Pseudo-header fields of a request, in order.
    pub pseudo: Vec<String>,
    /// Its other fields, in order.
    pub headers: Vec<String>,
    /// Their values when a person opens a page; none where they were not captured.
    #[serde(default)]
    pub values: Vec<String>,
    /// What goes before any answer, by records.
    pub opening: Vec<Vec<String>>,
    /// What the first request's stream grows by right behind the request.
    #[serde(default)]
    pub stream_update: u32,
}

/// The priority of the first request (RFC 7540 section 5.3), its weight from 1 to 256.
#[derive(Clone, Debug, Deserialize)]
pub struct Priority {
    pub exclusive: bool,
    pub depends_on: u32,
    pub weight: u16,
}

/// How long idle connections are kept; none where longer than `watched_s`.
#[derive(Clone, Debug, Deserialize)]
pub struct Connections {
    pub http1_idle_s: Option<f64>,
    pub http2_idle_s: Option<f64>,
    #[serde(default)]
    pub watched_s: u32,
}

/// How tickets are used.
#[derive(Clone, Debug, Deserialize)]
pub struct Resumption {
    /// How many are offered at once; 0 where none ever is.
    pub identities: u32,
    /// Extensions that a hello with a ticket does not have.
    pub removed: Vec<u16>,
}

/// The first hello of a connection without a ticket.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hello {
    pub record_version: u16,
    pub version: u16,
    pub session_id: u8,
    #[serde(deserialize_with = "hexadecimal")]
    pub compression: Vec<u8>,
    pub grease: Vec<Grease>,
    pub ciphers: Vec<Number>,
    pub extensions: Vec<Extension>,
    #[serde(default)]
    pub records: Vec<u16>,
}

/// One GREASE value of a hello (RFC 8701).
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grease {
    pub name: String,
    pub unlike: Option<String>,
    #[serde(default)]
    pub flip: u16,
}

/// A registered number, or the name of a GREASE variable.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(untagged)]
pub enum Number {
    Registered(u16),
    Grease(String),
}

/// One extension and the generator of its body.
#[derive(Clone, Debug, Deserialize)]
pub struct Extension {
    #[serde(rename = "type")]
    pub number: Number,
    #[serde(default)]
    pub shuffle: bool,
    pub share: Option<f64>,
    #[serde(flatten)]
    pub body: Body,
}

/// The generators.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Body {
    Fixed {
        #[serde(default, deserialize_with = "hexadecimal")]
        body: Vec<u8>,
    },
    Choice {
        bodies: Vec<Choice>,
    },
    ServerName {},
    Numbers {
        prefix: u8,
        values: Vec<Number>,
    },
    KeyShare {
        shares: Vec<Share>,
        /// The X25519 key is that of the hybrid share.
        #[serde(default)]
        one_x25519: bool,
    },
    EchGrease {
        suites: Vec<Suite>,
        key: u16,
        /// The key is one of X25519; otherwise any bytes.
        #[serde(default)]
        x25519: bool,
        payloads: Vec<Length>,
    },
    Padding {
        above: u16,
        to: u16,
    },
}

/// One of several bodies.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Choice {
    #[serde(deserialize_with = "hexadecimal")]
    pub body: Vec<u8>,
    pub weight: u32,
}

/// A key share: with a real key, or with these very bytes.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Share {
    pub group: Number,
    #[serde(default, deserialize_with = "maybe_hexadecimal")]
    pub body: Option<Vec<u8>>,
}

/// One of several HPKE suites (RFC 9180 section 7).
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Suite {
    pub kdf: u16,
    pub aead: u16,
    pub weight: u32,
}

/// One of several lengths.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Length {
    pub length: u16,
    pub weight: u32,
}

impl Browser {
    /// Reads a document whose signature was checked.
    ///
    /// # Errors
    /// [`LocalError::Config`] where it is not of this schema or its values make no sense.
    pub fn from_json(document: &[u8]) -> Result<Self, LocalError> {
        const MALFORMED: LocalError = LocalError::Config("the browser profile is not well formed");
        if document.len() > MAX_BYTES {
            return Err(LocalError::Config("the browser profile is too large"));
        }
        let read: Self = serde_json::from_slice(document).map_err(|_| MALFORMED)?;
        if read.schema != SCHEMA {
            return Err(LocalError::Config("the browser profile has another schema"));
        }
        let habits = read.http2.as_ref().is_none_or(Http2::sensible)
            && read.connections.as_ref().is_none_or(Connections::sensible);
        if read.hello.sensible() && habits { Ok(read) } else { Err(MALFORMED) }
    }
}

impl Http2 {
    /// Whether it is an opening that RFC 9113 allows (sections 5.1.1, 6.5.2, 6.9.1; RFC 7540 section 6.3 for weights).
    fn sensible(&self) -> bool {
        let fits = |(number, value): &(u16, u32)| match number {
            2 => *value <= 1,
            4 => *value < 1 << 31,
            5 => (1 << 14..1 << 24).contains(value),
            _ => true,
        };
        let names = self.pseudo.iter().chain(&self.headers);
        self.settings.len() <= 64
            && self.settings.iter().all(fits)
            && self.window_update < 1 << 31
            && self.stream_update < 1 << 30
            && (self.values.is_empty() || self.values.len() == self.headers.len())
            && self.values.iter().all(|value| value.bytes().all(|byte| (0x20..0x7f).contains(&byte)))
            && self.first_stream % 2 == 1
            && self.first_stream < 1 << 30
            && self.priority.as_ref().is_none_or(|one| (1..=256).contains(&one.weight) && one.depends_on < 1 << 31)
            && names.clone().count() <= 64
            && names.clone().all(|name| !name.is_empty() && name.len() <= 64)
    }
}

impl Connections {
    fn sensible(&self) -> bool {
        // A week; also keeps the sum with any clock's reading in range.
        [self.http1_idle_s, self.http2_idle_s].iter().flatten().all(|seconds| (0.001..=604_800.0).contains(seconds))
    }
}

impl Hello {
    /// Whether every name is known, every weight positive and every vector short enough for its length field.
    fn sensible(&self) -> bool {
        let known = |name: &String, among: &[Grease]| among.iter().any(|variable| variable.name == *name);
        let named = |number: &Number| match number {
            Number::Registered(_) => true,
            Number::Grease(name) => known(name, &self.grease),
        };
        let variables = self.grease.iter().enumerate().all(|(index, variable)| {
            let earlier = self.grease.get(..index).unwrap_or_default();
            let flips = variable.flip & 0x0f0f == 0 && variable.flip >> 8 == variable.flip & 0xff;
            flips && !known(&variable.name, earlier) && variable.unlike.as_ref().is_none_or(|name| known(name, earlier))
        });
        variables
            && self.session_id <= 32
            && !self.ciphers.is_empty()
            && !self.records.contains(&0)
            && self.ciphers.iter().all(named)
            && self.extensions.iter().all(|extension| {
                named(&extension.number)
                    && extension.share.is_none_or(|share| 0.0 < share && share < 1.0)
                    && extension.body.sensible(named)
            })
    }
}

impl Body {
    fn sensible(&self, named: impl Fn(&Number) -> bool) -> bool {
        match self {
            Self::Fixed { .. } | Self::ServerName {} => true,
            Self::Choice { bodies } => weighed(bodies.iter().map(|one| one.weight)),
            Self::Numbers { prefix: 1, values } => values.len() < 128 && values.iter().all(named),
            Self::Numbers { prefix, values } => *prefix == 2 && values.len() < 1 << 15 && values.iter().all(named),
            Self::KeyShare { shares, .. } => shares.iter().all(|share| {
                named(&share.group) && (share.body.is_some() || matches!(share.group, Number::Registered(_)))
            }),
            Self::EchGrease { suites, key, x25519, payloads } => {
                weighed(suites.iter().map(|one| one.weight))
                    && weighed(payloads.iter().map(|one| one.weight))
                    && *key <= 1 << 14
                    && (!x25519 || *key == 32)
                    && payloads.iter().all(|one| one.length <= 1 << 14)
            }
            Self::Padding { above, to } => above <= to && *to <= 1 << 14,
        }
    }
}

fn weighed(mut weights: impl ExactSizeIterator<Item = u32>) -> bool {
    (1..=256).contains(&weights.len()) && weights.all(|weight| 0 < weight && weight < 1 << 23)
}

fn hexadecimal<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
    let text = String::deserialize(from)?;
    unhex(&text).ok_or_else(|| D::Error::custom("not hexadecimal"))
}

fn maybe_hexadecimal<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Vec<u8>>, D::Error> {
    hexadecimal(from).map(Some)
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|value| u8::try_from(value).ok());
    let pairs = text.as_bytes().chunks(2);
    pairs
        .map(|pair| match *pair {
            [high, low] => Some(digit(high)? << 4 | digit(low)?),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHROMIUM: &str = super::super::tests::CHROMIUM;

    fn refused(from: &str, to: &str) {
        let changed = CHROMIUM.replacen(from, to, 1);
        assert_ne!(changed, CHROMIUM, "{from}");
        assert!(Browser::from_json(changed.as_bytes()).is_err(), "{to}");
    }

    #[test]
    fn the_shipped_profile_is_read() {
        let browser = Browser::from_json(CHROMIUM.as_bytes()).unwrap();
        assert_eq!(browser.name, "chromium");
        assert_eq!(browser.hello.session_id, 32);
        assert!(browser.hello.extensions.iter().any(|one| matches!(one.body, Body::EchGrease { key: 32, .. })));
    }

    #[test]
    fn another_schema_and_unknown_keys_are_refused() {
        refused("rozaneh.browser/1", "rozaneh.browser/2");
        refused("\"session_id\"", "\"session_identifier\"");
        refused("\"kind\": \"fixed\"", "\"kind\": \"mended\"");
        refused("\"kind\": \"server_name\",", "\"kind\": \"server_name\", \"zeal\": 1,");
        refused("\"kdf\"", "\"xdf\"");
        refused("\"unlike\"", "\"like\"");
        assert!(Browser::from_json(b"").is_err());
        assert!(Browser::from_json(&[b' '; MAX_BYTES + 1]).is_err());
    }

    #[test]
    fn values_that_make_no_sense_are_refused() {
        refused("\"session_id\": 32", "\"session_id\": 33");
        refused("\"session_id\": 32", "\"session_id\": -1");
        refused("\"unlike\": \"extension1\"", "\"unlike\": \"later\"");
        refused("\"flip\": 4112", "\"flip\": 4113");
        refused("\"name\": \"group1\"", "\"name\": \"group9\"");
        refused("\"name\": \"group1\"", "\"name\": \"cipher1\"");
        refused("\"compression\": \"00\"", "\"compression\": \"0\"");
        refused("\"compression\": \"00\"", "\"compression\": \"0g\"");
        refused("\"weight\": 1", "\"weight\": 0");
        refused("\"prefix\": 2", "\"prefix\": 3");
        refused("\"key\": 32", "\"key\": 65");
        refused("\"group\": 4588", "\"group\": 70000");
        refused("\"type\": 0,", "\"type\": 0, \"share\": 1.5,");
        refused("\"first_stream\": 1", "\"first_stream\": 2");
        refused("\"weight\": 256", "\"weight\": 257");
        refused("6291456", "2147483648");
        refused("15663105", "2147483648");
        refused("322.1", "-1");
        // A GREASE share without bytes: there is no key of such a group.
        refused("\"group\": \"group1\",\n      \"body\": \"00\"", "\"group\": \"group1\"");
    }
}
