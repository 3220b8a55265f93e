//! RFC 8448: the simple handshake (section 3), the resumed one (section 4) as far as it has no early data, and the
//! one with a HelloRetryRequest (section 5).
//!
//! The RFC's server signs with RSA of 1,024 bits, which the primitives refuse; the last test here shows that the
//! client reads its flight, and says so, at exactly that signature.

use std::sync::Arc;

use rozaneh_tls::certificate::SignatureOnly;
use rozaneh_tls::client::{Client, Config};
use rozaneh_tls::error::RemoteError;
use rozaneh_tls::groups::Offer;
use rozaneh_tls::hello::{Ask, Author, Hello, Offered};
use rozaneh_tls::messages::server_hello::Answer;
use rozaneh_tls::messages::ticket::NewSessionTicket;
use rozaneh_tls::messages::{HelloRetryRequest, ServerHello};
use rozaneh_tls::names::{content, group};
use rozaneh_tls::record::{self, Protection};
use rozaneh_tls::schedule::{Early, Secret};
use rozaneh_tls::suite::{Hash, Suite};
use rozaneh_tls::transcript::Transcript;
use rozaneh_tls::{Alert, LocalError};

fn hex(text: &str) -> Vec<u8> {
    let digits: String = text.split_whitespace().collect();
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect()
}

const SUITE: Suite = Suite::Aes128GcmSha256;

/// Section 3: private keys.
const CLIENT_KEY: &str = "49af42ba7f7994852d713ef2784bcbcaa7911de26adc5642cb634540e7ea5005";
const SERVER_KEY: &str = "b1580eeadf6dd589b8ef4f2d5652578cc810e9980191ec8d058308cea216a21e";
const CLIENT_HELLO: &str = "
    010000c00303cb34ecb1e78163ba1c38c6dacb196a6dffa21a8d9912ec18a2ef6283024dece7000006130113031302010000910000000b00
    09000006736572766572ff01000100000a00140012001d0017001800190100010101020103010400230000003300260024001d002099381d
    e560e4bd43d23d8e435a7dbafeb3c06e51c13cae4d5413691e529aaf2c002b0003020304000d0020001e0403050306030203080408050806
    04010501060102010402050206020202002d00020101001c00024001";
const SERVER_HELLO: &str = "
    020000560303a6af06a4121860dc5e6e60249cd34c95930c8ac5cb1434dac155772ed3e2692800130100002e00330024001d0020c9828876
    112095fe66762bdbf7c672e156d6cc253b833df1dd69b1b04e751f0f002b00020304";
const ENCRYPTED_EXTENSIONS: &str = "080000240022000a00140012001d00170018001901000101010201030104001c0002400100000000";
const CERTIFICATE: &str = "
    0b0001b9000001b50001b0308201ac30820115a003020102020102300d06092a864886f70d01010b0500300e310c300a0603550403130372
    7361301e170d3136303733303031323335395a170d3236303733303031323335395a300e310c300a0603550403130372736130819f300d06
    092a864886f70d010101050003818d0030818902818100b4bb498f8279303d980836399b36c6988c0c68de55e1bdb826d3901a2461eafd2d
    e49a91d015abbc9a95137ace6c1af19eaa6af98c7ced43120998e187a80ee0ccb0524b1b018c3e0b63264d449a6d38e22a5fda4308467480
    30530ef0461c8ca9d9efbfae8ea6d1d03e2bd193eff0ab9a8002c47428a6d35a8d88d79f7f1e3f0203010001a31a301830090603551d1304
    023000300b0603551d0f0404030205a0300d06092a864886f70d01010b05000381810085aad2a0e5b9276b908c65f73a7267170618a54c5f
    8a7b337d2df7a594365417f2eae8f8a58c8f8172f9319cf36b7fd6c55b80f21a03015156726096fd335e5e67f2dbf102702e608ccae6bec1
    fc63a42a99be5c3eb7107c3c54e9b9eb2bd5203b1c3b84e0a8b2f759409ba3eac9d91d402dcc0cc8f8961229ac9187b42b4de10000";
const CERTIFICATE_VERIFY: &str = "
    0f000084080400805a747c5d88fa9bd2e55ab085a61015b7211f824cd484145ab3ff52f1fda8477b0b7abc90db78e2d33a5c141a078653fa
    6bef780c5ea248eeaaa785c4f394cab6d30bbe8d4859ee511f602957b15411ac027671459e46445c9ea58c181e818e95b8c3fb0bf3278409
    d3be152a3da5043e063dda65cdf5aea20d53dfacd42f74f3";
