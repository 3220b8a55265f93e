//! Load generator and target of the bench, each a process of its own so that neither is counted as the relay's.
//!
//! ```text
//! relay_bench target ADDRESS                                         answers until it is killed
//! relay_bench down|up ADDRESS PROXY AUTH SECONDS STREAMS             bulk; bytes and seconds
//! relay_bench tunnels ADDRESS PROXY AUTH SECONDS WORKERS             new tunnels one after the other in each worker
//! relay_bench idle ADDRESS PROXY AUTH TUNNELS                        opens them, says so, holds them until stdin ends
//! ```
//!
//! `ADDRESS` is the target's. `PROXY` is a SOCKS5 server, or `-` to connect to `ADDRESS` at once; `AUTH` is
//! `user:password` (RFC 1929) or `-`. Every load prints one JSON object a line on stdout.
//!
//! What goes through the tunnels: the program sends a command of 9 bytes, an operation and a length (big-endian). For
//! `D` the target sends that many bytes, for `U` it takes that many and answers one byte, for `E` it sends them back.
//! Two commands are under way at a time, so that nobody waits for a round trip, and every byte counted has arrived.

use std::env;
use std::error::Error;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};

type Fallible<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

/// What one system call moves.
const BLOCK: usize = 256 * 1024;
/// What one bulk command asks for: some milliseconds of work, so that a run ends close to its time.
const SHARE: u64 = 16 * 1024 * 1024;
/// Nothing here takes that long unless the subject hangs.
const PATIENCE: Duration = Duration::from_secs(20);

fn main() -> Fallible {
    let args: Vec<String> = env::args().skip(1).collect();
    let text: Vec<&str> = args.iter().map(String::as_str).collect();
    match text.as_slice() {
        ["target", address] => target(address.parse()?),
        [operation @ ("down" | "up"), address, proxy, auth, seconds, streams] => {
            let route = Route::new(address, proxy, auth)?;
            bulk(&route, *operation == "down", Duration::from_secs_f64(seconds.parse()?), streams.parse()?)
        }
        ["tunnels", address, proxy, auth, seconds, workers] => {
            let route = Route::new(address, proxy, auth)?;
            tunnels(&route, Duration::from_secs_f64(seconds.parse()?), workers.parse()?)
        }
        ["idle", address, proxy, auth, tunnels] => idle(&Route::new(address, proxy, auth)?, tunnels.parse()?),
        _ => Err("target | down | up | tunnels | idle: see the head of this file".into()),
    }
}

// ---- the target ----

fn target(address: SocketAddr) -> Fallible {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async move {
        let socket = tokio::net::TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        let listener = socket.listen(4096)?;
        println!("{{\"ready\":true}}");
        loop {
            let (socket, _) = listener.accept().await?;
            // A tunnel that ends early is the other side's to report.
            tokio::spawn(async move { answer(socket).await.ok() });
        }
    })
}

async fn answer(mut socket: tokio::net::TcpStream) -> io::Result<()> {
    socket.set_nodelay(true)?;
    let mut head = [0; 9];
    loop {
        socket.read_exact(&mut head).await?;
        let [operation, length @ ..] = head;
        let mut left = u64::from_be_bytes(length);
        match operation {
            b'D' => send(&mut socket, left).await?,
            b'U' => {
                while left > 0 {
                    socket.readable().await?;
                    match socket.try_io(Interest::READABLE, || discard(&socket, left)) {
                        Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                        Ok(n) => left -= n as u64,
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                        Err(error) => return Err(error),
                    }
                }
                socket.write_all(b"K").await?;
            }
            b'E' => {
                let mut bytes = vec![0; usize::try_from(left).unwrap_or(0).min(BLOCK)];
                socket.read_exact(&mut bytes).await?;
                socket.write_all(&bytes).await?;
            }
            _ => return Err(io::ErrorKind::InvalidData.into()),
        }
    }
}

