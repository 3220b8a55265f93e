//! Names become addresses here, at the edge, never on the reader's side.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use rozaneh_transport::next::Refusal;

/// Names kept with their answers: a page touches some fifty names, an edge has some hundred readers.
const CACHE: u64 = 4_096;
/// A server that does not answer in this time will not; two tries fit into the time a dial has.
const TIMEOUT: Duration = Duration::from_secs(4);
/// Addresses of one name that are tried at most: no site needs more, and a hostile name may have a thousand.
const MAX_ADDRESSES: usize = 16;

/// A caching resolver.
pub(crate) struct Resolver {
    inner: TokioResolver,
}

impl Resolver {
    /// With these servers, or with the system's. Must be called inside the runtime.
    pub fn new(servers: Option<&[SocketAddr]>) -> Result<Self, String> {
        let mut builder = match servers {
            Some(servers) => {
                let servers = servers.iter().map(|addr| {
                    let on = |mut connection: ConnectionConfig| {
                        connection.port = addr.port();
                        connection
                    };
                    let both = vec![on(ConnectionConfig::udp()), on(ConnectionConfig::tcp())];
                    NameServerConfig::new(addr.ip(), true, both)
                });
                let config = ResolverConfig::from_parts(None, Vec::new(), servers.collect());
                TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
            }
            None => TokioResolver::builder_tokio().map_err(|e| format!("the system's resolver settings: {e}"))?,
        };
        let options = builder.options_mut();
        options.cache_size = CACHE;
        options.timeout = TIMEOUT;
        options.attempts = 2;
        options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
        // A search list would turn a mistyped name into somebody's internal one.
        options.ndots = 0;
        options.try_tcp_on_error = true;
        Ok(Self { inner: builder.build().map_err(|e| e.to_string())? })
    }

    /// All addresses of a name, IPv6 first (RFC 8305 section 4 interleaves them when dialling).
    pub async fn lookup(&self, name: &str) -> Result<Vec<IpAddr>, Refusal> {
        // A final dot keeps search lists away for names with fewer dots than any setting asks for.
        let absolute = if name.ends_with('.') { name.to_owned() } else { format!("{name}.") };
        let found = self.inner.lookup_ip(absolute).await.map_err(|_| Refusal::Name)?;
        let mut addresses: Vec<IpAddr> = found.iter().collect();
        addresses.sort_by_key(IpAddr::is_ipv4);
        addresses.truncate(MAX_ADDRESSES);
        if addresses.is_empty() { Err(Refusal::Name) } else { Ok(addresses) }
    }
}
