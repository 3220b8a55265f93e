//! nginx's own pages: what it says when there is no file to say it with.

/// The name and version that Debian 12's package shows.
pub(super) const SERVER: &str = "nginx/1.22.1";

/// A comment that brings a page above the size below which old browsers showed a page of their own; six times.
const PADDING: &str = "<!-- a padding to disable MSIE and Chrome friendly error page -->\r\n";

/// Why nginx answers with a page of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Problem {
    /// 301 to a directory's own name.
    Moved,
    /// 400: the request cannot be understood.
    BadRequest,
    /// 400 for a header line, or all of them, beyond the buffers.
    HeaderTooLarge,
    /// 400 for plain text on a TLS port.
    PlainToTls,
    Forbidden,
    NotFound,
    NotAllowed,
    PreconditionFailed,
    BodyTooLarge,
    UriTooLarge,
    RangeNotSatisfiable,
    Internal,
    NotImplemented,
    BadGateway,
    Unavailable,
    GatewayTimeout,
    VersionNotSupported,
}

impl Problem {
    /// The status on the wire.
    pub(super) fn status(self) -> u16 {
        match self {
            Self::Moved => 301,
            Self::BadRequest | Self::HeaderTooLarge | Self::PlainToTls => 400,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::NotAllowed => 405,
            Self::PreconditionFailed => 412,
            Self::BodyTooLarge => 413,
            Self::UriTooLarge => 414,
            Self::RangeNotSatisfiable => 416,
            Self::Internal => 500,
            Self::NotImplemented => 501,
            Self::BadGateway => 502,
            Self::Unavailable => 503,
            Self::GatewayTimeout => 504,
            Self::VersionNotSupported => 505,
        }
    }

    /// After these nginx does not go on with the connection, whatever the visitor asked for.
    pub(super) fn closes(self) -> bool {
        matches!(
            self,
            Self::BadRequest
                | Self::HeaderTooLarge
                | Self::PlainToTls
                | Self::BodyTooLarge
                | Self::UriTooLarge
                | Self::Internal
                | Self::NotImplemented
        )
    }

    /// The page, with the padding where the visitor's browser is of the kind that gets it.
    pub(super) fn html(self, padded: bool) -> Vec<u8> {
        let line = format!("{} {}", self.status(), reason(self.status()));
        let (title, detail) = match self {
            Self::HeaderTooLarge => {
                ("400 Request Header Or Cookie Too Large", "<center>Request Header Or Cookie Too Large</center>\r\n")
            }
            Self::PlainToTls => (
                "400 The plain HTTP request was sent to HTTPS port",
                "<center>The plain HTTP request was sent to HTTPS port</center>\r\n",
            ),
            _ => (line.as_str(), ""),
        };
        let mut html = format!(
            "<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{line}</h1></center>\r\n{detail}\
             <hr><center>{SERVER}</center>\r\n</body>\r\n</html>\r\n"
        );
        if padded && self.status() >= 400 {
            for _ in 0..6 {
                html.push_str(PADDING);
            }
        }
        html.into_bytes()
    }
}

/// The words of nginx's status line; empty for a status it has none for.
pub(super) fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        206 => "Partial Content",
        301 => "Moved Permanently",
        302 => "Moved Temporarily",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        402 => "Payment Required",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Not Allowed",
        406 => "Not Acceptable",
        408 => "Request Time-out",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length Required",
        412 => "Precondition Failed",
        413 => "Request Entity Too Large",
        414 => "Request-URI Too Large",
        415 => "Unsupported Media Type",
        416 => "Requested Range Not Satisfiable",
        421 => "Misdirected Request",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Temporarily Unavailable",
        504 => "Gateway Time-out",
        505 => "HTTP Version Not Supported",
        507 => "Insufficient Storage",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_seen_on_the_wire() {
        // Content-Length of a real nginx 1.22.1 for these pages.
        for (problem, size) in [
            (Problem::Moved, 169),
            (Problem::BadRequest, 157),
            (Problem::HeaderTooLarge, 233),
            (Problem::NotFound, 153),
            (Problem::NotAllowed, 157),
            (Problem::PreconditionFailed, 173),
            (Problem::RangeNotSatisfiable, 197),
        ] {
            assert_eq!(problem.html(false).len(), size, "{problem:?}");
        }
        assert_eq!(Problem::NotFound.html(true).len(), 555);
        assert_eq!(Problem::Moved.html(true).len(), 169);
    }
}
