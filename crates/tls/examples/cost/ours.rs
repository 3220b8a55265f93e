//! The engine's two ends, in memory.

use std::sync::Arc;

use rozaneh_tls::certificate::WebPki;
use rozaneh_tls::client::{self, Client};
use rozaneh_tls::hello::plain::Plain;
use rozaneh_tls::record::{HEAD, TAIL};
use rozaneh_tls::server::{self, Server, SigningKey};
use rozaneh_tls::traffic::{Opened, Traffic};
use rozaneh_tls::{Connected, Progress};

use super::{Chain, Choice, NAME, NOW, Outcome, PLAIN, timed};

/// Both configurations.
pub struct Ends {
    client: Arc<client::Config>,
    server: Arc<server::Config>,
}

impl Ends {
    pub fn new(chain: &Chain, choice: Choice) -> Outcome<Self> {
        let plain = Plain {
            suites: vec![choice.suite.id()],
            groups: vec![choice.group],
            shares: vec![choice.group],
            ..Plain::default()
        };
        let roots = WebPki::from_certificates([chain.root.as_slice()]).0;
        let client = client::Config::new(Arc::new(plain), Arc::new(roots));
        let mut server = server::Config::new(vec![chain.leaf.clone()], SigningKey::from_pkcs8(&chain.key)?);
        (server.suites, server.groups) = (vec![choice.suite], vec![choice.group]);
        Ok(Self { client: Arc::new(client), server: Arc::new(server) })
    }

    /// A whole handshake.
    pub fn meet(&self) -> Outcome<(Connected, Connected)> {
        let (mut client, mut to_server) = Client::start(Arc::clone(&self.client), NAME, NOW * 1_000)?;
        let mut server = Server::new(Arc::clone(&self.server), NOW * 1_000);
        let mut to_client = Vec::new();
        server.step(&mut to_server, &mut to_client)?;
        let done = client.step(&mut to_client, &mut to_server)? == Progress::Done
            && server.step(&mut to_server, &mut to_client)? == Progress::Done;
        if !done {
            return Err("our handshake does not end".into());
        }
        Ok((client.finish()?, server.finish()?))
    }
}

/// One connection.
pub struct Pair {
    client: Traffic,
    server: Traffic,
}

impl Pair {
    pub fn new(chain: &Chain, choice: Choice) -> Outcome<Self> {
        let (client, server) = Ends::new(chain, choice)?.meet()?;
        Ok(Self { client: client.traffic, server: server.traffic })
    }

    /// CPU seconds of sealing so many full records, and of opening them.
    pub fn cost(&mut self, records: usize) -> Outcome<(f64, f64)> {
        const WIRE: usize = HEAD + PLAIN + TAIL;
        let plain = vec![0x5a; PLAIN];
        // A batch stays in the cache of neither side alone: 16 records, as one large write has.
        let mut room = vec![0; 16 * WIRE];
        let (mut seal, mut open) = (0.0, 0.0);
        for _ in 0..records.div_ceil(16) {
            seal += timed(|| {
                for record in room.chunks_exact_mut(WIRE) {
                    record[HEAD..HEAD + PLAIN].copy_from_slice(&plain);
                    self.server.seal(record, PLAIN)?;
                }
                Ok(())
            })?;
            open += timed(|| {
                for record in room.chunks_exact_mut(WIRE) {
                    let Opened::Data { plain, .. } = self.client.open(record)? else { return Err("no data".into()) };
                    if plain.len() != PLAIN {
                        return Err("half the data".into());
                    }
                }
                Ok(())
            })?;
        }
        Ok((seal, open))
    }
}