const SERVER_FINISHED: &str = "140000209b9b141d906337fbd2cbdce71df4deda4ab42c309572cb7fffee5454b78f0718";
const CLIENT_FINISHED: &str = "14000020a8ec436d677634ae525ac1fcebe11a039ec17694fac6e98527b642f2edd5ce61";

fn public(id: u16, private: &str) -> Offer {
    Offer::from_private(id, &hex(private)).unwrap()
}

#[test]
fn simple_handshake() {
    let (client, server) = (public(group::X25519, CLIENT_KEY), public(group::X25519, SERVER_KEY));
    let shared = client.agree(server.public()).unwrap();
    assert_eq!(*shared, hex("8bd4054fb55b9d63fdfbacf9f04b9f0d35e6d63f537563efd46272900f89492d"));
    assert_eq!(*server.agree(client.public()).unwrap(), *shared);

    // Section 3's hello also has our parsers' agreement: it is read, and what it offers is known.
    let hello = hex(CLIENT_HELLO);
    let offered = Offered::read(&hello).unwrap();
    assert_eq!((offered.suites.as_slice(), offered.shares.as_slice()), (&[0x1301, 0x1303, 0x1302][..], &[0x1d][..]));
    let Answer::Hello(answer) = Answer::parse(&hex(SERVER_HELLO)[4..], &offered).unwrap() else { panic!("a retry") };
    assert_eq!(answer.share, Some((0x1d, server.public().to_vec())));

    let mut transcript = Transcript::new(Hash::Sha256, &hello);
    transcript.add(&hex(SERVER_HELLO));
    let handshake = Early::new(Hash::Sha256, None).handshake(&shared).unwrap();
    let c_hs = handshake.client_traffic(&transcript.value()).unwrap();
    let s_hs = handshake.server_traffic(&transcript.value()).unwrap();
    assert_eq!(c_hs.bytes(), hex("b3eddb126e067f35a780b3abf45e2d8f3b1a950738f52e9600746a0e27a55a21"));
    assert_eq!(s_hs.bytes(), hex("b67b7d690cc16c4e75e54213cb2d37b4e9c912bcded9105d42befd59d391ad38"));
    let keys = |secret: &Secret| {
        let (key, iv) = secret.traffic_keys(SUITE).unwrap();
        (key.to_vec(), iv.to_vec())
    };
    assert_eq!(keys(&s_hs), (hex("3fce516009c21727d0f2e4e86ee403bc"), hex("5d313eb2671276ee13000b30")));
    assert_eq!(keys(&c_hs), (hex("dbfaa693d1762c5b666af5d950258d01"), hex("5bd3c71b836e0b76bb73265f")));

    for message in [ENCRYPTED_EXTENSIONS, CERTIFICATE, CERTIFICATE_VERIFY] {
        transcript.add(&hex(message));
    }
    assert_eq!(s_hs.finished(&transcript.value()).unwrap().as_ref(), &hex(SERVER_FINISHED)[4..]);
    transcript.add(&hex(SERVER_FINISHED));
    let master = handshake.master().unwrap();
    let value = transcript.value();
    let c_ap = master.client_traffic(&value).unwrap();
    let s_ap = master.server_traffic(&value).unwrap();
    assert_eq!(c_ap.bytes(), hex("9e40646ce79a7f9dc05af8889bce6552875afa0b06df0087f792ebb7c17504a5"));
    assert_eq!(s_ap.bytes(), hex("a11af9f05531f856ad47116b45a950328204b4f44bfb6b3a4b4f1f3fcb631643"));
    assert_eq!(keys(&s_ap), (hex("9f02283b6c9c07efc26bb9f2ac92e356"), hex("cf782b88dd83549aadf1e984")));
    assert_eq!(keys(&c_ap), (hex("17422dda596ed5d9acd890e3c63f5051"), hex("5b78923dee08579033e523d9")));
    let exporter = master.exporter(&value).unwrap();
    assert_eq!(exporter.bytes(), hex("fe22f881176eda18eb8f44529e6792c50c9a3f89452f68d8ae311b4309d3cf50"));

    assert_eq!(c_hs.finished(&value).unwrap().as_ref(), &hex(CLIENT_FINISHED)[4..]);
    let mut record = Vec::new();
    Protection::new(SUITE, c_hs).unwrap().append(content::HANDSHAKE, &hex(CLIENT_FINISHED), &mut record).unwrap();
    let sent = "170303003575ec4dc238cce60b298044a71e219c56cc77b0517fe9b93c7a4bfc44d87f38f80338ac98fc46deb384bd1caeacab68\
                67d726c40546";
    assert_eq!(record, hex(sent));
    transcript.add(&hex(CLIENT_FINISHED));
    let resumption = master.resumption(&transcript.value()).unwrap();
    assert_eq!(resumption.bytes(), hex("7df235f2031d2a051287d02b0241b0bfdaf86cc856231f2d5aba46c434ec196c"));

    // The first record of application data: the bytes 0 to 49.
    let data: Vec<u8> = (0..50).collect();
    let mut record = Vec::new();
    let mut write = Protection::new(SUITE, c_ap.clone()).unwrap();
    write.append(content::APPLICATION_DATA, &data, &mut record).unwrap();
    let sent = "1703030043a23f7054b62c94d0affafe8228ba55cbefacea42f914aa66bcab3f2b9819a8a5b46b395bd54a9a20441e2b62974e1f\
                5a6292a2977014bd1e3deae63aeebb21694915e4";
    assert_eq!(record, hex(sent));
    let mut read = Protection::new(SUITE, c_ap).unwrap();
    assert_eq!(read.open(&mut record).unwrap(), (content::APPLICATION_DATA, 50));
}

