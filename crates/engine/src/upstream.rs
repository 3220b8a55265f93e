//! Where streams go.

use std::sync::Arc;

use rozaneh_net::stream::Io;
use rozaneh_transport::h2::client::Way;
use rozaneh_transport::next::Refusal;
use rozaneh_transport::target::Target;

use crate::direct::Direct;
use crate::socks_upstream::Socks;

/// One upstream of the configuration, ready for use.
pub(crate) enum Upstream {
    Direct(Box<Direct>),
    H2(Arc<Way>),
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
            Self::Socks(socks) => socks.connect(target).await.map(|io| (io, None)),
        }
    }

    /// Lets go of what it holds; running streams finish.
    pub fn close(&self) {
        if let Self::H2(way) = self {
            way.close();
        }
    }
}
