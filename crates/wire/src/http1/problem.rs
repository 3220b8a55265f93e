//! Answers that are not a page: short, plain, and they say what to do next.
//!
//! The texts name no product: a web page that guesses at local ports must not learn what listens there.

/// Why a request is not served. The status decides the first line, `what` and `next` the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Status code (RFC 9110 section 15).
    pub status: u16,
    /// What happened.
    pub what: &'static str,
    /// What the person can do.
    pub next: &'static str,
}

const ASK: &str = "Report this to whoever wrote the program that sent it.";

impl Problem {
    /// The request breaks HTTP's rules.
    #[must_use]
    pub const fn malformed(what: &'static str) -> Self {
        Self { status: 400, what, next: ASK }
    }

    /// An ordinary request to a web server, not to a proxy.
    pub const NOT_A_PROXY_REQUEST: Self = Self {
        status: 400,
        what: "This port is a proxy, not a website.",
        next: "Enter its address as HTTP or SOCKS5 proxy in the program's settings.",
    };
    /// `https://` or another scheme in absolute-form.
    pub const SCHEME: Self = Self {
        status: 400,
        what: "Only http:// addresses can be asked for this way.",
        next: "Let the program use CONNECT for everything else.",
    };
    /// The destination is forbidden.
    pub const FORBIDDEN: Self = Self {
        status: 403,
        what: "This destination is not allowed.",
        next: "Private addresses and mail ports are closed; the operator can open exceptions.",
    };
    /// TRACE: it would show the request, and so its credentials, to scripts.
    pub const METHOD: Self = Self { status: 405, what: "This method is not offered.", next: "Use another method." };
    /// No or wrong credentials.
    pub const CREDENTIALS: Self = Self {
        status: 407,
        what: "This proxy needs its user and password.",
        next: "Enter both in the program's proxy settings.",
    };
    /// The head is too large.
    pub const TOO_LARGE: Self = Self {
        status: 431,
        what: "The request's header is too large.",
        next: "Delete the site's cookies and try again.",
    };
    /// A transfer coding other than chunked.
    pub const CODING: Self = Self { status: 501, what: "This transfer coding is not known.", next: ASK };
    /// The server cannot be reached, or did not speak HTTP.
    pub const BAD_GATEWAY: Self = Self {
        status: 502,
        what: "The server could not be reached.",
        next: "Check the address; if other pages open, the server itself is down.",
    };
    /// There is no way out right now.
    pub const UNAVAILABLE: Self =
        Self { status: 503, what: "There is no connection to the outside right now.", next: "Try again in a moment." };
    /// The server did not answer in time.
    pub const TIMEOUT: Self =
        Self { status: 504, what: "The server did not answer in time.", next: "Try again in a moment." };
    /// A version other than HTTP/1.0 and 1.1.
    pub const VERSION: Self = Self { status: 505, what: "Only HTTP/1.0 and HTTP/1.1 are spoken here.", next: ASK };

    const fn phrase(&self) -> &'static str {
        match self.status {
            400 => "Bad Request",
            403 => "Forbidden",
            405 => "Method Not Allowed",
            407 => "Proxy Authentication Required",
            431 => "Request Header Fields Too Large",
            501 => "Not Implemented",
            503 => "Service Unavailable",
            504 => "Gateway Timeout",
            505 => "HTTP Version Not Supported",
            _ => "Bad Gateway",
        }
    }

    /// The whole response. The connection closes behind it; `head_only` answers a HEAD request.
    #[must_use]
    pub fn response(&self, head_only: bool) -> Vec<u8> {
        let body = format!("{}\n{}\n", self.what, self.next);
        let extra = match self.status {
            // RFC 9110 section 15.5.6 and 15.5.8 demand these.
            405 => "Allow: GET, HEAD, POST, PUT, DELETE, PATCH, OPTIONS, CONNECT\r\n",
            407 => "Proxy-Authenticate: Basic realm=\"proxy\"\r\n",
            _ => "",
        };
        let mut out = format!(
            "HTTP/1.1 {} {}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\n{extra}\
             Cache-Control: no-store\r\nConnection: close\r\n\r\n",
            self.status,
            self.phrase(),
            body.len(),
        );
        if !head_only {
            out.push_str(&body);
        }
        out.into_bytes()
    }
}
