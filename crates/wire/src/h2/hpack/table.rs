//! The static table (RFC 7541 appendix A) and the dynamic one (section 2.3.2).

use std::borrow::Cow;
use std::collections::VecDeque;

use crate::h2::field::Name;

/// Entries of the static table.
pub(super) const STATIC_LEN: usize = 61;

/// The static table; index 1 is the first entry.
#[rustfmt::skip]
pub(super) const STATIC: [(&str, &str); STATIC_LEN] = [
    (":authority", ""), (":method", "GET"), (":method", "POST"), (":path", "/"), (":path", "/index.html"),
    (":scheme", "http"), (":scheme", "https"), (":status", "200"), (":status", "204"), (":status", "206"),
    (":status", "304"), (":status", "400"), (":status", "404"), (":status", "500"), ("accept-charset", ""),
    ("accept-encoding", "gzip, deflate"), ("accept-language", ""), ("accept-ranges", ""), ("accept", ""),
    ("access-control-allow-origin", ""), ("age", ""), ("allow", ""), ("authorization", ""), ("cache-control", ""),
    ("content-disposition", ""), ("content-encoding", ""), ("content-language", ""), ("content-length", ""),
    ("content-location", ""), ("content-range", ""), ("content-type", ""), ("cookie", ""), ("date", ""), ("etag", ""),
    ("expect", ""), ("expires", ""), ("from", ""), ("host", ""), ("if-match", ""), ("if-modified-since", ""),
    ("if-none-match", ""), ("if-range", ""), ("if-unmodified-since", ""), ("last-modified", ""), ("link", ""),
    ("location", ""), ("max-forwards", ""), ("proxy-authenticate", ""), ("proxy-authorization", ""), ("range", ""),
    ("referer", ""), ("refresh", ""), ("retry-after", ""), ("server", ""), ("set-cookie", ""),
    ("strict-transport-security", ""), ("transfer-encoding", ""), ("user-agent", ""), ("vary", ""), ("via", ""),
    ("www-authenticate", ""),
];

/// Where a field is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Name and value.
    Whole(usize),
    /// The name only.
    Name(usize),
    Nothing,
}

/// First index of that name in the static table, 0 where there is none.
pub(super) fn static_name(name: &[u8]) -> usize {
    // The table holds few names of one length, so length and first bytes decide almost at once.
    STATIC.iter().position(|(known, _)| known.as_bytes() == name).map_or(0, |at| at + 1)
}

/// Looks a field up in the static table alone.
pub(super) fn static_find(name: &[u8], value: &[u8]) -> Found {
    let first = static_name(name);
    if first == 0 {
        return Found::Nothing;
    }
    for (at, (known, text)) in STATIC.iter().enumerate().skip(first - 1) {
        if known.as_bytes() != name {
            break;
        }
        // An empty value in the table stands for "no value": nobody means the field with an empty value by it, but
        // RFC 7541 section 2.3.1 does, so an empty value matches it.
        if text.as_bytes() == value {
            return Found::Whole(at + 1);
        }
    }
    Found::Name(first)
}

/// One entry of the dynamic table.
#[derive(Clone, Debug)]
struct Entry {
    hash: u32,
    name: Name,
    value: Cow<'static, [u8]>,
}

impl Entry {
    fn size(&self) -> usize {
        self.name.len() + self.value.len() + 32
    }
}

/// The dynamic table: the newest entry has index 62.
#[derive(Debug, Default)]
pub(super) struct Table {
    entries: VecDeque<Entry>,
    /// Sum of the entries' sizes (RFC 7541 section 4.1).
    size: usize,
    /// Where eviction begins.
    max: usize,
}

impl Table {
    pub fn new(max: usize) -> Self {
        Self { entries: VecDeque::new(), size: 0, max }
    }

    pub fn max(&self) -> usize {
        self.max
    }

    #[cfg(test)]
    pub fn size(&self) -> usize {
        self.size
    }

