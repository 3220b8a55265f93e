//! Gathers a message head and splits it into lines and fields.

use super::{MAX_FIELDS, Problem};

/// Gathers a request head up to and including its empty line; strict about line ends (RFC 9112 section 2.2).
#[derive(Debug)]
pub struct Gatherer {
    held: Vec<u8>,
    /// Bytes already looked at.
    seen: usize,
    limit: usize,
}

impl Gatherer {
    /// A gatherer that refuses heads of more than `limit` bytes.
    #[must_use]
    pub const fn new(limit: usize) -> Self {
        Self { held: Vec::new(), seen: 0, limit }
    }

    /// Takes bytes up to the end of the head. Returns how many were taken, and the head without its empty line once
    /// it is whole.
    ///
    /// # Errors
    /// A head that is too large, or a line that does not end in CR LF.
    pub fn feed(&mut self, input: &[u8]) -> Result<(usize, Option<Vec<u8>>), Problem> {
        let before = self.held.len();
        // Never holds more than the limit and one byte, whatever arrives at once.
        let room = (self.limit + 1).saturating_sub(before);
        self.held.extend_from_slice(input.get(..room).unwrap_or(input));
        let line_ends = self.held.iter().enumerate().skip(self.seen).filter(|(_, byte)| **byte == b'\n');
        for (at, _) in line_ends {
            let line = self.held.get(..at).unwrap_or_default();
            let Some(line) = line.strip_suffix(b"\r") else {
                return Err(Problem::malformed("A line of the request does not end in CR LF."));
            };
            // RFC 9112 section 2.2: one empty line before the request line is passed over; it ends no head.
            if line.ends_with(b"\r\n") {
                if at >= self.limit {
                    return Err(Problem::TOO_LARGE);
                }
                let taken = at + 1 - before;
                self.held.truncate(at - 1);
                let head = std::mem::take(&mut self.held);
                let head = head.strip_prefix(b"\r\n").map(<[u8]>::to_vec).unwrap_or(head);
                self.seen = 0;
                return Ok((taken, Some(head)));
            }
        }
        self.seen = self.held.len();
        if self.held.len() > self.limit {
            return Err(Problem::TOO_LARGE);
        }
        Ok((input.len(), None))
    }
}

/// One field line. Offsets are not kept: a rewritten head is put together from the parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    /// As spelt.
    pub name: &'a [u8],
    /// Without the white space around it.
    pub value: &'a [u8],
}

impl Field<'_> {
    /// Whether this is the field `name`.
    #[must_use]
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }
}

/// A byte of a token (RFC 9110 section 5.6.2).
#[must_use]
pub fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Splits a head into its first line and its fields.
///
/// # Errors
/// Too many fields, a folded line, a bare CR, white space before a colon, bytes that no field may hold.
pub fn split(head: &[u8]) -> Result<(&[u8], Vec<Field<'_>>), Problem> {
    let mut lines = lines(head);
    let first = lines.next().unwrap_or_default();
    if first.contains(&b'\r') {
        return Err(Problem::malformed("The request line holds a bare CR."));
    }
    let mut fields = Vec::new();
    for line in lines {
        if fields.len() >= MAX_FIELDS {
            return Err(Problem::TOO_LARGE);
        }
        fields.push(field(line)?);
    }
    Ok((first, fields))
}

/// Lines of a head whose line ends the gatherer has checked.
fn lines(head: &[u8]) -> impl Iterator<Item = &[u8]> {
    // The gatherer saw to it that a CR stands in front of every LF and left the last line's end in place or away.
    let head = head.strip_suffix(b"\r\n").unwrap_or(head);
    head.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line))
}

fn field(line: &[u8]) -> Result<Field<'_>, Problem> {
    if line.starts_with(b" ") || line.starts_with(b"\t") {
        return Err(Problem::malformed("A header line is folded."));
    }
    let colon = line.iter().position(|byte| *byte == b':');
    let Some((name, value)) = colon.and_then(|at| Some((line.get(..at)?, line.get(at + 1..)?))) else {
        return Err(Problem::malformed("A header line has no colon."));
    };
    if name.is_empty() || !name.iter().copied().all(is_token) {
        return Err(Problem::malformed("A header name holds a forbidden character."));
    }
    // RFC 9110 section 5.5: CR, LF and NUL are dangerous, other controls invalid; a tab is white space.
    if value.iter().any(|byte| (*byte < 0x20 && *byte != b'\t') || *byte == 0x7f) {
        return Err(Problem::malformed("A header value holds a control character."));
    }
    Ok(Field { name, value: trim(value) })
}

/// Without optional white space at both ends (RFC 9110 section 5.6.3).
#[must_use]
pub fn trim(value: &[u8]) -> &[u8] {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let start = value.iter().position(|byte| !blank(byte)).unwrap_or(value.len());
    let end = value.iter().rposition(|byte| !blank(byte)).map_or(start, |at| at + 1);
    value.get(start..end).unwrap_or_default()
}

/// Members of a comma-separated list, trimmed, empty ones left out (RFC 9110 section 5.6.1).
pub fn members(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(trim).filter(|member| !member.is_empty())
}

/// Fields that speak of one connection only (RFC 9110 section 7.6.1) besides those that `Connection` names. The
/// transfer coding is another matter: bodies pass as they are framed.
#[must_use]
pub fn is_hop_by_hop(name: &[u8]) -> bool {
    let known = ["connection", "keep-alive", "te", "upgrade"];
    let proxy = name.get(..6).is_some_and(|start| start.eq_ignore_ascii_case(b"proxy-"));
    proxy || known.iter().any(|known| name.eq_ignore_ascii_case(known.as_bytes()))
}
