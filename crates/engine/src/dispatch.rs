//! From `Next` to the relay: who asks, may they, where to, and then bytes.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use rozaneh_net::pool::Slice;
use rozaneh_net::relay::relay;
use rozaneh_net::stream::{Io, Stream};
use rozaneh_transport::h2::client::RESERVED;
use rozaneh_transport::next::{Next, Refusal, Reply};
use rozaneh_transport::target::Target;

use crate::core::{Core, Services};
use crate::counters::Open;
use crate::datagrams;
use crate::users::User;

/// What a listener adds to the question.
#[derive(Clone)]
pub(crate) struct Route {
    pub upstream: Arc<str>,
    pub services: Arc<Services>,
}

/// Takes the next step to its end.
pub(crate) async fn dispatch(core: Arc<Core>, route: Route, next: Next) {
    match next {
        Next::Tcp { target, user, reply } => {
            let Ok(user) = still(&core, user) else { return };
            // The part before the relay is large and short-lived: on the heap, so that an idle tunnel is small.
            let pair = Box::pin(connect(&core, &route, target, user.as_deref(), reply)).await;
            if let Some((near, far)) = pair {
                let user_open = user.as_ref().map(|user| Open::new(&user.tally.tunnels_open));
                let open = Open::new(&core.counters.tunnels_open);
                core.counters.tunnels_total.fetch_add(1, Relaxed);
                let control = core.control(user.as_deref());
                relay(near, far, control).await;
                drop((open, user_open));
            }
        }
        Next::Udp { target, user, packets } => {
            let Ok(user) = still(&core, user) else { return };
            Box::pin(datagrams::serve(&core, &route, target, user, packets)).await;
        }
        Next::Fallback => {
            core.counters.visits.fetch_add(1, Relaxed);
        }
        Next::Done => {}
    }
}

/// Who was removed between the question and the answer.
struct Gone;

/// The user of this tunnel, if it has one. Somebody removed this very moment must not become a tunnel of nobody's,
/// which nothing would ever cut: it is dropped, and with it its stream.
fn still(core: &Core, id: Option<Arc<str>>) -> Result<Option<Arc<User>>, Gone> {
    id.map(|id| core.users.get(&id).ok_or(Gone)).transpose()
}

async fn connect(
    core: &Arc<Core>,
    route: &Route,
    target: Target,
    user: Option<&User>,
    reply: Box<dyn Reply>,
) -> Option<(Io, Io)> {
    let authority = target.authority();
    if let Some(documents) = route.services.get(&authority) {
        let document = user.and_then(|user| documents.get(&user.compartment));
        match document {
            Some(document) => serve(document, reply).await,
            None => reply.refuse(Refusal::Name).await,
        }
        return None;
    }
    let opened = if authority == RESERVED {
        // Reserved for edges: no resolver may ever hear of it.
        Err(Refusal::Name)
    } else if user.is_some_and(|user| over(core, user)) {
        Err(Refusal::Busy)
    } else {
        match core.upstream(&route.upstream) {
            Some(upstream) => upstream.open(&target).await,
            None => Err(Refusal::Upstream),
        }
    };
    match opened {
        Ok((far, bound)) => reply.accept(bound).await.ok().map(|near| (near, far)),
        Err(why) => {
            core.counters.refused(why);
            reply.refuse(why).await;
            None
        }
    }
}

fn over(core: &Core, user: &User) -> bool {
    user.tally.tunnels_open.load(Relaxed) >= core.routing.load().limits.tunnels_per_user
}

/// Sends a document and ends the stream.
async fn serve(document: &[u8], reply: Box<dyn Reply>) {
    let Ok(mut near) = reply.accept(None).await else { return };
    let sending = async {
        // Below a stream's first window per chunk, so that no chunk waits half sent.
        for part in document.chunks(16 * 1024) {
            std::future::poll_fn(|cx| near.poll_ready(cx)).await?;
            near.send(Slice::copy_from(part));
        }
        std::future::poll_fn(|cx| near.poll_flush(cx)).await?;
        std::future::poll_fn(|cx| near.poll_finish(cx)).await
    };
    // A reader who left in the middle asks again.
    let _: std::io::Result<()> = sending.await;
}