/// Section 4: the ticket of the session above.
const TICKET: &str = "
    040000c90000001efad6aac502000000b22c035d829359ee5ff7af4ec900000000262a6494dc486d2c8a34cb33fa90bf1b0070ad3c498883
    c9367c09a2be785abc55cd226097a3a982117283f82a03a143efd3ff5dd36d64e861be7fd61d2827db279cce145077d454a3664d4e6da4d2
    9ee03725a6a4dafcd0fc67d2aea70529513e3da2677fa5906c5b3f7d8f92f228bda40dda721470f9fbf297b5aea617646fac5c03272e9707
    27c621a79141ef5f7de6505e5bfbc388e93343694093934ae4d3570008002a000400000400";
const RESUMED_HEAD: &str = "
    010001fc03031bc3ceb6bbe39cff938355b5a50adb6db21b7a6af649d7b4bc419d7876487d95000006130113031302010001cd0000000b00
    09000006736572766572ff01000100000a00140012001d00170018001901000101010201030104003300260024001d0020e4ffb68ac05f8d
    96c99da26698346c6be16482badddafe051a66b4f18d668f0b002a0000002b0003020304000d0020001e0403050306030203080408050806
    04010501060102010402050206020202002d00020101001c0002400100150057";
const RESUMED_TAIL: &str = "002900dd00b800b2";
const BINDER: &str = "3add4fb2d8fdf822a0ca3cf7678ef5e88dae990141c5924d57bb6fa31b9e5f9d";
const RESUMED_SERVER_HELLO: &str = "
    0200005c03033ccfd2dec890222763472ae8136777c9d7358777bb66e91ea5122495f559ea2d00130100003400290002000000330024001d
    0020121761ee42c333e1b9e77b60dd57c2053cd94512ab47f115e86eff50942cea31002b00020304";

