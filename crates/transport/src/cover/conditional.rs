//! Conditions and ranges (RFC 9110 sections 13 and 14), in nginx's reading of them.

use std::ops::Range;

use super::date;
use super::message::Request;

/// What the conditions of a request say about a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Send,
    NotModified,
    Failed,
}

/// Judges `If-Unmodified-Since`, `If-Match`, `If-Modified-Since` and `If-None-Match`.
pub(super) fn judge(request: &Request, etag: &[u8], modified: i64) -> Verdict {
    if let Some(value) = request.header("if-unmodified-since") {
        if date::parse(value).is_none_or(|since| since < modified) {
            return Verdict::Failed;
        }
    }
    if request.header("if-match").is_some_and(|list| !listed(list, etag, false)) {
        return Verdict::Failed;
    }
    let since = request.header("if-modified-since");
    let none = request.header("if-none-match");
    if since.is_none() && none.is_none() {
        return Verdict::Send;
    }
    // "exact": another date than the file's own means it was modified, be it earlier or later.
    if since.is_some_and(|value| date::parse(value) != Some(modified)) {
        return Verdict::Send;
    }
    if none.is_some_and(|list| !listed(list, etag, true)) {
        return Verdict::Send;
    }
    Verdict::NotModified
}

/// Whether a list of entity tags names this one. The list is searched, not parsed.
fn listed(list: &[u8], etag: &[u8], weak: bool) -> bool {
    if list == b"*" {
        return true;
    }
    let mut rest = list;
    while !rest.is_empty() {
        let mut start = rest;
        if weak {
            start = start.strip_prefix(b"W/").filter(|tail| !tail.is_empty()).unwrap_or(start);
        }
        if start.len() < etag.len() {
            return false;
        }
        if let Some(tail) = start.strip_prefix(etag) {
            match tail.iter().find(|b| !matches!(b, b' ' | b'\t')) {
                None | Some(b',') => return true,
                Some(_) => {}
            }
        }
        let Some(comma) = start.iter().position(|&b| b == b',') else { return false };
        rest = start.get(comma + 1..).unwrap_or_default();
        while let [b' ' | b'\t', more @ ..] = rest {
            rest = more;
        }
    }
    false
}

/// What a `Range` asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// The whole file: no range, or one that is not to be honoured.
    All,
    Some(Vec<Range<u64>>),
    /// 416.
    Nothing,
}

/// Reads `Range` and `If-Range`.
pub(super) fn ranges(request: &Request, etag: &[u8], modified: i64, size: u64) -> Wanted {
    let Some(value) = request.header("range") else { return Wanted::All };
    let Some((unit, list)) = value.split_at_checked(6) else { return Wanted::All };
    if list.is_empty() || !unit.eq_ignore_ascii_case(b"bytes=") {
        return Wanted::All;
    }
    if let Some(value) = request.header("if-range") {
        let same = if value.len() >= 2 && value.ends_with(b"\"") {
            value == etag
        } else {
            date::parse(value) == Some(modified)
        };
        if !same {
            return Wanted::All;
        }
    }
    parse(list, size)
}

/// A number of at most 63 bits; `None` where there is no digit or too many.
fn number(text: &mut &[u8]) -> Option<u64> {
    let digits = text.iter().take_while(|b| b.is_ascii_digit()).count();
    let (head, tail) = text.split_at_checked(digits)?;
    *text = tail;
    let value: u64 = std::str::from_utf8(head).ok()?.parse().ok()?;
    (value <= i64::MAX as u64).then_some(value)
}

fn spaces(text: &mut &[u8]) {
    while let [b' ', rest @ ..] = *text {
        *text = rest;
    }
}

fn parse(mut list: &[u8], size: u64) -> Wanted {
    let mut out: Vec<Range<u64>> = Vec::new();
    let mut total: u64 = 0;
    loop {
        spaces(&mut list);
        let mut start = 0;
        let suffix = list.first() == Some(&b'-');
        let end;
        if suffix {
            list = list.get(1..).unwrap_or_default();
        } else {
            let Some(first) = number(&mut list) else { return Wanted::Nothing };
            start = first;
            spaces(&mut list);
            let Some(rest) = list.strip_prefix(b"-") else { return Wanted::Nothing };
            list = rest;
            spaces(&mut list);
        }
        if !suffix && matches!(list.first(), None | Some(b',')) {
            end = size;
        } else {
            let Some(last) = number(&mut list) else { return Wanted::Nothing };
            spaces(&mut list);
            if !matches!(list.first(), None | Some(b',')) {
                return Wanted::Nothing;
            }
            if suffix {
                start = size.saturating_sub(last);
                end = size;
            } else {
                end = last.saturating_add(1).min(size);
            }
        }
        if start < end {
            total = total.saturating_add(end - start);
            out.push(start..end);
        } else if start == 0 {
            return Wanted::All;
        }
        match list.split_first() {
            Some((b',', rest)) => list = rest,
            _ => break,
        }
    }
    if out.is_empty() {
        return Wanted::Nothing;
    }
    // Ranges that together ask for more than there is are an attack, or no gain.
    if total > size { Wanted::All } else { Wanted::Some(out) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn tags() {
        for (list, strong, weak) in [
            ("\"a\"", true, true),
            ("W/\"a\"", false, true),
            ("*", true, true),
            ("\"b\", \"a\"", true, true),
            ("\"b\" \"a\"", false, false),
            ("\"a\"x", false, false),
            ("\"a\" , x", true, true),
            ("", false, false),
        ] {
            assert_eq!(listed(list.as_bytes(), b"\"a\"", false), strong, "{list}");
            assert_eq!(listed(list.as_bytes(), b"\"a\"", true), weak, "{list}");
        }
    }

    proptest! {
        #[test]
        fn ranges_fit(list in "[-0-9, x]{0,20}", size in 0_u64..50) {
            if let Wanted::Some(ranges) = parse(list.as_bytes(), size) {
                prop_assert!(!ranges.is_empty());
                prop_assert!(ranges.iter().all(|r| r.start < r.end && r.end <= size));
                prop_assert!(ranges.iter().map(|r| r.end - r.start).sum::<u64>() <= size);
            }
        }
    }
}
