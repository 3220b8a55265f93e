use std::sync::Arc;

use super::*;

const SKEW: u64 = 120;
const BOOT: Option<[u8; 16]> = Some([1; 16]);
const OTHER: Option<[u8; 16]> = Some([2; 16]);
const NOW: u64 = 1_000_000;

/// What the kernel holds, and what would survive a power loss; and which operation fails, after how many bytes.
#[derive(Default)]
struct Platter {
    cached: Option<Vec<u8>>,
    durable: Option<Vec<u8>>,
    operations: usize,
    fail: Option<(usize, usize)>,
    /// As after kill -9: nothing is done any more.
    dead: bool,
    /// Whether the failure is the process' end, or an error it lives through.
    fatal: bool,
}

#[derive(Clone, Default)]
struct Fake(Arc<Mutex<Platter>>);

impl Fake {
    /// Counts an operation; `Err` with the bytes that still get through where it is the one to fail.
    fn step(platter: &mut Platter) -> Result<(), usize> {
        if platter.dead {
            return Err(0);
        }
        platter.operations += 1;
        match platter.fail {
            Some((at, bytes)) if at == platter.operations => {
                platter.dead = platter.fatal;
                Err(bytes)
            }
            _ => Ok(()),
        }
    }
}

fn failed() -> io::Error {
    io::ErrorKind::StorageFull.into()
}

impl Disk for Fake {
    fn read(&mut self) -> io::Result<Option<Vec<u8>>> {
        Ok(self.0.lock().cached.clone())
    }
    fn replace(&mut self, content: &[u8]) -> io::Result<()> {
        let mut platter = self.0.lock();
        // Written beside and renamed: all or nothing.
        Self::step(&mut platter).map_err(|_| failed())?;
        platter.cached = Some(content.to_vec());
        Ok(())
    }
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut platter = self.0.lock();
        let (take, result) = match Self::step(&mut platter) {
            Ok(()) => (bytes.len(), Ok(())),
            Err(some) => (some.min(bytes.len()), Err(failed())),
        };
        platter.cached.as_mut().expect("a file").extend_from_slice(&bytes[..take]);
        result
    }
    fn sync(&mut self) -> io::Result<()> {
        let mut platter = self.0.lock();
        Self::step(&mut platter).map_err(|_| failed())?;
        platter.durable = platter.cached.clone();
        Ok(())
    }
}

fn id(n: u64) -> Id {
    let mut id = [7; 32];
    id[..8].copy_from_slice(&n.to_be_bytes());
    id
}

fn open(disk: &Fake, boot: Option<[u8; 16]>, now: u64) -> (Seen, Found) {
    Seen::on(Box::new(disk.clone()), boot, SKEW, 64, now).expect("a disk that works")
}

/// A disk that was used and left in order.
fn clean() -> Fake {
    let disk = Fake::default();
    drop(open(&disk, BOOT, NOW - 1_000));
    disk
}

#[test]
fn once_and_never_again() {
    let disk = clean();
    let (seen, found) = open(&disk, BOOT, NOW);
    assert_eq!(found, Found::Whole);
    for stamp in [NOW - SKEW, NOW, NOW + SKEW] {
        assert_eq!(seen.admit(&id(stamp), stamp, NOW), Verdict::Fresh);
        for later in [NOW, stamp + SKEW] {
            assert_eq!(seen.admit(&id(stamp), stamp, later), Verdict::Replayed, "{stamp} at {later}");
        }
    }
}

#[test]
fn memory_ends_when_the_hello_does_and_a_clock_set_back_revives_nothing() {
    let (seen, _) = open(&clean(), BOOT, NOW);
    assert_eq!(seen.admit(&id(1), NOW, NOW), Verdict::Fresh);
    // One second past its time the skew alone refuses it; the filter forgets, and knows that it has forgotten.
    assert_eq!(seen.admit(&id(2), NOW + SKEW + 1, NOW + SKEW + 1), Verdict::Fresh);
    assert_eq!(seen.state.lock().ids.len(), 1);
    assert_eq!(seen.admit(&id(1), NOW, NOW), Verdict::Forgotten);
    assert_eq!(seen.admit(&id(3), NOW + 1, NOW + 2), Verdict::Fresh);
}