async fn send(socket: &mut tokio::net::TcpStream, mut left: u64) -> io::Result<()> {
    static PAYLOAD: [u8; BLOCK] = [0x5a; BLOCK];
    while left > 0 {
        let n = left.min(BLOCK as u64);
        socket.write_all(&PAYLOAD[..n as usize]).await?;
        left -= n;
    }
    Ok(())
}

/// Takes bytes off a socket without copying them, where the kernel can (tcp(7): MSG_TRUNC).
#[cfg(target_os = "linux")]
fn discard(socket: &impl std::os::fd::AsFd, most: u64) -> io::Result<usize> {
    use std::mem::MaybeUninit;
    let mut nowhere = [MaybeUninit::<u8>::uninit(); BLOCK];
    let room = usize::try_from(most).unwrap_or(BLOCK).min(BLOCK);
    let (_, length) = rustix::net::recv(socket, &mut nowhere[..room], rustix::net::RecvFlags::TRUNC)?;
    Ok(length)
}

#[cfg(not(target_os = "linux"))]
fn discard(socket: &impl std::os::fd::AsFd, most: u64) -> io::Result<usize> {
    let mut nowhere = vec![0; usize::try_from(most).unwrap_or(BLOCK).min(BLOCK)];
    Ok(rustix::net::recv(socket, &mut nowhere, rustix::net::RecvFlags::empty())?.0)
}

// ---- the way there ----

/// How a tunnel to the target is opened.
struct Route {
    target: SocketAddr,
    proxy: Option<SocketAddr>,
    auth: Option<(String, String)>,
}

impl Route {
    fn new(target: &str, proxy: &str, auth: &str) -> Fallible<Self> {
        Ok(Self {
            target: target.parse()?,
            proxy: if proxy == "-" { None } else { Some(proxy.parse()?) },
            auth: auth.split_once(':').map(|(user, password)| (user.to_owned(), password.to_owned())),
        })
    }

    fn open(&self) -> Fallible<TcpStream> {
        let mut socket = TcpStream::connect(self.proxy.unwrap_or(self.target))?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_write_timeout(Some(PATIENCE))?;
        if self.proxy.is_some() {
            self.ask(&mut socket)?;
        }
        Ok(socket)
    }

    /// SOCKS5 (RFC 1928), with user and password (RFC 1929) where there are any.
    fn ask(&self, socket: &mut TcpStream) -> Fallible {
        let SocketAddr::V4(target) = self.target else { return Err("IPv4 targets only".into()) };
        let mut choice = [0; 2];
        match &self.auth {
            Some((user, password)) => {
                socket.write_all(&[5, 1, 2])?;
                socket.read_exact(&mut choice)?;
                let mut login = vec![1, u8::try_from(user.len())?];
                login.extend_from_slice(user.as_bytes());
                login.push(u8::try_from(password.len())?);
                login.extend_from_slice(password.as_bytes());
                socket.write_all(&login)?;
                socket.read_exact(&mut choice)?;
                if choice[1] != 0 {
                    return Err("the proxy refused the password".into());
                }
            }
            None => {
                socket.write_all(&[5, 1, 0])?;
                socket.read_exact(&mut choice)?;
            }
        }
        let mut request = vec![5, 1, 0, 1];
        request.extend_from_slice(&target.ip().octets());
        request.extend_from_slice(&target.port().to_be_bytes());
        socket.write_all(&request)?;
        let mut answer = [0; 10];
        socket.read_exact(&mut answer)?;
        if answer[1] == 0 { Ok(()) } else { Err(format!("the proxy answered {}", answer[1]).into()) }
    }
}

fn command(operation: u8, length: u64) -> [u8; 9] {
    let mut bytes = [operation; 9];
    bytes[1..].copy_from_slice(&length.to_be_bytes());
    bytes
}

// ---- the loads ----

