//! Header fields: bytes with a name, pseudo-header fields in front, nothing decoded and nothing joined.

use std::borrow::Cow;
use std::fmt;

/// A field name in lower case, as it travels. Names of the static table cost no allocation.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Name(pub Cow<'static, [u8]>);

impl Name {
    /// The bytes of the name.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// True for `:method` and its like (RFC 9113 section 8.3).
    #[must_use]
    pub fn is_pseudo(&self) -> bool {
        self.0.first() == Some(&b':')
    }
}

impl AsRef<[u8]> for Name {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl std::ops::Deref for Name {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl From<&'static str> for Name {
    fn from(name: &'static str) -> Self {
        Self(Cow::Borrowed(name.as_bytes()))
    }
}

impl From<&'static [u8]> for Name {
    fn from(name: &'static [u8]) -> Self {
        Self(Cow::Borrowed(name))
    }
}

impl From<String> for Name {
    fn from(name: String) -> Self {
        Self(Cow::Owned(name.into_bytes()))
    }
}

impl From<Vec<u8>> for Name {
    fn from(name: Vec<u8>) -> Self {
        Self(Cow::Owned(name))
    }
}

impl PartialEq<[u8]> for Name {
    fn eq(&self, other: &[u8]) -> bool {
        *self.0 == *other
    }
}

impl PartialEq<str> for Name {
    fn eq(&self, other: &str) -> bool {
        *self.0 == *other.as_bytes()
    }
}

impl PartialEq<&str> for Name {
    fn eq(&self, other: &&str) -> bool {
        *self.0 == *other.as_bytes()
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", String::from_utf8_lossy(&self.0))
    }
}

/// One header field.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Field {
    /// In lower case; pseudo-header names begin with a colon.
    pub name: Name,
    /// Any bytes but NUL, CR and LF, without white space at either end.
    pub value: Cow<'static, [u8]>,
    /// Never to be put into a compression table, by nobody on the way (RFC 7541 section 7.1.3).
    pub sensitive: bool,
}

impl Field {
    /// A field that may be indexed.
    pub fn new(name: impl Into<Name>, value: impl IntoValue) -> Self {
        Self { name: name.into(), value: value.into_value(), sensitive: false }
    }

    /// A field that is never indexed: credentials and everything random.
    pub fn sensitive(name: impl Into<Name>, value: impl IntoValue) -> Self {
        Self { name: name.into(), value: value.into_value(), sensitive: true }
    }

    /// What the field costs in a header list and in a table: both lengths and 32 (RFC 7541 section 4.1).
    #[must_use]
    pub fn size(&self) -> usize {
        self.name.len().saturating_add(self.value.len()).saturating_add(32)
    }
}

impl fmt::Debug for Field {
    /// Names only: values are credentials and destinations more often than not, and end up in logs by accident.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Field({:?}: {} bytes{})",
            self.name,
            self.value.len(),
            if self.sensitive { ", sensitive" } else { "" }
        )
    }
}

/// What can become a field value.
pub trait IntoValue {
    /// The bytes, borrowed where they live for ever.
    fn into_value(self) -> Cow<'static, [u8]>;
}

impl IntoValue for &'static str {
    fn into_value(self) -> Cow<'static, [u8]> {
        Cow::Borrowed(self.as_bytes())
    }
}

impl IntoValue for &'static [u8] {
    fn into_value(self) -> Cow<'static, [u8]> {
        Cow::Borrowed(self)
    }
}

impl IntoValue for String {
    fn into_value(self) -> Cow<'static, [u8]> {
        Cow::Owned(self.into_bytes())
    }
}

impl IntoValue for Vec<u8> {
    fn into_value(self) -> Cow<'static, [u8]> {
        Cow::Owned(self)
    }
}

impl IntoValue for Cow<'static, [u8]> {
    fn into_value(self) -> Cow<'static, [u8]> {
        self
    }
}

/// The value of the first field of that name, if any.
#[must_use]
pub fn find<'f>(fields: &'f [Field], name: &str) -> Option<&'f [u8]> {
    fields.iter().find(|field| field.name == *name).map(|field| &*field.value)
}

/// The three digits of `:status` as a number.
#[must_use]
pub fn status(fields: &[Field]) -> Option<u16> {
    let value = find(fields, ":status")?;
    (value.len() == 3).then_some(())?;
    value.iter().try_fold(0_u16, |sum, digit| digit.is_ascii_digit().then(|| sum * 10 + u16::from(digit - b'0')))
}
