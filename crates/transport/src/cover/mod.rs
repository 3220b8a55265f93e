//! What a stranger sees: an ordinary web server, and nothing that tells it from one.
//!
//! A cover is one of three sites: what a fresh Debian installation of nginx shows, a directory served as Debian's nginx
//! serves it (the server block of `sites-available/default` under the stock `nginx.conf`), or another site reached
//! through a reverse proxy. The judge of the first two is a real nginx: `tests/interop/test_cover_nginx.py` sends both
//! the same bytes and compares every byte that comes back, `Date` excepted.
//!
//! * [`Cover::respond`] answers a request that was understood, whatever version it came in.
//! * [`http1::serve`] holds the HTTP/1.x conversation around it: what is taken, what is refused and how, timeouts,
//!   keep-alive, closing.
//! * [`http2`] turns HTTP/2 fields into a request or into the refusal nginx has for them; [`h2look`] is what nginx's
//!   HTTP/2 shows before any request.
#![forbid(unsafe_code)]

mod agent;
mod body;
mod conditional;
mod date;
mod deflate;
mod files;
mod gzip;
pub mod h2look;
mod head;
pub mod http1;
pub mod http2;
mod message;
mod mime;
mod page;
mod proxy;
mod site;
mod upstream;
mod uri;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

pub use self::body::{Body, Chunks};
pub use self::message::{BodyIn, Http, Request, Response, Visit};

use self::files::Files;
use self::proxy::Proxy;
use self::site::Site;

/// One cover; clones share it.
#[derive(Clone)]
pub struct Cover(Arc<Kind>);

enum Kind {
    Files(Arc<Files>),
    Proxy(Proxy),
}

impl Cover {
    /// The site of a fresh installation, made at `modified`: the page's `Last-Modified` and `ETag` show that time, so
    /// it has to differ between edges and stay the same on one.
    #[must_use]
    pub fn stock(modified: SystemTime) -> Self {
        Self(Arc::new(Kind::Files(Files::new(Site::Stock { modified: date::seconds(modified) }))))
    }

    /// A directory.
    #[must_use]
    pub fn directory(root: impl Into<PathBuf>) -> Self {
        Self(Arc::new(Kind::Files(Files::new(Site::Directory(root.into())))))
    }

    /// Another site, at an `http://` or `https://` URL.
    ///
    /// # Errors
    /// A sentence on what is wrong with the URL, or that there are no root certificates to check the site with.
    pub fn proxy(url: &str) -> Result<Self, String> {
        Ok(Self(Arc::new(Kind::Proxy(Proxy::new(url)?))))
    }

    /// Answers one request.
    pub async fn respond(&self, request: Request) -> Response {
        match &*self.0 {
            Kind::Files(files) => files.respond(request).await,
            Kind::Proxy(proxy) => proxy.respond(request).await,
        }
    }

    /// Whether the cover wants request bodies; otherwise they are thrown away.
    #[must_use]
    pub fn reads_bodies(&self) -> bool {
        match &*self.0 {
            Kind::Files(_) => false,
            Kind::Proxy(_) => true,
        }
    }
}
