//! The second hello, by the only changes RFC 8446 section 4.1.2 allows: another share, the cookie, no early data, and
//! a PSK that fits the suite, with a new age. Every other byte and the order stay, so it serves any author.

use super::parse::ClientHello;
use super::{Ask, Hello, write_psk};
use crate::alert::Alert;
use crate::codec;
use crate::error::RemoteError;
use crate::groups::Offer;
use crate::messages::HelloRetryRequest;
use crate::names::{extension, message};
use crate::suite::Suite;

const LOCAL: RemoteError = RemoteError::new(Alert::INTERNAL_ERROR, "the second hello cannot be written");

/// # Errors
/// `illegal_parameter` for a group that was not offered, or whose share was sent already (section 4.2.8);
/// `internal_error` where we fail.
pub fn second(first: &Hello, retry: &HelloRetryRequest, ask: &Ask<'_>) -> Result<Hello, RemoteError> {
    let share = match retry.group {
        None => None,
        Some(group) if !first.offered.groups.contains(&group) || first.offered.shares.contains(&group) => {
            return Err(RemoteError::illegal("a retry for a group that does not help"));
        }
        // GREASE is in the list of groups too; a server that picks it chose what no one offers.
        Some(group) if !crate::groups::SUPPORTED.contains(&group) => {
            return Err(RemoteError::illegal("a retry for a group that does not exist"));
        }
        Some(group) => Some(Offer::generate(group).map_err(|_| LOCAL)?),
    };
    if share.is_none() && retry.cookie.is_none() {
        // Section 4.1.4: it would change nothing.
        return Err(RemoteError::illegal("a retry that changes nothing"));
    }
    let old = ClientHello::parse(&first.message).map_err(|_| LOCAL)?;
    let hash = Suite::from_id(retry.suite).map(Suite::hash);
    let ticket = ask.ticket.filter(|t| Some(t.suite().hash()) == hash);
    let bytes = codec::message(message::CLIENT_HELLO, |w| {
        w.u16(old.legacy_version);
        w.put(&old.random);
        w.vec8(|w| w.put(old.session_id));
        w.vec16(|w| old.suites.iter().for_each(|s| w.u16(*s)));
        w.vec8(|w| w.put(old.compressions));
        w.vec16(|w| {
            for (kind, data) in &old.extensions {
                match (*kind, &share, ticket) {
                    (extension::KEY_SHARE, share, _) => {
                        w.extension(extension::KEY_SHARE, |w| match share {
                            None => w.put(data),
                            Some(offer) => w.vec16(|w| {
                                w.u16(offer.group());
                                w.vec16(|w| w.put(offer.public()));
                            }),
                        });
                        if let Some(cookie) = &retry.cookie {
                            w.extension(extension::COOKIE, |w| w.vec16(|w| w.put(cookie)));
                        }
                    }
                    (extension::EARLY_DATA, ..) | (extension::PRE_SHARED_KEY, _, None) => {}
                    (extension::PRE_SHARED_KEY, _, Some(ticket)) => write_psk(w, ticket, ask.now),
                    _ => w.extension(*kind, |w| w.put(data)),
                }
            }
        });
    })
    .map_err(|_| LOCAL)?;
    Hello::new(bytes, share.into_iter().collect()).map_err(|_| LOCAL)
}