#[test]
fn a_lost_file_refuses_what_was_made_before_the_start() {
    let lost: [(Option<Vec<u8>>, &str); 4] = [
        (None, "missing"),
        (Some(Vec::new()), "empty"),
        (Some(b"RZSEEN1\n".to_vec()), "cut in the head"),
        (Some(vec![0; 400]), "zeros, as some file systems leave them"),
    ];
    for (content, what) in lost {
        let disk = Fake::default();
        disk.0.lock().cached = content;
        let (seen, found) = open(&disk, BOOT, NOW);
        assert_eq!(found, Found::Lost, "{what}");
        assert_eq!(seen.admit(&id(1), NOW - 1, NOW), Verdict::Forgotten, "{what}");
        // A client may have made it, been answered and lost with the file within this very second.
        assert_eq!(seen.admit(&id(1), NOW, NOW), Verdict::Forgotten, "{what}");
        assert_eq!(seen.admit(&id(2), NOW + 1, NOW), Verdict::Fresh, "{what}");
        drop(seen);
        // The refusal outlives a restart in order.
        let (seen, found) = open(&disk, OTHER, NOW + 5);
        assert_eq!(found, Found::Whole);
        assert_eq!(seen.admit(&id(3), NOW - 1, NOW + 5), Verdict::Forgotten, "{what}");
        assert_eq!(seen.admit(&id(2), NOW + 1, NOW + 5), Verdict::Replayed, "{what}");
    }
}

#[test]
fn full_refuses_and_forgets_nobody() {
    let (seen, _) = open(&clean(), BOOT, NOW);
    for n in 0..64 {
        assert_eq!(seen.admit(&id(n), NOW, NOW), Verdict::Fresh);
    }
    assert_eq!(seen.admit(&id(64), NOW, NOW), Verdict::Full);
    for n in 0..64 {
        assert_eq!(seen.admit(&id(n), NOW, NOW), Verdict::Replayed);
    }
    assert_eq!(seen.admit(&id(65), NOW + SKEW + 1, NOW + SKEW + 1), Verdict::Fresh);
}

#[test]
fn the_file_stays_small() {
    let disk = clean();
    let (seen, _) = open(&disk, BOOT, NOW);
    for n in 0..20_000 {
        let now = NOW + n * 10;
        assert_eq!(seen.admit(&id(n), now, now), Verdict::Fresh);
        let size = disk.0.lock().cached.as_ref().map_or(0, Vec::len);
        assert!(size <= HEAD + (COMPACT + 1) * ENTRY, "{size} bytes after {n}");
    }
}

