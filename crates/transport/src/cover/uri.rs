//! From the raw path of a request to the path of a file, by the rules nginx applies: percent-decoding, merged slashes,
//! dot segments, nothing above the root. And back again for `Location`.

/// A request's path as a server looks at it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Path {
    /// Decoded and normalised; starts with `/`, holds no NUL, no `//` and no dot segment.
    pub path: Vec<u8>,
    /// What follows the first `?`, untouched.
    pub args: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Usual,
    Slash,
    Dot,
    DotDot,
}

fn hex(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

/// Takes back `/segment/..`; `None` where there is no segment to take back.
fn climb(out: &mut Vec<u8>) -> Option<()> {
    // The path ends in "/.." here: that goes first, then the segment before it, its slash stays.
    out.truncate(out.len().checked_sub(3)?);
    let slash = out.iter().rposition(|&b| b == b'/')?;
    out.truncate(slash + 1);
    Some(())
}

impl Path {
    /// Reads the raw bytes between the spaces of a request line (or the value of `:path`); `None` = 400.
    pub(super) fn parse(raw: &[u8]) -> Option<Self> {
        let mut out = Vec::with_capacity(raw.len() + 1);
        if raw.first() != Some(&b'/') {
            // An absolute-form target may have no path at all, only a query.
            out.push(b'/');
        }
        let mut state = State::Usual;
        let mut args: &[u8] = &[];
        let mut rest = raw;
        while let Some((&first, more)) = rest.split_first() {
            rest = more;
            let mut byte = first;
            let mut literal = false;
            if first == b'%' {
                let (&[high, low], more) = more.split_first_chunk::<2>()?;
                rest = more;
                byte = hex(high)? << 4 | hex(low)?;
                if byte == 0 {
                    return None;
                }
                // These three have a meaning only when they come unescaped.
                literal = matches!(byte, b'%' | b'#' | b'?');
            }
            if !literal && matches!(byte, b'?' | b'#') {
                if byte == b'?' {
                    args = rest;
                }
                break;
            }
            state = match (state, byte) {
                (State::Slash, b'/') => State::Slash,
                (State::Dot, b'/') => {
                    out.pop();
                    State::Slash
                }
                (State::DotDot, b'/') => {
                    climb(&mut out)?;
                    State::Slash
                }
                (State::Slash, b'.') => {
                    out.push(byte);
                    State::Dot
                }
                (State::Dot, b'.') => {
                    out.push(byte);
                    State::DotDot
                }
                (_, b'/') => {
                    out.push(byte);
                    State::Slash
                }
                _ => {
                    out.push(byte);
                    State::Usual
                }
            };
        }
        match state {
            State::Dot => {
                out.pop();
            }
            State::DotDot => climb(&mut out)?,
            State::Usual | State::Slash => {}
        }
        // A fragment ends the arguments too.
        let args = args.split(|&b| b == b'#').next().unwrap_or_default().to_vec();
        Some(Self { path: out, args })
    }

    /// The path for a `Location`, with a slash behind it and the arguments.
    pub(super) fn as_directory(&self) -> Vec<u8> {
        let mut out = escape(&self.path);
        out.push(b'/');
        if !self.args.is_empty() {
            out.push(b'?');
            out.extend_from_slice(&self.args);
        }
        out
    }
}

/// Percent-encodes what nginx 1.22 encodes in a redirect's path.
fn escape(path: &[u8]) -> Vec<u8> {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut out = Vec::with_capacity(path.len());
    for &byte in path {
        if byte <= b' ' || byte >= 0x7f || b"\"#%<>?\\^`{|}".contains(&byte) {
            let digit = |n: u8| HEX.get(usize::from(n)).copied().unwrap_or(b'0');
            out.extend_from_slice(&[b'%', digit(byte >> 4), digit(byte & 15)]);
        } else {
            out.push(byte);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn path(raw: &str) -> Option<String> {
        Path::parse(raw.as_bytes()).map(|p| String::from_utf8_lossy(&p.path).into_owned())
    }

    #[test]
    fn table() {
        for (raw, want) in [
            ("/", "/"),
            ("//", "/"),
            ("///a//b/", "/a/b/"),
            ("/a/./b", "/a/b"),
            ("/a/../b", "/b"),
            ("/a/..", "/"),
            ("/a/.", "/a/"),
            ("/a/...", "/a/..."),
            ("/a/..b", "/a/..b"),
            ("/a/.b", "/a/.b"),
            ("/a%2f%2e%2e%2fb", "/b"),
            ("/a?b/../c", "/a"),
            ("/a#b", "/a"),
            ("/a%3fb%23c%25d", "/a?b#c%d"),
            ("?x", "/"),
            ("", "/"),
            ("/a/..?x", "/"),
        ] {
            assert_eq!(path(raw).as_deref(), Some(want), "{raw}");
        }
        for raw in ["/..", "/../", "/a/../..", "/%2e%2e/x", "/%", "/%1", "/%zz", "/%00", "/a/..%2f.."] {
            assert_eq!(path(raw), None, "{raw}");
        }
        let odd = Path::parse(b"/a b?c#d").map(|p| p.as_directory());
        assert_eq!(odd.as_deref(), Some(&b"/a%20b/?c"[..]));
    }

    proptest! {
        #[test]
        fn stays_inside(raw in proptest::collection::vec(prop::sample::select(b"/.%2eEfF5c0a?#\\:x".to_vec()), 0..60)) {
            let mut target = vec![b'/'];
            target.extend_from_slice(&raw);
            if let Some(parsed) = Path::parse(&target) {
                prop_assert_eq!(parsed.path.first(), Some(&b'/'));
                prop_assert!(!parsed.path.contains(&0));
                for (at, segment) in parsed.path.split(|&b| b == b'/').enumerate() {
                    prop_assert!(segment != b".." && segment != b".");
                    let last = parsed.path.iter().filter(|&&b| b == b'/').count();
                    prop_assert!(!segment.is_empty() || at == 0 || at == last);
                }
            }
        }
    }
}
