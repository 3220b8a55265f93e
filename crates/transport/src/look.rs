//! A browser's look, as a whole: one signed document says how TLS is opened, how HTTP/2 is opened above it, and how
//! long connections are kept. Here it becomes what each layer takes.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rozaneh_tls::hello::Author;
use rozaneh_tls::profile::Browser;
use rozaneh_tls::profile::schema::Http2;
use rozaneh_wire::h2;
use rozaneh_wire::h2::hpack::HpackStyle;

/// A profile in use; cheap to share.
#[derive(Clone)]
pub struct Look {
    browser: Arc<Browser>,
    http2: Arc<Http2>,
}

impl fmt::Debug for Look {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Look({} {})", self.browser.name, self.browser.version)
    }
}

impl Look {
    /// Reads a `rozaneh.browser/1` document, whose signature somebody else has checked.
    ///
    /// # Errors
    /// A sentence on what is wrong with it.
    pub fn from_json(document: &[u8]) -> Result<Self, String> {
        let browser = Browser::from_json(document).map_err(|error| error.to_string())?;
        let http2 = browser.http2.clone().ok_or("the browser profile does not say how HTTP/2 is opened")?;
        Ok(Self { browser: Arc::new(browser), http2: Arc::new(http2) })
    }

    /// Who writes this browser's first messages.
    #[must_use]
    pub fn author(&self) -> Arc<dyn Author> {
        Arc::clone(&self.browser) as Arc<dyn Author>
    }

    /// How this browser opens HTTP/2.
    #[must_use]
    pub fn http2(&self) -> h2::Look {
        let priority = self.http2.priority.as_ref().map(|priority| h2::Priority {
            exclusive: priority.exclusive,
            depends_on: priority.depends_on,
            // The document has the weight that is meant, 1 to 256; on the wire it is one less (RFC 7540 section 6.2).
            weight: u8::try_from(priority.weight.saturating_sub(1)).unwrap_or(u8::MAX),
        });
        h2::Look {
            settings: self.http2.settings.clone(),
            window_increment: self.http2.window_update,
            hpack: HpackStyle::Browser,
            priority,
            first_stream: self.http2.first_stream,
        }
    }

    /// Puts pseudo-header fields in this browser's order; those it never sends go behind the others.
    pub(crate) fn order(&self, fields: &mut [h2::Field]) {
        let place = |field: &h2::Field| {
            let known = self.http2.pseudo.iter().position(|name| name.as_bytes() == field.name.as_bytes());
            match known {
                Some(place) => place,
                None if field.name.as_bytes().first() == Some(&b':') => self.http2.pseudo.len(),
                None => usize::MAX,
            }
        };
        fields.sort_by_key(place);
    }

    /// What a request's stream may send more than SETTINGS say, told right behind the request.
    pub(crate) fn stream_update(&self) -> u32 {
        self.http2.stream_update
    }

    /// The header fields of a visit to a page, in order and with this browser's values; none where they are not known.
    pub(crate) fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.http2.headers.iter().map(String::as_str).zip(self.http2.values.iter().map(String::as_str))
    }

    /// How long this browser keeps an HTTP/2 connection without requests; `None` where it was never seen to close one.
    #[must_use]
    pub fn idle(&self) -> Option<Duration> {
        self.browser.connections.as_ref()?.http2_idle_s.map(Duration::from_secs_f64)
    }
}
