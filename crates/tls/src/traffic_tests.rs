use super::*;

fn pair_of(suite: Suite) -> (Traffic, Traffic) {
    let hash = suite.hash();
    let secret = |b: u8| Secret::from_bytes(hash, &vec![b; hash.size()]).unwrap();
    let keys = |b: u8| Protection::new(suite, secret(b)).unwrap();
    let resumption = Resumption { master: secret(9), name: "a".into(), alpn: None };
    let client = Traffic::new(suite, keys(1), keys(2), secret(3)).with_resumption(resumption);
    (client, Traffic::new(suite, keys(2), keys(1), secret(3)))
}

fn pair() -> (Traffic, Traffic) {
    pair_of(Suite::Aes128GcmSha256)
}

fn sealed(from: &mut Traffic, plain: &[u8]) -> Vec<u8> {
    let mut room = vec![0; HEAD + plain.len() + record::TAIL];
    room[HEAD..HEAD + plain.len()].copy_from_slice(plain);
    let total = from.seal(&mut room, plain.len()).unwrap();
    room.truncate(total);
    room
}

fn opened(to: &mut Traffic, record: &mut [u8]) -> Vec<u8> {
    match to.open(record).unwrap() {
        Opened::Data { plain, .. } => record[plain].to_vec(),
        other => panic!("{other:?}"),
    }
}

/// One record of any inner type.
fn inner(from: &mut Traffic, kind: u8, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    from.send.append(kind, body, &mut out).unwrap();
    out
}

#[test]
fn data_in_place_in_every_suite_and_partial_records_wait() {
    for suite in Suite::ALL {
        let (mut a, mut b) = pair_of(suite);
        for size in [1, 100, MAX_PLAIN] {
            let mut record = sealed(&mut a, &vec![7; size]);
            for cut in [0, 4, 5, record.len() - 1] {
                assert_eq!(b.open(&mut record[..cut]).unwrap(), Opened::Partial);
            }
            assert_eq!(opened(&mut b, &mut record), vec![7; size]);
        }
    }
}

#[test]
fn padding_hides_lengths() {
    let (mut a, mut b) = pair();
    a.set_padding(Box::new(|len| 100_usize.saturating_sub(len)));
    let mut lengths = Vec::new();
    for len in [1, 50, 99] {
        let mut room = vec![1; 400];
        let n = a.seal(&mut room, len).unwrap();
        lengths.push(n);
        assert_eq!(opened(&mut b, &mut room[..n]).len(), len);
    }
    assert_eq!(lengths, [HEAD + 100 + record::TAIL; 3]);
}

#[test]
fn keys_are_updated_both_ways() {
    let (mut a, mut b) = pair();
    a.update_keys(true).unwrap();
    let mut update = std::mem::take(a.pending());
    assert!(matches!(b.open(&mut update).unwrap(), Opened::Quiet { .. }));
    let mut answer = std::mem::take(b.pending());
    assert!(matches!(a.open(&mut answer).unwrap(), Opened::Quiet { .. }));
    let mut up = sealed(&mut a, b"up");
    assert_eq!(opened(&mut b, &mut up), b"up");
    let mut down = sealed(&mut b, b"down");
    assert_eq!(opened(&mut a, &mut down), b"down");
}

#[test]
fn a_worn_key_is_changed_without_being_asked() {
    let (mut a, mut b) = pair();
    let last = (1 << 24) - 1;
    a.send.set_sequence(last);
    b.receive.set_sequence(last);
    let mut before = sealed(&mut a, b"the last");
    let mut update = std::mem::take(a.pending());
    assert!(!update.is_empty());
    let mut after = sealed(&mut a, b"the first");
    assert!(a.pending().is_empty());
    assert_eq!(opened(&mut b, &mut before), b"the last");
    assert!(matches!(b.open(&mut update).unwrap(), Opened::Quiet { .. }));
    assert_eq!(opened(&mut b, &mut after), b"the first");
}

#[test]
fn one_answer_covers_requests_that_wait() {
    let (mut a, mut b) = pair();
    for _ in 0..3 {
        a.update_keys(true).unwrap();
        let mut update = std::mem::take(a.pending());
        b.open(&mut update).unwrap();
    }
    assert_eq!(b.pending().len(), HEAD + 5 + record::TAIL);
}

#[test]
fn endless_quiet_is_refused() {
    let (mut a, mut b) = pair();
    for round in 0..=MAX_UPDATES {
        a.update_keys(false).unwrap();
        let mut update = std::mem::take(a.pending());
        assert_eq!(b.open(&mut update).is_ok(), round < MAX_UPDATES, "round {round}");
    }
    for (kind, body, most) in
        [(content::APPLICATION_DATA, &[][..], 32), (content::HANDSHAKE, &[], 32), (content::ALERT, &[1, 90], 4)]
    {
        let (mut a, mut b) = pair();
        for round in 0..=most {
            let mut empty = inner(&mut a, kind, body);
            assert_eq!(b.open(&mut empty).is_ok(), round < most, "kind {kind} round {round}");
        }
    }
}

