//! VLESS: whatever arrives, however it is cut, the outcome is the same, and what was written is read back.

use crate::vless::datagrams::Decoder;
use crate::vless::server::{MAX_HEADER, Request};
use crate::vless::{Client, Server, client, datagrams};

fn serve(input: &[u8], step: usize) -> Result<Option<(Request, usize)>, &'static str> {
    let mut server = Server::new();
    let mut at = 0;
    for chunk in input.chunks(step) {
        let (taken, request) = server.feed(chunk).map_err(|error| error.why)?;
        at += taken;
        if let Some(request) = request {
            assert!(at <= MAX_HEADER, "a header is bounded");
            return Ok(Some((request, at)));
        }
        assert_eq!(taken, chunk.len(), "without a request everything is taken");
    }
    assert!(at < MAX_HEADER, "a whole header is a request or refused");
    Ok(None)
}

fn answer(input: &[u8], step: usize) -> Result<(usize, bool), &'static str> {
    let mut client = Client::new();
    let mut at = 0;
    for chunk in input.chunks(step) {
        let taken = client.feed(chunk).map_err(|error| error.why)?;
        at += taken;
        if client.done() {
            break;
        }
        assert_eq!(taken, chunk.len(), "without an end everything is taken");
    }
    Ok((at, client.done()))
}

fn unframe(input: &[u8], step: usize) -> (Vec<Vec<u8>>, bool) {
    let (mut decoder, mut found) = (Decoder::new(), Vec::new());
    for chunk in input.chunks(step) {
        decoder.feed(chunk, &mut |payload| found.push(payload.to_vec()));
    }
    (found, decoder.is_whole())
}

/// Requests, responses and datagrams.
pub fn vless(data: &[u8]) {
    let Some((&[mode, step], input)) = data.split_first_chunk() else { return };
    let step = usize::from(step) + 1;
    match mode % 3 {
        0 => {
            let whole = serve(input, usize::MAX);
            assert_eq!(serve(input, step), whole, "the cut changes nothing");
            if let Ok(Some((request, _))) = whole {
                let mut again = Vec::new();
                assert!(client::request(&request.id, request.command, &request.address, &mut again).is_ok());
                assert_eq!(serve(&again, step), Ok(Some((request, again.len()))));
            }
        }
        1 => assert_eq!(answer(input, step), answer(input, usize::MAX)),
        _ => {
            let (whole, ended) = unframe(input, usize::MAX);
            assert_eq!(unframe(input, step), (whole.clone(), ended));
            let mut again = Vec::new();
            for payload in &whole {
                assert!(datagrams::encode(payload, &mut again).is_ok());
            }
            assert!(input.starts_with(&again), "there is one way to write datagrams");
            assert_eq!(ended, input.len() == again.len());
        }
    }
}
