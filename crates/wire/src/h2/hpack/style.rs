//! Which of the possible representations an encoder chooses: the look of a header block, as data.

use super::table::{Found, Table, static_find};
use crate::h2::field::Field;

/// Whose encoder this one takes after.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum HpackStyle {
    /// A browser: everything that repeats is indexed, pseudo-header fields other than `:authority` are not (their
    /// literals are "without indexing"), Huffman coding wherever it is shorter, sensitive fields never indexed.
    #[default]
    Browser,
    /// nginx: stateless. The dynamic table is never used; see `NGINX`.
    Nginx,
}

/// How a string is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    /// Huffman coding where it is strictly shorter.
    Shorter,
    /// Always as it is.
    Raw,
}

/// How a literal is announced (RFC 7541 section 6.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Literal {
    /// `01`: the receiver adds it to its table.
    Incremental,
    /// `0000`.
    Without,
    /// `0001`.
    Never,
}

/// A representation, chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Representation {
    /// The whole field by its index.
    Indexed(usize),
    /// A literal. `name` 0 = the name is a string of its own.
    Literal { literal: Literal, name: usize, value: Coding },
}

/// Names that nginx announces by their static index, and how it writes their values. A field that is not in this list,
/// `etag` and `accept-ranges` among them, is a literal without indexing under a name of its own.
const NGINX: [(&[u8], Coding); 8] = [
    (b":status", Coding::Raw),
    (b"server", Coding::Shorter),
    (b"date", Coding::Shorter),
    (b"content-type", Coding::Shorter),
    (b"content-length", Coding::Raw),
    (b"last-modified", Coding::Shorter),
    (b"location", Coding::Shorter),
    (b"vary", Coding::Shorter),
];

impl HpackStyle {
    /// The representation of one field.
    pub(super) fn choose(self, field: &Field, table: &Table) -> Representation {
        match self {
            Self::Browser => browser(field, table),
            Self::Nginx => nginx(field),
        }
    }

    /// Whether literals "with incremental indexing" really enter the encoder's table. A stateless encoder writes those
    /// bits and keeps no table: it never refers to an entry, so only the receiver's table fills.
    pub(super) fn keeps_table(self) -> bool {
        self == Self::Browser
    }

    /// The dynamic table size update in front of the block after the peer's HEADER_TABLE_SIZE arrived:
    /// a browser confirms what it will use, nginx says 0 once, whatever it was told.
    pub(super) fn announces_zero(self) -> bool {
        self == Self::Nginx
    }
}

fn browser(field: &Field, table: &Table) -> Representation {
    let found =
        if field.sensitive { static_find(&field.name, &field.value) } else { table.find(&field.name, &field.value) };
    let name = match found {
        // A sensitive value that is a static entry (":method GET") is no secret any more.
        Found::Whole(index) => return Representation::Indexed(index),
        Found::Name(index) => index,
        Found::Nothing => 0,
    };
    let literal = if field.sensitive {
        Literal::Never
    } else if field.name.is_pseudo() && field.name != ":authority" {
        Literal::Without
    } else {
        Literal::Incremental
    };
    Representation::Literal { literal, name, value: Coding::Shorter }
}

fn nginx(field: &Field) -> Representation {
    let Some((_, value)) = NGINX.iter().find(|(name, _)| *name == field.name.as_bytes()) else {
        return Representation::Literal { literal: Literal::Without, name: 0, value: Coding::Shorter };
    };
    match static_find(&field.name, &field.value) {
        // Only `:status` has values in the static table that nginx can send.
        Found::Whole(index) if !field.value.is_empty() => Representation::Indexed(index),
        Found::Whole(index) | Found::Name(index) => {
            Representation::Literal { literal: Literal::Incremental, name: index, value: *value }
        }
        Found::Nothing => Representation::Literal { literal: Literal::Without, name: 0, value: *value },
    }
}
