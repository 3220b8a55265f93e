//! The HTTP proxy on the local port: CONNECT, and single plain requests.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;

use rozaneh_net::pool::Slice;
use rozaneh_net::stream::Io;
use rozaneh_wire::http1::{ESTABLISHED, Form, Problem, RequestReader};

use super::forward::{Forward, Single};
use super::{Auth, LocalIo};
use crate::next::{Next, Refusal, Reply};
use crate::target::Target;

pub(super) async fn serve(io: LocalIo, first: Slice, auth: &Auth) -> io::Result<Next> {
    let mut reader = RequestReader::new();
    let mut chunk = first;
    let request = loop {
        match reader.feed(&chunk) {
            Ok((taken, Some(request))) => {
                chunk.advance(taken);
                break request;
            }
            Ok((_, None)) => {}
            Err(problem) => return Ok(end(io, &problem, false).await),
        }
        chunk = io.read().await?;
        if chunk.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    };
    let head_only = matches!(request.form, Form::Forward { head_only: true, .. });
    if auth.wants_password() {
        let good = request.credentials.is_some_and(|given| auth.allows(&given.user, &given.password));
        if !good {
            return Ok(end(io, &Problem::CREDENTIALS, head_only).await);
        }
    }
    let Some(target) = Target::host(&request.host, request.port) else {
        let problem = Problem::malformed("The host of the address is not valid.");
        return Ok(end(io, &problem, head_only).await);
    };
    let reply = HttpReply { io, early: chunk, form: request.form, head_only };
    Ok(Next::Tcp { target, user: None, reply: Box::new(reply) })
}

async fn end(io: LocalIo, problem: &Problem, head_only: bool) -> Next {
    io.close(&problem.response(head_only)).await;
    Next::Done
}

/// Waits for the dial.
struct HttpReply {
    io: LocalIo,
    early: Slice,
    form: Form,
    head_only: bool,
}

const fn problem(why: Refusal) -> Problem {
    match why {
        Refusal::Policy => Problem::FORBIDDEN,
        Refusal::Name | Refusal::Unreachable | Refusal::Refused | Refusal::Failed => Problem::BAD_GATEWAY,
        Refusal::Busy | Refusal::Upstream => Problem::UNAVAILABLE,
        Refusal::Timeout => Problem::TIMEOUT,
    }
}

impl Reply for HttpReply {
    fn accept(mut self: Box<Self>, _bound: Option<SocketAddr>) -> Pin<Box<dyn Future<Output = io::Result<Io>> + Send>> {
        Box::pin(async move {
            match self.form {
                Form::Connect => {
                    self.io.write(ESTABLISHED).await?;
                    Ok(self.io.into_io(self.early))
                }
                Form::Forward { head, body, head_only } => {
                    let io = self.io.into_io(self.early);
                    Ok(Io::Dyn(Box::new(Forward::new(io, Single { head, body, head_only }))))
                }
            }
        })
    }

    fn refuse(self: Box<Self>, why: Refusal) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(async move { self.io.close(&problem(why).response(self.head_only)).await })
    }
}