#[test]
fn resumed_handshake() {
    let resumption =
        Secret::from_bytes(Hash::Sha256, &hex("7df235f2031d2a051287d02b0241b0bfdaf86cc856231f2d5aba46c434ec196c"));
    let ticket = NewSessionTicket::parse(&hex(TICKET)[4..]).unwrap();
    assert_eq!((ticket.lifetime, ticket.age_add, ticket.max_early_data), (30, 0xfad6_aac5, Some(1_024)));
    assert_eq!(ticket.write().unwrap(), hex(TICKET));
    let psk = resumption.unwrap().resumption(&ticket.nonce).unwrap();
    assert_eq!(psk.bytes(), hex("4ecd0eb6ec3b4d87f5d6028f922ca4c5851a277fd41311c9e62d2c9492e1c4f3"));

    // The hello: its head, padding, and the PSK with this ticket, whose age is 6 milliseconds.
    let mut hello = [hex(RESUMED_HEAD), vec![0; 0x57], hex(RESUMED_TAIL), ticket.ticket.clone()].concat();
    hello.extend_from_slice(&ticket.age_add.wrapping_add(6).to_be_bytes());
    assert_eq!(hello.len(), 477);
    let early = Early::new(Hash::Sha256, Some(&psk));
    let truncated = Transcript::new(Hash::Sha256, &hello).value();
    assert_eq!(&*truncated, hex("63224b2e4573f2d3454ca84b9d009a04f6be9e05711a8396473aefa01e924a14"));
    let binder = early.binder().unwrap();
    assert_eq!(binder.bytes(), hex("69fe131a3bbad5d63c64eebcc30e395b9d8107726a13d074e389dbc8a4e47256"));
    assert_eq!(binder.finished(&truncated).unwrap().as_ref(), hex(BINDER));
    hello.extend_from_slice(&[0, 0x21, 0x20]);
    hello.extend_from_slice(&hex(BINDER));
    assert_eq!(Offered::read(&hello).unwrap().binders, Some(35));

    let client = public(group::X25519, "bff91188283846dd6a2134ef7180ca2b0b14fb10dce707b5098c0dddc813b2df");
    let server = public(group::X25519, "de5b4476e7b490b2652d338acbf2948066f255f9440e23b98fc69835298dc107");
    let shared = client.agree(server.public()).unwrap();
    let mut transcript = Transcript::new(Hash::Sha256, &hello);
    transcript.add(&hex(RESUMED_SERVER_HELLO));
    let handshake = early.handshake(&shared).unwrap();
    let value = transcript.value();
    let (c_hs, s_hs) = (handshake.client_traffic(&value).unwrap(), handshake.server_traffic(&value).unwrap());
    assert_eq!(c_hs.bytes(), hex("2faac08f851d35fea3604fcb4de82dc62c9b164a70974d0462e27f1ab278700f"));
    assert_eq!(s_hs.bytes(), hex("fe927ae271312e8bf0275b581c54eef020450dc4ecffaa05a1a35d27518e7803"));
}

/// Section 5.
const FIRST: &str = "
    010000b00303b0b1c5a5aa37c5919f2ed1d5c6fff7fcb7849716945a2b8cee9258a346677b6f000006130113031302010000810000000b00
    09000006736572766572ff01000100000a00080006001d00170018003300260024001d0020e8e8e3f3b93a25ed97a14a7dcacb8a272c6288
    e585c6484d05262fcad062ad1f002b0003020304000d0020001e040305030603020308040805080604010501060102010402050206020202
    002d00020101001c00024001";
const RETRY: &str = "
    020000ac0303cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c001301000084003300020017002c00740072
    71dcd04bb88bc3189119398a00000000eefafc76c146b823b096f8aacad365dd0030953f4edf625636e5f21bb2e23fcc654b1b5b40318d10
    d137abcbb87574e36e8a1f025f7dfa5d6e50781b5eda4aa15b0c8be778257d16aa3030e9e7841dd9e4c0342267e8ca0caf571fb2b7cff0f9
    34b0002b00020304";
const SECOND_HEAD: &str = "
    010001fc0303b0b1c5a5aa37c5919f2ed1d5c6fff7fcb7849716945a2b8cee9258a346677b6f000006130113031302010001cd0000000b00
    09000006736572766572ff01000100000a00080006001d001700180033004700450017004104a6da7392ec591e17abfd535964b99894d13b
    efb221b3def2ebe3830eac8f0151812677c4d6d2237e85cf01d6910cfb83954e76ba7352830534159897e8065780002b0003020304000d00
    20001e040305030603020308040805080604010501060102010402050206020202002c00740072";
const SECOND_TAIL: &str = "002d00020101001c00024001001500af";
const SECOND_SERVER_HELLO: &str = "
    020000770303bb341d847fd789c47c387172dc0c9bf147fccacb5043d86ca4c598d3ff571b9800130100004f003300450017004104583e05
    4b7a66672ae020ad9d2686fcc85b5ad41a134a0f03ee72b893052bd85b4c8de6776f5b04ac07d83540eab3e3d9c547bc6528c4317d294686
    093a6cad7d002b00020304";

