//! The engine as its owner sees it: start, reload, drain, stop.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use rozaneh_net::dial::Dialler;
use rozaneh_transport::h2::client::{CarrierEvent, Config as WayConfig, Probe, RESERVED, Way};
use rozaneh_transport::h2::request::Credentials;
use rozaneh_transport::habits::Habits;
use rozaneh_transport::outer::Stage;
use rozaneh_transport::vless;
use rozaneh_wire::vless::Id;
use serde_json::json;
use tokio::runtime::Runtime;

use crate::config::{self, Config, ConfigError, Listener, RealityCover, User, check_users};
use crate::core::{Core, Routing};
use crate::direct::Direct;
use crate::dispatch::Route;
use crate::listener::{Bound, Kind, Running, Serving, run};
use crate::outer::{look_of, options, outer};
use crate::policy::Policy;
use crate::reality;
use crate::resolver::Resolver;
use crate::serving::{documents, serving};
use crate::socks_upstream::Socks;
use crate::upstream::Upstream;

/// Why the engine did not do what was asked.
#[derive(Debug)]
pub enum EngineError {
    /// The document is wrong.
    Config(ConfigError),
    /// The system refused: an address in use, a file not readable.
    Io(String, io::Error),
    /// Not now: not started, or stopped.
    State(&'static str),
}

impl fmt::Display for EngineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(error) => error.fmt(f),
            Self::Io(what, error) => write!(f, "{what}: {error}"),
            Self::State(what) => f.write_str(what),
        }
    }
}

impl std::error::Error for EngineError {}

impl From<ConfigError> for EngineError {
    fn from(error: ConfigError) -> Self {
        Self::Config(error)
    }
}

struct Started {
    runtime: Runtime,
    listeners: Vec<Running>,
}

enum State {
    New,
    Running(Started),
    Stopped,
}

/// The engine. All methods may be called from any thread; none needs an event loop. Start it after forking, never
/// before: threads do not survive a fork.
pub struct Engine {
    config: Mutex<Config>,
    core: Arc<Core>,
    state: Mutex<State>,
}

impl Engine {
    /// Reads and judges the configuration; nothing is opened yet.
    ///
    /// # Errors
    /// [`ConfigError`]: the first thing that is wrong.
    pub fn new(config: &str) -> Result<Self, ConfigError> {
        let config = Config::parse(config)?;
        let core = Core::new(&config.limits);
        Ok(Self { config: Mutex::new(config), core, state: Mutex::new(State::New) })
    }

    /// Starts the threads and binds the listeners: all of them, or none.
    ///
    /// # Errors
    /// [`EngineError::Io`] where a socket or file is refused, [`EngineError::State`] where it was started before.
    pub fn start(&self) -> Result<(), EngineError> {
        let config = self.config.lock().clone();
        let mut state = self.state.lock();
        if !matches!(*state, State::New) {
            return Err(EngineError::State("the engine was started before"));
        }
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        if config.workers > 0 {
            builder.worker_threads(config.workers);
        }
        let runtime = builder
            .thread_name("engine")
            .enable_all()
            .build()
            .map_err(|e| EngineError::Io("the engine's threads".into(), e))?;
        let listeners = {
            let _inside = runtime.enter();
            self.apply(None, &config, Vec::new()).inspect_err(|_| self.core.reality.keep(&[]))?
        };
        *state = State::Running(Started { runtime, listeners });
        Ok(())
    }

    /// Changes to another configuration. Listeners and upstreams that stay the same keep their connections.
    ///
    /// # Errors
    /// As [`Engine::new`] and [`Engine::start`]; then everything is as before.
    pub fn reload(&self, config: &str) -> Result<(), EngineError> {
        let next = Config::parse(config)?;
        let mut current = self.config.lock();
        if next.workers != current.workers || next.limits.connections != current.limits.connections {
            let reason = "`workers` and `limits.connections` take effect at a start only";
            return Err(ConfigError::new("document", reason).into());
        }
        match &mut *self.state.lock() {
            State::Running(started) => {
                let _inside = started.runtime.enter();
                let old = std::mem::take(&mut started.listeners);
                let (kept, result) = match self.prepare(Some(&*current), &next, old) {
                    Ok(listeners) => (listeners, Ok(())),
                    Err((listeners, error)) => (listeners, Err(error)),
                };
                let in_force = if result.is_ok() { &next } else { &*current };
                self.core.reality.keep(&in_force.listeners);
                started.listeners = kept;
                result?;
            }
            State::New => {}
            State::Stopped => return Err(EngineError::State("the engine was stopped")),
        }
        *current = next;
        Ok(())
    }

