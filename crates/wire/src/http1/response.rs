//! Rewrites the head of a server's response to a single request: the connection's own fields go, `Connection: close`
//! comes, everything else stays byte for byte. Behind the final head all bytes are the body's and pass untouched.

use crate::error::RemoteProtocolError;

use super::head;

/// Longest response head that is held; browsers take no more than this either.
pub const MAX_RESPONSE_HEAD: usize = 256 * 1024;

/// Most interim responses (1xx) before the final one.
const MAX_INTERIM: u8 = 16;

/// Rewrites response heads as they arrive.
#[derive(Debug, Default)]
pub struct Rewriter {
    held: Vec<u8>,
    /// Where the line that is being read starts.
    line: usize,
    interim: u8,
    done: bool,
}

impl Rewriter {
    /// A rewriter at the start of a response.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// True behind the final head: everything else passes untouched.
    #[must_use]
    pub const fn is_done(&self) -> bool {
        self.done
    }

    /// True while nothing of a response has been passed on, so that an error page can still be sent.
    #[must_use]
    pub const fn is_untouched(&self) -> bool {
        !self.done && self.interim == 0
    }

    /// Takes bytes up to the end of the final head, appends what is to be sent on, and says how many it took.
    ///
    /// # Errors
    /// When this is no HTTP/1.x response, or its head is too large.
    pub fn feed(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<usize, RemoteProtocolError> {
        let mut taken = 0;
        for byte in input {
            if self.done {
                break;
            }
            taken += 1;
            if self.held.len() >= MAX_RESPONSE_HEAD {
                return Err(RemoteProtocolError::new("the server's response header is too large"));
            }
            self.held.push(*byte);
            if self.held.len() <= 7 && !b"HTTP/1.".starts_with(&self.held) {
                return Err(RemoteProtocolError::new("the server's response is not HTTP/1"));
            }
            if *byte != b'\n' {
                continue;
            }
            let line = self.held.get(self.line..).unwrap_or_default();
            let empty = matches!(line, b"\n" | b"\r\n");
            self.line = self.held.len();
            if empty {
                self.finish(out)?;
            }
        }
        Ok(taken)
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), RemoteProtocolError> {
        let held = std::mem::take(&mut self.held);
        self.line = 0;
        let mut lines = held.split_inclusive(|byte| *byte == b'\n');
        let first = lines.next().unwrap_or_default();
        let code = first.get(8..12).and_then(|part| part.strip_prefix(b" "));
        let code = code.filter(|digits| digits.iter().all(u8::is_ascii_digit));
        let interim = match code {
            // The fields that would allow an upgrade were not sent on (RFC 9110 section 7.8).
            None | Some(b"101") => return Err(RemoteProtocolError::new("the server's status line is not valid")),
            Some(code) => code.first() == Some(&b'1'),
        };
        let rest: Vec<&[u8]> = lines.collect();
        let mut named: Vec<&[u8]> = Vec::new();
        for line in &rest {
            if name(line).is_some_and(|name| name.eq_ignore_ascii_case(b"connection")) {
                let value = line.iter().position(|byte| *byte == b':').and_then(|at| line.get(at + 1..));
                named.extend(head::members(value.unwrap_or_default().trim_ascii_end()));
            }
        }
        // Without these the body would end elsewhere, whatever the server says of them.
        named.retain(|name| {
            !name.eq_ignore_ascii_case(b"content-length") && !name.eq_ignore_ascii_case(b"transfer-encoding")
        });
        out.extend_from_slice(first);
        let mut dropping = false;
        for line in &rest {
            if matches!(*line, b"\n" | b"\r\n") {
                continue;
            }
            // A folded line shares the fate of the one above it.
            if !(line.starts_with(b" ") || line.starts_with(b"\t")) {
                dropping = name(line).is_some_and(|name| {
                    head::is_hop_by_hop(name) || named.iter().any(|other| other.eq_ignore_ascii_case(name))
                });
            }
            if !dropping {
                out.extend_from_slice(line);
            }
        }
        if interim {
            self.interim += 1;
            if self.interim > MAX_INTERIM {
                return Err(RemoteProtocolError::new("the server sends interim responses without end"));
            }
        } else {
            out.extend_from_slice(b"Connection: close\r\n");
            self.done = true;
        }
        out.extend_from_slice(b"\r\n");
        Ok(())
    }
}

/// The name of a field line; white space in front of the colon is passed over (RFC 9112 section 5.1).
fn name(line: &[u8]) -> Option<&[u8]> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    Some(line.get(..colon)?.trim_ascii_end())
}
