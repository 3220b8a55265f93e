//! Where streams go.

use std::sync::Arc;

use rozaneh_net::stream::Io;
use rozaneh_transport::h2::client::Way;
use rozaneh_transport::next::{PacketIo, Refusal};
use rozaneh_transport::target::Target;
use rozaneh_transport::vless;

use crate::direct::Direct;
use crate::socks_upstream::Socks;

/// One upstream of the configuration, ready for use.
pub(crate) enum Upstream {
    Direct(Box<Direct>),
    H2(Arc<Way>),
    Vless(vless::client::Way),
    Socks(Socks),
}

impl Upstream {
    /// A byte stream to `target`, and the address our socket has where that may be told.
    pub async fn open(&self, target: &Target) -> Result<(Io, Option<std::net::SocketAddr>), Refusal> {
        match self {
            Self::Direct(direct) => {
                let tcp = direct.connect(target).await?;
                let bound = tcp.local_addr().ok();
                Ok((Io::from(tcp), bound))
            }
            Self::H2(way) => way.open(target).await.map(|io| (io, None)),
            Self::Vless(way) => way.open(target).await.map(|io| (io, None)),
            Self::Socks(socks) => socks.connect(target).await.map(|io| (io, None)),
        }
    }

    /// Datagrams to `target` through a way, which has a stream for each destination.
    pub async fn open_udp(&self, target: &Target) -> Result<Box<dyn PacketIo>, Refusal> {
        match self {
            Self::H2(way) => way.open_udp(target).await,
            Self::Vless(way) => way.open_udp(target).await,
            Self::Direct(_) | Self::Socks(_) => Err(Refusal::Upstream),
        }
    }

    /// Lets go of what it holds; running streams finish.
    pub fn close(&self) {
        if let Self::H2(way) = self {
            way.close();
        }
    }
}