/// Every single operation fails once, in the middle of what it writes, and either ends the process or not; then the
/// process comes back on the same boot, or after a power loss. Whatever was answered is never answered again.
#[test]
fn no_failure_at_any_write_lets_a_replay_in() {
    // Long enough for a file that is written anew on the way.
    let rounds = COMPACT as u64 + 40;
    let run = |fail: Option<(usize, usize)>, fatal: bool, seen_now: u64| -> (Fake, Vec<(u64, u64)>) {
        let disk = clean();
        {
            let mut platter = disk.0.lock();
            (platter.fail, platter.fatal, platter.operations) = (fail, fatal, 0);
        }
        let mut answered = Vec::new();
        if let Ok((seen, _)) = Seen::on(Box::new(disk.clone()), BOOT, SKEW, 64, seen_now) {
            for n in 0..rounds {
                let now = seen_now + n * 5;
                if seen.admit(&id(n), now, now) == Verdict::Fresh {
                    answered.push((n, now));
                }
                if let Some(&(before, stamp)) = answered.len().checked_sub(3).and_then(|at| answered.get(at)) {
                    assert_ne!(seen.admit(&id(before), stamp, now), Verdict::Fresh);
                }
            }
            // Not dropped: a process that is killed ends nothing in order.
            std::mem::forget(seen);
        }
        (disk, answered)
    };
    let total = run(None, false, NOW).0.0.lock().operations;
    assert!(total > usize::try_from(rounds).unwrap());
    let interesting = (1..8).chain(COMPACT - 4..COMPACT + 8).chain(total - 2..=total);
    for at in interesting {
        for bytes in [0, 1, 32, 39] {
            for fatal in [false, true] {
                let (disk, answered) = run(Some((at, bytes)), fatal, NOW);
                let last = answered.last().map_or(NOW, |(_, now)| *now);
                for power_lost in [false, true] {
                    let disk = Fake(Arc::new(Mutex::new(Platter {
                        cached: if power_lost { disk.0.lock().durable.clone() } else { disk.0.lock().cached.clone() },
                        ..Platter::default()
                    })));
                    let restart = last + 1;
                    let (seen, _) = open(&disk, if power_lost { OTHER } else { BOOT }, restart);
                    for (n, stamp) in &answered {
                        // What is older than the skew never comes here; the filter must not let it in all the same.
                        let verdict = seen.admit(&id(*n), *stamp, restart);
                        assert_ne!(
                            verdict,
                            Verdict::Fresh,
                            "operation {at}, {bytes} bytes, {fatal}, {power_lost}: {n}"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn a_disk_that_recovers_is_used_again() {
    let disk = clean();
    disk.0.lock().operations = 0;
    // Operations: replace, sync, then appends; the first append fails after some bytes.
    disk.0.lock().fail = Some((3, 11));
    let (seen, _) = open(&disk, BOOT, NOW);
    assert_eq!(seen.admit(&id(1), NOW, NOW), Verdict::Broken(io::ErrorKind::StorageFull));
    assert_eq!(seen.admit(&id(2), NOW, NOW), Verdict::Fresh);
    std::mem::forget(seen);
    let (seen, found) = open(&disk, BOOT, NOW);
    assert_eq!((found, seen.admit(&id(2), NOW, NOW)), (Found::Whole, Verdict::Replayed));
    // Who was refused by the broken disk may come again.
    assert_eq!(seen.admit(&id(1), NOW, NOW), Verdict::Fresh);
}

#[test]
fn a_system_that_hides_its_boots_trusts_the_mark_only() {
    let disk = clean();
    let (seen, found) = open(&disk, None, NOW);
    assert_eq!(found, Found::Whole);
    std::mem::forget(seen);
    assert_eq!(open(&disk, None, NOW).1, Found::Lost);
}

#[test]
fn nothing_is_let_in_after_the_end() {
    let (seen, _) = open(&clean(), BOOT, NOW);
    seen.close().expect("closed");
    assert_eq!(seen.admit(&id(1), NOW, NOW), Verdict::Broken(io::ErrorKind::BrokenPipe));
}

#[test]
fn a_file_is_private_and_has_one_owner() {
    let folder = std::env::temp_dir().join(format!("seen-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let path = folder.join("seen");
    let (seen, found) = Seen::open(&path, SKEW, NOW - 1).expect("opened");
    assert_eq!((found, seen.admit(&id(1), NOW, NOW)), (Found::Lost, Verdict::Fresh));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
        let second = Seen::open(&path, SKEW, NOW).map(|_| ()).expect_err("one owner");
        assert_eq!(second.kind(), io::ErrorKind::WouldBlock);
    }
    drop(seen);
    let (seen, found) = Seen::open(&path, SKEW, NOW).expect("opened again");
    assert_eq!((found, seen.admit(&id(1), NOW, NOW)), (Found::Whole, Verdict::Replayed));
    drop(seen);
    std::fs::remove_dir_all(&folder).expect("removed");
}

/// The child of the next test: lets hellos in and says so, until it is killed.
#[test]
fn child_that_is_killed() {
    let Ok(path) = std::env::var("SEEN_CHILD") else { return };
    let (seen, _) = Seen::open(Path::new(&path), SKEW, NOW - 1).expect("opened");
    for n in 0.. {
        assert_eq!(seen.admit(&id(n), NOW, NOW), Verdict::Fresh);
        println!("in {n}");
    }
}

#[cfg(unix)]
#[test]
fn a_killed_process_forgets_nothing() {
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};

    let folder = std::env::temp_dir().join(format!("seen-kill-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let path = folder.join("seen");
    let mut known = 0;
    for _ in 0..3 {
        std::fs::remove_file(&path).ok();
        let mut child = Command::new(std::env::current_exe().expect("ourselves"))
            .args(["--exact", "reality::seen::tests::child_that_is_killed", "--nocapture", "--test-threads=1"])
            .env("SEEN_CHILD", &path)
            .stdout(Stdio::piped())
            .spawn()
            .expect("started");
        let mut answered = Vec::new();
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines().map_while(Result::ok);
        let mut killed = false;
        for line in lines {
            answered.extend(line.split_once("in ").and_then(|(_, n)| n.parse::<u64>().ok()));
            if answered.len() > 2_000 && !killed {
                killed = true;
                child.kill().expect("killed");
            }
        }
        child.wait().expect("ended");
        let (seen, found) = Seen::open(&path, SKEW, NOW).expect("opened");
        assert_eq!(found, Found::Whole);
        for n in &answered {
            assert_eq!(seen.admit(&id(*n), NOW, NOW), Verdict::Replayed, "{n}");
            known += 1;
        }
    }
    assert!(known > 6_000);
    std::fs::remove_dir_all(&folder).expect("removed");
}
