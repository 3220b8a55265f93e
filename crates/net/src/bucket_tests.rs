use std::future::poll_fn;

use super::*;

/// Takes `total` bytes in pieces of at most `piece`, and says how long that took.
async fn drain(bucket: &Arc<Bucket>, total: u64, piece: usize) -> Duration {
    let start = Instant::now();
    let mut claim = Claim::new(Arc::clone(bucket));
    let mut left = total;
    while left > 0 {
        let want = piece.min(usize::try_from(left).expect("small"));
        let got = poll_fn(|cx| claim.poll_take(cx, want)).await;
        assert!((1..=want).contains(&got));
        claim.spend(got);
        left -= got as u64;
    }
    start.elapsed()
}

fn near(actual: Duration, expected: Duration) {
    let slack = expected.mul_f64(0.05) + Duration::from_millis(15);
    assert!(actual + slack >= expected && actual <= expected + slack, "{actual:?}, expected about {expected:?}");
}

#[tokio::test(start_paused = true)]
async fn rates_from_a_kilobyte_to_ten_gigabytes_a_second() {
    for rate in [1_000_u64, 64_000, 1_000_000, 125_000_000, 1_250_000_000, 10_000_000_000] {
        let burst = rate / 10;
        let bucket = Arc::new(Bucket::new(rate, burst));
        // The burst is free, then two seconds' worth.
        near(drain(&bucket, burst + 2 * rate, 1 << 20).await, Duration::from_secs(2));
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_bucket_grants_the_burst_and_no_more() {
    let bucket = Arc::new(Bucket::new(1_000, 5_000));
    assert_eq!(bucket.available(), 5_000);
    tokio::time::advance(Duration::from_secs(100)).await;
    assert_eq!(bucket.available(), 5_000, "idle time earns no more than the burst");
    let mut claim = Claim::new(Arc::clone(&bucket));
    assert_eq!(poll_fn(|cx| claim.poll_take(cx, 9_999)).await, 5_000);
    claim.spend(5_000);
    let start = Instant::now();
    let turn = poll_fn(|cx| claim.poll_take(cx, 9_999)).await;
    assert_eq!(turn as u64, MIN_TURN);
    near(start.elapsed(), Duration::from_millis(256));
}

#[tokio::test(start_paused = true)]
async fn waiting_streams_share_evenly() {
    let bucket = Arc::new(Bucket::new(1_000_000, 10_000));
    let counts: Vec<Arc<AtomicU64>> = (0..10).map(|_| Arc::default()).collect();
    let tasks: Vec<_> = counts
        .iter()
        .enumerate()
        .map(|(index, count)| {
            let (bucket, count) = (Arc::clone(&bucket), Arc::clone(count));
            // Greedy and modest ones side by side.
            let want = if index % 2 == 0 { 1 << 20 } else { 20_000 };
            tokio::spawn(async move {
                let mut claim = Claim::new(bucket);
                loop {
                    let got = poll_fn(|cx| claim.poll_take(cx, want)).await;
                    claim.spend(got);
                    count.fetch_add(got as u64, Ordering::Relaxed);
                }
            })
        })
        .collect();
    let window = tokio::time::timeout(Duration::from_secs(10), std::future::pending::<()>()).await;
    assert!(window.is_err());
    for task in &tasks {
        task.abort();
    }
    let totals: Vec<u64> = counts.iter().map(|count| count.load(Ordering::Relaxed)).collect();
    let sum: u64 = totals.iter().sum();
    assert!((9_900_000..=10_150_000).contains(&sum), "{sum}");
    let (low, high) = (totals.iter().min().expect("ten"), totals.iter().max().expect("ten"));
    assert!(low * 10 >= high * 9, "{totals:?}");
}

#[tokio::test(start_paused = true)]
async fn unused_grants_return_to_the_bucket() {
    let bucket = Arc::new(Bucket::new(1_000, 1_000));
    let mut claim = Claim::new(Arc::clone(&bucket));
    assert_eq!(poll_fn(|cx| claim.poll_take(cx, 600)).await, 600);
    assert_eq!(bucket.available(), 400);
    claim.spend(100);
    claim.give_back();
    assert_eq!(bucket.available(), 900);
    assert_eq!(poll_fn(|cx| claim.poll_take(cx, 900)).await, 900);
    claim.spend(900);
    // A reservation that nobody waits for any more is given back too.
    let mut waiting = Claim::new(Arc::clone(&bucket));
    poll_fn(|cx| {
        assert!(waiting.poll_take(cx, 500).is_pending());
        Poll::Ready(())
    })
    .await;
    drop(waiting);
    tokio::time::advance(Duration::from_millis(500)).await;
    assert_eq!(bucket.available(), 500);
}

#[tokio::test(start_paused = true)]
async fn extremes_do_not_overflow() {
    let bucket = Bucket::new(u64::MAX, u64::MAX);
    assert_eq!(bucket.available(), u64::MAX);
    let slow = Arc::new(Bucket::new(0, 0));
    assert_eq!(slow.rate(), 1);
    tokio::time::advance(Duration::from_secs(60 * 60 * 24 * 365)).await;
    assert_eq!(slow.available(), 1);
    near(drain(&slow, 3, 1).await, Duration::from_secs(2));
}