fn bulk(route: &Route, down: bool, time: Duration, streams: usize) -> Fallible {
    // All tunnels are open before the first byte: opening is another measure.
    let sockets = (0..streams).map(|_| route.open()).collect::<Fallible<Vec<_>>>()?;
    let start = Instant::now();
    let moved = thread::scope(|scope| -> Fallible<u64> {
        let work = |socket| if down { pull(socket, start, time) } else { push(socket, start, time) };
        let threads: Vec<_> = sockets.iter().map(|socket| scope.spawn(move || work(socket))).collect();
        let mut moved = 0;
        for thread in threads {
            moved += thread.join().map_err(|_| "a load thread panicked")??;
        }
        Ok(moved)
    })?;
    println!("{{\"bytes\":{moved},\"seconds\":{:.6}}}", start.elapsed().as_secs_f64());
    Ok(())
}

fn pull(mut socket: &TcpStream, start: Instant, time: Duration) -> Fallible<u64> {
    let mut moved = 0;
    let mut asked = 1;
    socket.write_all(&command(b'D', SHARE))?;
    while asked > 0 {
        if asked == 1 && start.elapsed() < time {
            socket.write_all(&command(b'D', SHARE))?;
            asked += 1;
        }
        let mut left = SHARE;
        while left > 0 {
            match discard(&socket, left) {
                Ok(0) => return Err("the stream ended early".into()),
                Ok(n) => left -= n as u64,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        moved += SHARE;
        asked -= 1;
    }
    Ok(moved)
}

fn push(mut socket: &TcpStream, start: Instant, time: Duration) -> Fallible<u64> {
    let block = vec![0x5a; BLOCK];
    let mut acknowledgement = [0; 1];
    let mut moved = 0;
    let mut under_way = 0;
    while start.elapsed() < time {
        socket.write_all(&command(b'U', SHARE))?;
        for _ in 0..SHARE / BLOCK as u64 {
            socket.write_all(&block)?;
        }
        under_way += 1;
        if under_way == 2 {
            socket.read_exact(&mut acknowledgement)?;
            under_way -= 1;
        }
        moved += SHARE;
    }
    for _ in 0..under_way {
        socket.read_exact(&mut acknowledgement)?;
    }
    Ok(moved)
}

/// Opens a tunnel, sends one byte and waits for it to come back; the time it took.
fn visit(route: &Route) -> Fallible<(TcpStream, Duration)> {
    let start = Instant::now();
    let mut socket = route.open()?;
    let mut message = [b'?'; 10];
    message[..9].copy_from_slice(&command(b'E', 1));
    socket.write_all(&message)?;
    let mut byte = [0; 1];
    socket.read_exact(&mut byte)?;
    if byte == *b"?" { Ok((socket, start.elapsed())) } else { Err("another byte came back".into()) }
}

fn tunnels(route: &Route, time: Duration, workers: usize) -> Fallible {
    let start = Instant::now();
    let all: Mutex<Vec<Duration>> = Mutex::new(Vec::new());
    thread::scope(|scope| -> Fallible {
        let work = || -> Fallible {
            let mut own = Vec::new();
            while start.elapsed() < time {
                own.push(visit(route)?.1);
            }
            all.lock().map_err(|_| "a load thread panicked")?.append(&mut own);
            Ok(())
        };
        let threads: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        for thread in threads {
            thread.join().map_err(|_| "a load thread panicked")??;
        }
        Ok(())
    })?;
    let seconds = start.elapsed().as_secs_f64();
    let mut times = all.into_inner().map_err(|_| "a load thread panicked")?;
    times.sort_unstable();
    let at = |share: usize| times.get(times.len() * share / 100).map_or(0.0, |time| time.as_secs_f64() * 1e3);
    println!(
        "{{\"tunnels\":{},\"seconds\":{seconds:.6},\"p50_ms\":{:.4},\"p99_ms\":{:.4}}}",
        times.len(),
        at(50),
        at(99)
    );
    Ok(())
}

fn idle(route: &Route, tunnels: usize) -> Fallible {
    let open = (0..tunnels).map(|_| Ok(visit(route)?.0)).collect::<Fallible<Vec<_>>>()?;
    println!("{{\"open\":{}}}", open.len());
    io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}