    pub fn resize(&mut self, max: usize) {
        self.max = max;
        self.evict(0);
        if self.entries.is_empty() {
            self.entries = VecDeque::new();
        }
    }

    /// Adds an entry; one that is larger than the table empties it and is not an error (RFC 7541 section 4.4).
    pub fn add(&mut self, name: Name, value: Cow<'static, [u8]>) {
        let entry = Entry { hash: hash(&name), name, value };
        let size = entry.size();
        self.evict(size);
        if size <= self.max {
            self.size += size;
            self.entries.push_front(entry);
        }
    }

    fn evict(&mut self, room: usize) {
        while self.size.saturating_add(room) > self.max {
            let Some(old) = self.entries.pop_back() else { break };
            self.size -= old.size();
        }
    }

    /// The field at an index of the joint address space (RFC 7541 section 2.3.3).
    pub fn get(&self, index: usize) -> Option<(Name, Cow<'static, [u8]>)> {
        let at = index.checked_sub(1)?;
        if let Some((name, value)) = STATIC.get(at) {
            return Some((Name::from(*name), Cow::Borrowed(value.as_bytes())));
        }
        let entry = self.entries.get(at - STATIC_LEN)?;
        Some((entry.name.clone(), entry.value.clone()))
    }

    /// The name at an index.
    pub fn get_name(&self, index: usize) -> Option<Name> {
        let at = index.checked_sub(1)?;
        if let Some((name, _)) = STATIC.get(at) {
            return Some(Name::from(*name));
        }
        Some(self.entries.get(at - STATIC_LEN)?.name.clone())
    }

    /// Looks a field up in both tables, the static one first.
    pub fn find(&self, name: &[u8], value: &[u8]) -> Found {
        let mut best = static_find(name, value);
        if matches!(best, Found::Whole(_)) {
            return best;
        }
        let hash = hash(name);
        for (at, entry) in self.entries.iter().enumerate() {
            if entry.hash == hash && *entry.name == *name {
                let index = STATIC_LEN + 1 + at;
                if *entry.value == *value {
                    return Found::Whole(index);
                }
                if best == Found::Nothing {
                    best = Found::Name(index);
                }
            }
        }
        best
    }
}

/// FNV-1a of a name: names are ours when we search, so no keyed hash is needed.
fn hash(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |sum, byte| (sum ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_runs() {
        // static_find walks a run of equal names: every name must stand in one run.
        for (at, (name, _)) in STATIC.iter().enumerate() {
            let first = static_name(name.as_bytes());
            assert!((first..=at + 1).all(|index| STATIC[index - 1].0 == *name), "{name}");
        }
    }

    #[test]
    fn finds_static_fields() {
        assert_eq!(static_find(b":status", b"404"), Found::Whole(13));
        assert_eq!(static_find(b":status", b"405"), Found::Name(8));
        assert_eq!(static_find(b":method", b"CONNECT"), Found::Name(2));
        assert_eq!(static_find(b"www-authenticate", b""), Found::Whole(61));
        assert_eq!(static_find(b"x", b""), Found::Nothing);
    }

    #[test]
    fn evicts_the_oldest_and_empties_for_the_oversized() {
        let mut table = Table::new(100);
        table.add(Name::from("a"), Cow::Borrowed(b"1"));
        table.add(Name::from("b"), Cow::Borrowed(b"2"));
        assert_eq!(table.size(), 68);
        assert_eq!(table.find(b"a", b"1"), Found::Whole(63));
        table.add(Name::from("c"), Cow::Borrowed(b"3"));
        assert_eq!(table.find(b"a", b"1"), Found::Nothing);
        assert_eq!(table.find(b"c", b"9"), Found::Name(62));
        table.add(Name::from("d"), Cow::Owned(vec![b'x'; 200]));
        assert_eq!(table.size(), 0);
        assert!(table.get(62).is_none());
        assert!(table.get(0).is_none());
        assert!(table.get(usize::MAX).is_none());
        assert_eq!(table.get(61).map(|(name, _)| name), Some(Name::from("www-authenticate")));
    }
}
