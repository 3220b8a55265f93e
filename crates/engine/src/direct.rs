//! The open internet as an upstream: resolve, judge what was resolved, dial.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rozaneh_net::dial::Dialler;
use rozaneh_transport::next::Refusal;
use rozaneh_transport::target::Target;
use tokio::net::TcpStream;

use crate::policy::{Policy, Transport};
use crate::resolver::Resolver;

/// A dialler with a policy in front.
pub(crate) struct Direct {
    pub policy: Policy,
    pub resolver: Arc<Resolver>,
    pub dialler: Dialler,
    pub egress: Vec<IpAddr>,
    pub timeout: Duration,
}

impl Direct {
    /// The addresses of a target that may be reached. Judged after resolving, so that a name gains nothing.
    pub async fn resolve(&self, target: &Target, transport: Transport) -> Result<Vec<SocketAddr>, Refusal> {
        let all: Vec<SocketAddr> = match target {
            Target::Addr(addr) => vec![*addr],
            Target::Name(name, port) => {
                let found = self.resolver.lookup(name).await?;
                found.into_iter().map(|ip| SocketAddr::new(ip, *port)).collect()
            }
        };
        let allowed: Vec<_> = all.into_iter().filter(|addr| self.policy.check(*addr, transport).is_ok()).collect();
        if allowed.is_empty() { Err(Refusal::Policy) } else { Ok(allowed) }
    }

    /// A connected socket.
    pub async fn connect(&self, target: &Target) -> Result<TcpStream, Refusal> {
        let dialling = async {
            let addresses = self.resolve(target, Transport::Tcp).await?;
            self.dialler.connect(&target.authority(), &addresses).await.map_err(refusal)
        };
        tokio::time::timeout(self.timeout, dialling).await.map_err(|_| Refusal::Timeout)?
    }
}

fn refusal(error: rozaneh_net::dial::DialError) -> Refusal {
    Refusal::from_io(&error.into())
}