#[test]
fn handshake_with_a_retry() {
    let offered = Offered::read(&hex(FIRST)).unwrap();
    let retry_bytes = hex(RETRY);
    let Answer::Retry(retry) = Answer::parse(&retry_bytes[4..], &offered).unwrap() else { panic!("no retry") };
    assert_eq!((retry.group, retry.suite), (Some(group::P256), 0x1301));
    let cookie = retry.cookie.unwrap();
    assert_eq!(cookie.len(), 0x72);

    let second = [hex(SECOND_HEAD), cookie, hex(SECOND_TAIL), vec![0; 0xaf]].concat();
    assert_eq!(second.len(), 512);
    assert_eq!(Offered::read(&second).unwrap().shares, [group::P256]);
    let mut transcript = Transcript::retried(Hash::Sha256, &hex(FIRST));
    transcript.add(&retry_bytes);
    transcript.add(&second);
    let answer = hex(SECOND_SERVER_HELLO);
    transcript.add(&answer);
    let value = transcript.value();
    assert_eq!(&*value, hex("8aa8e828ec2f8a884fec95a3139de01c15a3daa7ff5bfc3f4bfcc21b438d7bf8"));

    let client = public(group::P256, "ab5473467e19346ceb0a0414e41da21d4d2445bc3025afe97c4e8dc8d513da39");
    assert!(second.windows(65).any(|share| share == client.public()));
    let Answer::Hello(ServerHello { share: Some((0x17, key)), .. }) = Answer::parse(&answer[4..], &offered).unwrap()
    else {
        panic!("no share of P-256")
    };
    let shared = client.agree(&key).unwrap();
    assert_eq!(*shared, hex("c142ce13ca11b5c2233652e63ad3d97844f1621fbfb9de69d547dc8fedeabeb4"));
    let handshake = Early::new(Hash::Sha256, None).handshake(&shared).unwrap();
    let (c_hs, s_hs) = (handshake.client_traffic(&value).unwrap(), handshake.server_traffic(&value).unwrap());
    assert_eq!(c_hs.bytes(), hex("158aa7ab8855073582b41d674b4055cabcc534728f659314861b4e08e2011566"));
    assert_eq!(s_hs.bytes(), hex("3403e781e2af7b6508da28574f6e95a1abf162de83a97927c37672a4a0cef8a1"));
}

/// Writes section 3's hello.
struct Fixed;

impl Author for Fixed {
    fn hello(&self, _: &Ask<'_>) -> Result<Hello, LocalError> {
        Hello::new(hex(CLIENT_HELLO), vec![public(group::X25519, CLIENT_KEY)])
    }
    fn second(&self, _: &Hello, _: &HelloRetryRequest, _: &Ask<'_>) -> Result<Hello, RemoteError> {
        Err(RemoteError::illegal("not here"))
    }
}

/// The client takes section 3's flight up to the signature, whose key is too short for the primitives.
#[test]
fn the_client_reads_the_flight_of_the_simple_handshake() {
    let s_hs = "b67b7d690cc16c4e75e54213cb2d37b4e9c912bcded9105d42befd59d391ad38";
    let flight = |messages: &[&str]| {
        let mut input = Vec::new();
        record::plain(content::HANDSHAKE, 0x0303, &hex(SERVER_HELLO), &mut input);
        let body: Vec<u8> = messages.iter().flat_map(|m| hex(m)).collect();
        let secret = Secret::from_bytes(Hash::Sha256, &hex(s_hs)).unwrap();
        Protection::new(SUITE, secret).unwrap().append(content::HANDSHAKE, &body, &mut input).unwrap();
        input
    };
    let step = |messages: &[&str]| {
        let config = Arc::new(Config::new(Arc::new(Fixed), Arc::new(SignatureOnly)));
        let (mut client, sent) = Client::start(config, "server", 0).unwrap();
        assert_eq!(sent, [hex("16030100c4"), hex(CLIENT_HELLO)].concat());
        client.step(&mut flight(messages), &mut Vec::new()).map_err(|error| error.due())
    };
    let all = [ENCRYPTED_EXTENSIONS, CERTIFICATE, CERTIFICATE_VERIFY, SERVER_FINISHED];
    assert!(step(&all[..1]).is_ok());
    assert!(step(&all[..2]).is_ok());
    assert_eq!(step(&all), Err(Some(Alert::DECRYPT_ERROR)));
    assert_eq!(step(&[ENCRYPTED_EXTENSIONS, SERVER_FINISHED]), Err(Some(Alert::UNEXPECTED_MESSAGE)));
}