    /// Replaces the users in one step; tunnels of those who are gone are cut at once.
    ///
    /// # Errors
    /// [`ConfigError`] where the list is wrong.
    pub fn set_users(&self, users: &str) -> Result<(), ConfigError> {
        let users: Vec<User> = serde_json::from_str(users).map_err(|error| {
            let text = error.to_string();
            ConfigError::new("users", text.split(" at line ").next().unwrap_or_default())
        })?;
        check_users(&users)?;
        let mut config = self.config.lock();
        self.core.users.set(&users);
        config.users = users;
        Ok(())
    }

    /// Stops accepting; what runs goes on.
    pub fn drain(&self) {
        if let State::Running(started) = &mut *self.state.lock() {
            for listener in started.listeners.drain(..) {
                drop(listener);
            }
        }
    }

    /// Stops: accepts nothing more, gives running tunnels `grace` to end, then ends them.
    pub fn stop(&self, grace: Duration) {
        self.drain();
        let until = Instant::now() + grace;
        while self.core.counters.tunnels_open.load(Relaxed) > 0 && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(20));
        }
        let previous = std::mem::replace(&mut *self.state.lock(), State::Stopped);
        self.core.cut.cancel();
        if let State::Running(started) = previous {
            for upstream in self.core.routing.load().upstreams.values() {
                upstream.close();
            }
            self.core.reality.keep(&[]);
            // Long enough for resets and goodbyes to be written, which never waits for a peer.
            started.runtime.shutdown_timeout(Duration::from_millis(500));
        }
    }

    /// Listeners with the addresses they really have.
    #[must_use]
    pub fn listeners(&self) -> String {
        let list: Vec<_> = match &*self.state.lock() {
            State::Running(started) => started
                .listeners
                .iter()
                .map(|l| json!({"tag": l.config.tag(), "type": l.config.kind(), "address": l.address}))
                .collect(),
            _ => Vec::new(),
        };
        json!(list).to_string()
    }

    /// Counters, monotonic since the start; gauges end in `_open`.
    #[must_use]
    pub fn counters(&self) -> String {
        let counters = &self.core.counters;
        let (up, down) = counters.bytes.read();
        let users: serde_json::Map<_, _> = self
            .core
            .users
            .tallies()
            .into_iter()
            .map(|(id, tally)| {
                let (up, down) = tally.meter.read();
                let value = json!({
                    "up": up, "down": down,
                    "tunnels_open": tally.tunnels_open.load(Relaxed),
                    "last_seen": tally.last_seen.load(Relaxed),
                });
                (id.to_string(), value)
            })
            .collect();
        let routing = self.core.routing.load();
        let carriers: usize = routing
            .upstreams
            .values()
            .map(|upstream| if let Upstream::H2(way) = &**upstream { way.carriers() } else { 0 })
            .sum();
        json!({
            "tunnels_open": counters.tunnels_open.load(Relaxed),
            "tunnels_total": counters.tunnels_total.load(Relaxed),
            "connections_open": counters.connections_open.load(Relaxed),
            "carriers_open": carriers,
            "bytes_up": up, "bytes_down": down,
            "visits": counters.visits.load(Relaxed),
            "turned_away": counters.turned_away.load(Relaxed),
            "refused": counters.refusals(),
            "users": users,
            "events_lost": self.core.events.lost(),
        })
        .to_string()
    }

    /// Up to `max` events; waits at most `timeout` for the first.
    #[must_use]
    pub fn events(&self, max: usize, timeout: Duration) -> Vec<String> {
        self.core.events.take(max, timeout)
    }

    /// Makes sure that a way stands and that its edge knows us.
    ///
    /// # Errors
    /// [`EngineError::State`] where there is no such way or the engine does not run.
    pub fn probe(&self, upstream: &str, timeout: Duration) -> Result<String, EngineError> {
        let probe = self.ask(upstream, 1 << 20, timeout)?;
        let date = probe.date.as_deref().and_then(|date| httpdate::parse_http_date(date).ok());
        let date = date.and_then(|date| date.duration_since(UNIX_EPOCH).ok()).map(|d| d.as_secs());
        Ok(json!({
            "ok": probe.stage == Stage::Ok,
            "stage": probe.stage.name(),
            "reason": probe.reason,
            "rtt_ms": probe.rtt.map(|rtt| rtt.as_secs_f64() * 1e3),
            "server_date": date,
            "now": SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs()),
        })
        .to_string())
    }

    /// The document the edge keeps under a reserved name, at most `limit` bytes.
    ///
    /// # Errors
    /// [`EngineError::State`] as for [`Engine::probe`]; [`EngineError::Io`] where it could not be had.
    pub fn fetch(
        &self,
        upstream: &str,
        authority: &str,
        limit: usize,
        timeout: Duration,
    ) -> Result<Vec<u8>, EngineError> {
        if authority != RESERVED {
            return Err(EngineError::State("only the reserved name is fetched"));
        }
        let probe = self.ask(upstream, limit, timeout)?;
        if probe.stage == Stage::Ok {
            return Ok(probe.body);
        }
        let what = format!("the edge's document ({})", probe.stage.name());
        Err(EngineError::Io(what, io::Error::other(probe.reason)))
    }

    fn ask(&self, upstream: &str, limit: usize, timeout: Duration) -> Result<Probe, EngineError> {
        let handle = match &*self.state.lock() {
            State::Running(started) => started.runtime.handle().clone(),
            _ => return Err(EngineError::State("the engine does not run")),
        };
        let upstream = self.core.upstream(upstream).ok_or(EngineError::State("there is no such upstream"))?;
        let asking = async {
            match &*upstream {
                Upstream::H2(way) => Ok(way.probe(limit).await),
                Upstream::Vless(way) => {
                    let began = Instant::now();
                    Ok(match way.ask(limit).await {
                        Ok(body) => Probe {
                            stage: Stage::Ok,
                            reason: String::new(),
                            rtt: Some(began.elapsed()),
                            date: None,
                            body,
                        },
                        Err(failed) => unanswered(failed.stage, failed.reason, failed.date),
                    })
                }
                Upstream::Direct(_) | Upstream::Socks(_) => Err(EngineError::State("that upstream is no way")),
            }
        };
        let late = |_| Ok(unanswered(Stage::Connect, "no answer in time".into(), None));
        handle.block_on(async { tokio::time::timeout(timeout, asking).await.unwrap_or_else(late) })
    }

    fn apply(
        &self,
        old: Option<&Config>,
        config: &Config,
        listeners: Vec<Running>,
    ) -> Result<Vec<Running>, EngineError> {
        self.prepare(old, config, listeners).map_err(|(_, error)| error)
    }

    /// Builds everything new first, then changes over. On an error the old listeners come back untouched.
    fn prepare(
        &self,
        old: Option<&Config>,
        config: &Config,
        running: Vec<Running>,
    ) -> Result<Vec<Running>, (Vec<Running>, EngineError)> {
        let built = self.build(old, config, &running);
        let (routing, mut plans) = match built {
            Ok(built) => built,
            Err(error) => return Err((running, error)),
        };
        self.core.users.set(&config.users);
        let before = self.core.routing.swap(Arc::new(routing));
        let mut left: Vec<Option<Running>> = running.into_iter().map(Some).collect();
        let mut next = Vec::new();
        for plan in plans.drain(..) {
            match plan {
                Plan::Keep(index, changed) => {
                    if let Some(mut kept) = left.get_mut(index).and_then(Option::take) {
                        if let Some((config, serving)) = changed {
                            kept.serving.store(Arc::new(serving));
                            kept.config = config;
                        }
                        next.push(kept);
                    }
                }
                Plan::New(config, bound, serving) => next.push(run(&self.core, config, bound, serving)),
            }
        }
        for (tag, upstream) in &before.upstreams {
            let kept = self.core.upstream(tag).is_some_and(|now| Arc::ptr_eq(&now, upstream));
            if !kept {
                upstream.close();
            }
        }
        for listener in &next {
            self.core.events.emit(&json!({"kind": "listener", "tag": listener.config.tag()}));
        }
        Ok(next)
    }

    #[allow(clippy::type_complexity)]
    fn build(
        &self,
        old: Option<&Config>,
        config: &Config,
        running: &[Running],
    ) -> Result<(Routing, Vec<Plan>), EngineError> {
        let same_dialling = old.is_some_and(|old| {
            old.policy == config.policy && old.resolver == config.resolver && old.limits == config.limits
        });
        let mut upstreams = HashMap::new();
        let mut resolver = None;
        for (i, wanted) in config.upstreams.iter().enumerate() {
            let unchanged =
                old.is_some_and(|old| old.upstreams.contains(wanted) && old.look_of(wanted) == config.look_of(wanted));
            let direct = matches!(wanted, config::Upstream::Direct { .. });
            let kept = self.core.upstream(wanted.tag()).filter(|_| unchanged && (same_dialling || !direct));
            let upstream = match kept {
                Some(kept) => kept,
                None => Arc::new(self.upstream(i, wanted, config, &mut resolver)?),
            };
            upstreams.insert(wanted.tag().to_owned(), upstream);
        }
        let claims = claims(&config.listeners, running);
        let mut plans: Vec<Option<Plan>> = config.listeners.iter().map(|_| None).collect();
        // Where each listener is, as soon as that is known: a cover may be one of them, so its users come last.
        let mut places: HashMap<&str, SocketAddr> = HashMap::new();
        for covered in [false, true] {
            let these = config.listeners.iter().zip(&claims).zip(&mut plans).enumerate();
            for (i, ((wanted, at), place)) in
                these.filter(|(_, ((wanted, _), _))| covered == matches!(wanted, Listener::Reality { .. }))
            {
                let running = at.and_then(|index| Some((index, running.get(index)?)));
                let plan = match running {
                    Some((index, r)) if r.config == *wanted && !reads_files(wanted) => Plan::Keep(index, None),
                    Some((index, _)) => Plan::Keep(index, Some((wanted.clone(), self.serving(i, wanted, &places)?))),
                    None => {
                        let serving = self.serving(i, wanted, &places)?;
                        let bound = Bound::new(wanted.bind())
                            .map_err(|e| EngineError::Io(format!("listeners[{i}].bind"), e))?;
                        Plan::New(wanted.clone(), bound, serving)
                    }
                };
                let address = match (&plan, running) {
                    (Plan::New(_, bound, _), _) => bound.address(wanted.bind()),
                    (Plan::Keep(..), Some((_, r))) => r.address.clone(),
                    (Plan::Keep(..), None) => String::new(),
                };
                if let Ok(address) = address.parse() {
                    places.insert(wanted.tag(), address);
                }
                *place = Some(plan);
            }
        }
        let plans = plans.into_iter().flatten().collect();
        Ok((Routing { upstreams, limits: config.limits.clone() }, plans))
    }

    fn serving(&self, i: usize, wanted: &Listener, places: &HashMap<&str, SocketAddr>) -> Result<Serving, EngineError> {
        let Listener::Reality { cover, services, .. } = wanted else { return serving(i, wanted) };
        let at = |field: &str| format!("listeners[{i}].{field}");
        let cover = match cover {
            RealityCover::Address(address) => *address,
            RealityCover::Listener(tag) => *places
                .get(tag.as_str())
                .ok_or_else(|| ConfigError::new(at("cover.listener"), "that listener has no address"))?,
        };
        let documents = documents(i, services)?;
        let kind = Kind::Reality(reality::edge(&self.core, i, wanted, cover)?);
        Ok(Serving { route: Route { upstream: wanted.upstream().into(), services: Arc::new(documents) }, kind })
    }

    fn upstream(
        &self,
        i: usize,
        wanted: &config::Upstream,
        config: &Config,
        resolver: &mut Option<Arc<Resolver>>,
    ) -> Result<Upstream, EngineError> {
        let at = |field: &str| format!("upstreams[{i}].{field}");
        let timeout = Duration::from_secs(config.limits.dial_timeout_s);
        Ok(match wanted {
            config::Upstream::Direct { egress, .. } => {
                let resolver = match resolver {
                    Some(resolver) => Arc::clone(resolver),
                    None => {
                        let made = Resolver::new(config.resolver.servers.as_deref())
                            .map_err(|reason| ConfigError::new("resolver", reason))?;
                        Arc::clone(resolver.insert(Arc::new(made)))
                    }
                };
                let egress = egress.clone().unwrap_or_default();
                Upstream::Direct(Box::new(Direct {
                    policy: policy(&config.policy)?,
                    resolver,
                    dialler: Dialler::new(options(&egress, timeout)),
                    egress,
                    timeout,
                }))
            }
            config::Upstream::Socks5 { address, user, password, .. } => {
                Upstream::Socks(Socks { address: *address, user: user.clone(), password: password.0.clone(), timeout })
            }
            config::Upstream::Vless { tag, address, server_name, id, look, security } => {
                let look = look_of(&at, config, look)?;
                let mut outer = outer(&at, *address, server_name, &look, security, timeout)?;
                // A connection a stream is what this protocol is: the browser's manners cannot be kept, and whoever
                // counts connections sees it (docs/threat-model).
                outer.habits = Habits::new(usize::MAX, Duration::ZERO);
                let id = Id::parse(&id.0).ok_or_else(|| ConfigError::new(at("id"), "a UUID is expected"))?;
                let (tag, core) = (tag.clone(), Arc::downgrade(&self.core));
                Upstream::Vless(vless::client::Way::new(vless::client::Config {
                    id,
                    deadline: timeout,
                    payload: vless::client::PAYLOAD,
                    connect: vless::client::through(outer),
                    watch: Box::new(move |stage| {
                        let Some(core) = core.upgrade() else { return };
                        core.events.emit(&json!({"kind": "carrier_failed", "upstream": tag, "stage": stage.name()}));
                    }),
                }))
            }
            config::Upstream::H2 { tag, address, server_name, user, password, carriers, look, security } => {
                let look = look_of(&at, config, look)?;
                let outer = outer(&at, *address, server_name, &look, security, timeout)?;
                let tag = tag.clone();
                let core = Arc::downgrade(&self.core);
                Upstream::H2(Way::new(WayConfig {
                    outer,
                    credentials: Credentials::new(user, &password.0),
                    carriers: *carriers,
                    deadline: timeout,
                    watch: Box::new(move |event| {
                        let Some(core) = core.upgrade() else { return };
                        core.events.emit(&match event {
                            CarrierEvent::Open { handshake } => json!({
                                "kind": "carrier_open", "upstream": tag, "handshake_ms": handshake.as_secs_f64() * 1e3,
                            }),
                            CarrierEvent::Lost => json!({"kind": "carrier_lost", "upstream": tag}),
                            CarrierEvent::Failed(stage) => {
                                json!({"kind": "carrier_failed", "upstream": tag, "stage": stage.name()})
                            }
                        });
                    }),
                }))
            }
        })
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if let State::Running(started) = std::mem::replace(&mut *self.state.lock(), State::Stopped) {
            self.core.cut.cancel();
            self.core.reality.keep(&[]);
            started.runtime.shutdown_background();
        }
    }
}

