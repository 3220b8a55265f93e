//! The two things nginx concludes from a `User-Agent`: whether error pages are padded, and whether a POST may keep the
//! connection.

/// What is known of the visitor's browser.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Agent {
    /// Error pages get the padding (`msie_padding`, on by default).
    pub padded: bool,
    /// A browser whose POSTs must not reuse connections (`keepalive_disable msie6`, the default).
    pub broken_post: bool,
}

fn find(text: &[u8], word: &[u8]) -> Option<usize> {
    text.windows(word.len()).position(|w| w == word)
}

impl Agent {
    /// Reads one header value.
    pub(super) fn of(text: &[u8]) -> Self {
        if find(text, b"Opera").is_some() {
            return Self::default();
        }
        let Some(at) = find(text, b"MSIE ") else {
            return Self { padded: Self::chrome(text), broken_post: false };
        };
        // A version digit and a dot must follow and something behind them, or the word does not count.
        if at + 7 >= text.len() {
            return Self::default();
        }
        let tail = text.get(at + 5..).unwrap_or_default();
        let broken_post = tail.get(1) == Some(&b'.')
            && match tail.first() {
                Some(b'4' | b'5') => true,
                Some(b'6') => find(tail.get(3..).unwrap_or_default(), b"SV1").is_none(),
                _ => false,
            };
        Self { padded: true, broken_post }
    }

    fn chrome(text: &[u8]) -> bool {
        find(text, b"Gecko/").is_none() && find(text, b"Chrome/").is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table() {
        for (text, padded, broken_post) in [
            ("", false, false),
            ("curl/8", false, false),
            ("Mozilla/5.0 (X11) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36", true, false),
            ("Mozilla/5.0 (X11; rv:109.0) Gecko/20100101 Firefox/115.0", false, false),
            ("MSIE 6.0", true, true),
            ("MSIE 6.0 SV1", true, false),
            ("MSIE 6.", false, false),
            ("MSIE 6.0 Opera", false, false),
        ] {
            assert_eq!(Agent::of(text.as_bytes()), Agent { padded, broken_post }, "{text}");
        }
    }
}
