use super::*;

/// Held by tests that look at this thread's front, which a trim elsewhere would empty.
pub(crate) static UNTRIMMED: Mutex<()> = Mutex::new(());

#[test]
fn sizes_are_the_promised_ones() {
    assert_eq!(Buf::small().len(), SMALL);
    assert_eq!(Buf::large().len(), LARGE);
    assert_eq!(Buf::huge().len(), HUGE);
}

#[test]
fn a_buffer_comes_back_to_the_thread_that_dropped_its_last_view() {
    let _guard = UNTRIMMED.lock();
    let mut buf = Buf::large();
    buf[..4].copy_from_slice(b"mark");
    let address = buf.as_ptr();
    let view = buf.freeze(0..4);
    let second = view.clone();
    drop(view);
    assert_eq!(&*second, b"mark");
    let other = Buf::large();
    assert_ne!(other.as_ptr(), address, "still in view");
    drop(second);
    let again = Buf::large();
    assert_eq!(again.as_ptr(), address, "reused, not allocated");
}

#[test]
fn views_share_and_split() {
    let mut view = Slice::copy_from(b"headbody");
    let head = view.split_to(4);
    assert_eq!((&*head, &*view), (&b"head"[..], &b"body"[..]));
    assert_eq!(&*view.sub(1..3), b"od");
    assert_eq!(&*view.sub(2..99), b"dy");
    assert!(view.sub(9..99).is_empty());
    view.advance(3);
    assert_eq!(&*view, b"y");
    let all = view.split_to(5);
    assert_eq!(&*all, b"y");
    assert!(view.is_empty());
    view.advance(1);
    assert_eq!(&*view, b"");
}

#[test]
fn an_exhausted_view_gives_its_buffer_back_at_once() {
    let _guard = UNTRIMMED.lock();
    let buf = Buf::huge();
    let address = buf.as_ptr();
    let mut view = buf.freeze(0..10);
    view.advance(10);
    assert_eq!(Buf::huge().as_ptr(), address);
}

#[test]
fn freezing_cuts_to_the_buffer_and_never_panics() {
    assert_eq!(Buf::small().freeze(0..usize::MAX).len(), SMALL);
    assert!(Buf::small().freeze(SMALL + 9..usize::MAX).is_empty());
    let backwards = Range { start: 5, end: 2 };
    assert!(Buf::small().freeze(backwards).is_empty());
}

#[test]
fn the_store_is_bounded_and_can_be_emptied() {
    let _guard = UNTRIMMED.lock();
    // A thread of its own: its front starts empty, and the numbers below do not depend on other tests' fronts.
    std::thread::spawn(|| {
        let many: Vec<Buf> = (0..600).map(|_| Buf::small()).collect();
        drop(many);
        let limit: usize = BACK.iter().zip(SIZES).map(|(n, size)| n * size).sum();
        assert!(stats().stored_bytes <= limit, "{} stored", stats().stored_bytes);
        LOCAL.with(|front| assert_eq!(front.borrow().stacks[0].len(), FRONT[0]));
        trim();
        drop(Buf::small());
        LOCAL.with(|front| assert_eq!(front.borrow().stacks[0].len(), 1, "the old front is gone"));
    })
    .join()
    .expect("no panic");
}

#[test]
fn debug_never_shows_bytes() {
    assert_eq!(format!("{:?}", Slice::copy_from(b"secret")), "Slice(6)");
    assert_eq!(format!("{:?}", Buf::small()), format!("Buf({SMALL})"));
}