#[test]
fn what_does_not_belong_has_its_alert() {
    let cases: [(u8, &[u8], Alert); 12] = [
        (content::HANDSHAKE, &[1, 0, 0, 0], Alert::UNEXPECTED_MESSAGE),
        (content::HANDSHAKE, &[24, 0, 0, 1, 2], Alert::DECODE_ERROR),
        (content::HANDSHAKE, &[24, 0, 0, 0], Alert::DECODE_ERROR),
        (content::HANDSHAKE, &[24, 0, 0, 1, 0, 24], Alert::UNEXPECTED_MESSAGE),
        (content::HANDSHAKE, &[4, 0, 0, 0], Alert::UNEXPECTED_MESSAGE),
        (content::HANDSHAKE, &[24, 0xff, 0, 0], Alert::ILLEGAL_PARAMETER),
        (content::HANDSHAKE, &[24, 0, 0, 2], Alert::ILLEGAL_PARAMETER),
        (content::ALERT, &[1], Alert::DECODE_ERROR),
        (content::ALERT, &[1, 10], Alert::DECODE_ERROR),
        (content::ALERT, &[3, 10], Alert::ILLEGAL_PARAMETER),
        (content::CHANGE_CIPHER_SPEC, &[1], Alert::UNEXPECTED_MESSAGE),
        (99, &[1], Alert::UNEXPECTED_MESSAGE),
    ];
    for (kind, body, alert) in cases {
        let (mut a, mut b) = pair();
        let mut record = inner(&mut a, kind, body);
        assert_eq!(b.open(&mut record).unwrap_err().due(), Some(alert), "{kind} {body:?}");
        let mut said = std::mem::take(b.pending());
        assert_eq!(a.open(&mut said), Err(Error::Peer(alert)));
        assert!(b.seal(&mut [0; 100], 1).is_err(), "a failed connection sends nothing more");
    }
    let (_, mut b) = pair();
    assert_eq!(b.open(&mut [20, 3, 3, 0, 1, 1]).unwrap_err().due(), Some(Alert::BAD_RECORD_MAC));
    let (_, mut b) = pair();
    assert_eq!(b.open(&mut [23, 3, 4, 0, 17]).unwrap_err().due(), Some(Alert::PROTOCOL_VERSION));
    // Protected, and its outside says something else.
    let (mut a, mut b) = pair();
    let mut record = inner(&mut a, content::APPLICATION_DATA, b"x");
    record[0] = content::HANDSHAKE;
    assert_eq!(b.open(&mut record).unwrap_err().due(), Some(Alert::BAD_RECORD_MAC));
}

#[test]
fn messages_are_not_interleaved() {
    let (mut a, mut b) = pair();
    let mut half = inner(&mut a, content::HANDSHAKE, &[24, 0]);
    assert!(matches!(b.open(&mut half).unwrap(), Opened::Quiet { .. }));
    let mut data = sealed(&mut a, b"x");
    assert_eq!(b.open(&mut data).unwrap_err().due(), Some(Alert::UNEXPECTED_MESSAGE));
}

#[test]
fn tickets_come_to_clients_and_are_bounded() {
    let (mut a, mut b) = pair();
    for nonce in 0..20 {
        let ticket = NewSessionTicket {
            lifetime: 10,
            age_add: 0,
            nonce: vec![nonce],
            ticket: vec![nonce],
            max_early_data: None,
        };
        b.queue_message(&ticket.write().unwrap()).unwrap();
        let mut record = std::mem::take(b.pending());
        a.open(&mut record).unwrap();
    }
    let got = a.tickets(5);
    assert_eq!(got.iter().map(|t| t.identity()[0]).collect::<Vec<_>>(), (12..20).collect::<Vec<_>>());
    assert!(a.tickets(5).is_empty());
    let never = NewSessionTicket { lifetime: 0, age_add: 0, nonce: vec![], ticket: vec![1], max_early_data: None };
    b.queue_message(&never.write().unwrap()).unwrap();
    let mut record = std::mem::take(b.pending());
    a.open(&mut record).unwrap();
    assert!(a.tickets(5).is_empty(), "a lifetime of zero means: forget it");
}

#[test]
fn size_limits_bind_both_ways() {
    let (mut a, mut b) = pair();
    a = a.with_limits(None, Some(101));
    assert_eq!(a.max_plain(), 100);
    assert_eq!(a.seal(&mut [0; 400], 101), Err(LocalError::Room));
    b = b.with_limits(Some(64), None);
    let mut fits = sealed(&mut a, &[1; 63]);
    assert_eq!(opened(&mut b, &mut fits).len(), 63);
    let mut long = sealed(&mut a, &[1; 64]);
    assert_eq!(b.open(&mut long).unwrap_err().due(), Some(Alert::RECORD_OVERFLOW));
}

#[test]
fn closing_is_orderly_and_final() {
    let (mut a, mut b) = pair();
    let mut canceled = inner(&mut a, content::ALERT, &[1, 90]);
    assert!(matches!(b.open(&mut canceled).unwrap(), Opened::Quiet { .. }));
    a.close();
    a.close();
    let mut record = std::mem::take(a.pending());
    assert_eq!(b.open(&mut record).unwrap(), Opened::Closed { wire: HEAD + 2 + record::TAIL });
    assert!(a.seal(&mut [0; 128], 3).is_err());
    assert!(a.update_keys(true).is_err());
}

#[test]
fn exports_depend_on_label_and_context() {
    let (a, b) = pair();
    let export = |t: &Traffic, label: &[u8], context: &[u8]| {
        let mut out = [0; 40];
        t.export(label, context, &mut out).unwrap();
        out
    };
    assert_eq!(export(&a, b"l", b"c"), export(&b, b"l", b"c"));
    assert_ne!(export(&a, b"l", b"c"), export(&a, b"l", b"d"));
    assert_ne!(export(&a, b"l", b"c"), export(&a, b"m", b"c"));
    assert!(a.export(b"l", b"", &mut vec![0; 70_000]).is_err());
}
