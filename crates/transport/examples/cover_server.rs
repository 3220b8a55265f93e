//! Serves a cover alone, over plain HTTP/1.x on loopback, for the comparison with a real nginx.
//!
//! `cover_server directory PATH | stock SECONDS | proxy URL` prints the port it listens on and serves until its standard input
//! ends.

use std::error::Error;
use std::io::Read;
use std::time::{Duration, SystemTime};

use rozaneh_net::pool::Slice;
use rozaneh_transport::cover::http1::{Connection, Timeouts, serve};
use rozaneh_transport::cover::{Cover, Visit};
use tokio::net::TcpListener;
use tokio::time::Instant;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let cover = match words.as_slice() {
        ["directory", path] => Cover::directory(path),
        ["stock", seconds] => Cover::stock(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds.parse()?)),
        ["proxy", url] => Cover::proxy(url)?,
        _ => return Err("usage: cover_server directory PATH | stock SECONDS | proxy URL".into()),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
    println!("{}", listener.local_addr()?.port());
    runtime.spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let accepted = Instant::now();
            let cover = cover.clone();
            let Ok(local) = stream.local_addr() else { continue };
            let _ = stream.set_nodelay(true);
            tokio::spawn(async move {
                let visit = Visit { local, secure: false };
                let connection = Connection { visit, plain_to_tls: false, accepted };
                serve(stream, &cover, &connection, &Timeouts::default(), Slice::copy_from(&[])).await
            });
        }
    });
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}