enum Plan {
    /// The running listener of this index stays, perhaps with other settings.
    Keep(usize, Option<(Listener, Serving)>),
    New(Listener, Bound, Serving),
}

/// Which running listener each wanted one continues: the one of its name where place and kind are the same, else any
/// other there that nobody claimed. Several may say port 0, so place and kind alone do not tell them apart.
fn claims(wanted: &[Listener], running: &[Running]) -> Vec<Option<usize>> {
    let mut claimed = vec![false; running.len()];
    let mut claims = vec![None; wanted.len()];
    for by_name in [true, false] {
        for (wanted, claim) in wanted.iter().zip(&mut claims).filter(|(_, claim)| claim.is_none()) {
            let fits = |r: &Running| {
                r.config.bind() == wanted.bind()
                    && r.config.kind() == wanted.kind()
                    && (!by_name || r.config.tag() == wanted.tag())
            };
            let free = running.iter().zip(&mut claimed).enumerate().find(|(_, (r, taken))| !**taken && fits(r));
            if let Some((index, (_, taken))) = free {
                *taken = true;
                *claim = Some(index);
            }
        }
    }
    claims
}

/// Files may have other content under the same name: a renewed certificate, for one. And a cover that is a listener may
/// have another address.
fn reads_files(listener: &Listener) -> bool {
    matches!(listener, Listener::H2 { .. } | Listener::Reality { .. })
}

/// What is known of a way that did not answer.
fn unanswered(stage: Stage, reason: String, date: Option<String>) -> Probe {
    Probe { stage, reason, rtt: None, date, body: Vec::new() }
}

fn policy(config: &config::Policy) -> Result<Policy, ConfigError> {
    let nets = |name: &str, list: &[String]| {
        list.iter()
            .enumerate()
            .map(|(i, net)| net.parse().map_err(|_| ConfigError::new(format!("policy.{name}[{i}]"), "not a network")))
            .collect::<Result<Vec<_>, _>>()
    };
    let (allow, deny) = (nets("allow", &config.allow)?, nets("deny", &config.deny)?);
    Ok(Policy::new(allow, deny, config.denied_ports.clone(), config.own_addresses.clone()))
}
