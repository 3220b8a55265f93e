use super::*;

fn port() -> UdpPort {
    UdpPort::bind("127.0.0.1:0".parse().expect("address")).expect("bound")
}

fn datagram(index: usize, length: usize) -> Slice {
    Slice::from_vec((0..length).map(|at| (index.wrapping_mul(31) ^ at) as u8).collect())
}

/// Sends, and receives as many as were sent.
async fn through(from: &UdpPort, to: &UdpPort, lengths: &[usize]) -> Vec<(SocketAddr, Slice)> {
    let target = to.local_addr().expect("bound");
    let mut received = Batch::new();
    let mut all = Vec::new();
    for (group, chunk) in lengths.chunks(BATCH).enumerate() {
        let mut batch = Batch::new();
        for (index, length) in chunk.iter().enumerate() {
            assert!(batch.push(target, datagram(group * BATCH + index, *length)));
        }
        from.send(&mut batch).await.expect("sent");
        assert!(batch.is_empty());
        let expected = all.len() + chunk.len();
        while all.len() < expected {
            let got = to.recv(&mut received).await.expect("received");
            assert!(got > 0 && got == received.len());
            all.extend(received.drain());
        }
    }
    all
}

fn check(from: &UdpPort, lengths: &[usize], received: &[(SocketAddr, Slice)]) {
    assert_eq!(received.len(), lengths.len());
    for (index, ((sender, bytes), length)) in received.iter().zip(lengths).enumerate() {
        assert_eq!(*sender, from.local_addr().expect("bound"));
        assert_eq!(*bytes, datagram(index, *length), "datagram {index}");
    }
}

#[tokio::test]
async fn equal_datagrams_travel_in_trains() {
    let (from, to) = (port(), port());
    let mut lengths = vec![1200; 200];
    lengths.push(7);
    let received = through(&from, &to, &lengths).await;
    check(&from, &lengths, &received);
    let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    if cfg!(target_os = "linux") {
        // 64 of 1,200 bytes are more than one packet's worth: 54 and 10.
        assert_eq!(count(&from.counters.trains_out), 7, "{:?}", from.counters);
        assert_eq!(count(&from.counters.train_datagrams_out), 201);
        assert_eq!(count(&from.counters.single_out), 0);
        assert_eq!(count(&to.counters.trains_in), 7, "{:?}", to.counters);
    }
    assert_eq!(count(&to.counters.datagrams_in), 201);
    assert_eq!(count(&from.counters.refused), 0);
}

#[tokio::test]
async fn sizes_and_order_survive_any_mixture() {
    let (from, to) = (port(), port());
    let lengths: Vec<usize> = (0..400_usize)
        .map(|index| [0, 1, 1200, 1200, 1200, 600, 1472, 1472, 1473, 9000, 3, 3, 3][index * 7 % 13])
        .collect();
    let received = through(&from, &to, &lengths).await;
    check(&from, &lengths, &received);
}

#[tokio::test]
async fn the_largest_datagram_passes() {
    // 65,535 less IPv4 and UDP header (RFC 791, RFC 768).
    let (from, to) = (port(), port());
    let lengths = [65_507, 65_507, 65_506];
    for length in lengths {
        let received = through(&from, &to, &[length]).await;
        check(&from, &[length], &received);
    }
    let mut batch = Batch::new();
    let target = to.local_addr().expect("bound");
    assert!(batch.push(target, datagram(0, 65_508)));
    assert!(batch.push(target, datagram(1, 5)));
    from.send(&mut batch).await.expect("the impossible one is dropped, the other is sent");
    assert_eq!(to.recv(&mut batch).await.expect("received"), 1);
    assert_eq!(batch.iter().next().map(|(_, bytes)| bytes.clone()), Some(datagram(1, 5)));
    assert_eq!(from.counters.refused.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn trains_to_several_addresses_are_kept_apart() {
    let (from, one, two) = (port(), port(), port());
    let mut batch = Batch::new();
    for index in 0..BATCH {
        let to = if index % 8 < 4 { &one } else { &two };
        assert!(batch.push(to.local_addr().expect("bound"), datagram(index, 900)));
    }
    assert!(!batch.push(one.local_addr().expect("bound"), datagram(0, 1)), "a batch is bounded");
    from.send(&mut batch).await.expect("sent");
    for (to, first) in [(&one, 0), (&two, 4)] {
        let mut got = Batch::new();
        while got.len() < BATCH / 2 {
            to.recv(&mut got).await.expect("received");
        }
        for (place, (_, bytes)) in got.iter().enumerate() {
            assert_eq!(*bytes, datagram(first + place / 4 * 8 + place % 4, 900));
        }
    }
    if cfg!(target_os = "linux") {
        assert_eq!(from.counters.trains_out.load(Ordering::Relaxed), 16);
    }
}

#[tokio::test]
async fn both_families_and_a_full_batch() {
    let from = UdpPort::bind("[::1]:0".parse().expect("address")).expect("bound");
    let to = UdpPort::bind("[::1]:0".parse().expect("address")).expect("bound");
    to.set_buffers(4 << 20);
    let lengths = vec![1452; 64];
    let received = through(&from, &to, &lengths).await;
    check(&from, &lengths, &received);
    let mut full = Batch::new();
    while full.push(to.local_addr().expect("bound"), datagram(0, 1)) {}
    assert_eq!(to.recv(&mut full).await.expect("no room, so nothing is waited for"), 0);
}

#[tokio::test]
async fn a_refused_datagram_does_not_break_the_socket() {
    let (from, gone, to) = (port(), port(), port());
    let target = gone.local_addr().expect("bound");
    drop(gone);
    from.connect(target).expect("connected");
    let mut batch = Batch::new();
    assert!(batch.push(target, datagram(0, 10)));
    from.send(&mut batch).await.expect("sent");
    // The refusal has arrived by now, loopback being synchronous; it must not surface as an error of receiving.
    from.connect(to.local_addr().expect("bound")).expect("connected elsewhere");
    to.connect(from.local_addr().expect("bound")).expect("connected");
    assert!(batch.push(from.local_addr().expect("bound"), datagram(3, 20)));
    to.send(&mut batch).await.expect("sent");
    assert_eq!(from.recv(&mut batch).await.expect("received"), 1);
    assert_eq!(batch.iter().next().map(|(_, bytes)| bytes.clone()), Some(datagram(3, 20)));
}
