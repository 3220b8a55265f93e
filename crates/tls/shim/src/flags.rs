//! The runner's flags. What is not understood here is not run, and the reason stands in `tests/interop/bogo`.
//!
//! Flags come with the prefix of the connection they are for: `-on-initial`, `-on-resume`, or none for all.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

/// Everything the runner can ask of one connection.
#[derive(Clone, Debug, Default)]
pub struct Config {
    pub port: u16,
    pub ipv6: bool,
    pub shim_id: u64,
    pub server: bool,
    pub resume_count: usize,
    /// A browser's profile that writes the hellos; with it the flags that shape a hello are not known.
    pub profile: Option<String>,
    pub host_name: String,
    /// Bytes come and go one at a time.
    pub single_bytes: bool,
    pub only_tls13: bool,
    pub curves: Vec<u16>,
    /// Groups to send shares of; none leaves the choice to us.
    pub key_shares: Option<Vec<u16>>,
    pub verify_prefs: Vec<u16>,
    pub verify_fail: bool,
    /// As Chrome: chains are judged by the caller.
    pub own_verifier: bool,
    pub ocsp_stapling: bool,
    pub timestamps: bool,
    pub ech_grease: bool,
    /// As it stands in the extension.
    pub advertise_alpn: Vec<u8>,
    pub select_alpn: Option<String>,
    pub reject_alpn: bool,
    pub settings: Vec<(Vec<u8>, Vec<u8>)>,
    /// The codepoint of application settings: old (17513) unless told otherwise.
    pub new_codepoint: bool,
    pub no_ticket: bool,
    pub resumption_delay: u64,
    pub certificate: Option<String>,
    pub key: Option<String>,
    pub ocsp_response: Vec<u8>,
    pub shuts_down: bool,
    pub check_close_notify: bool,
    pub writes_first: bool,
    pub different_sizes: bool,
    pub key_update: bool,
    pub key_update_before_read: bool,
    pub read_size: usize,
    pub export: usize,
    pub export_label: String,
    pub export_context: String,
    pub expect_alpn: String,
    pub expect_settings: Option<String>,
    pub expect_session_miss: bool,
    pub expect_no_session: bool,
    pub expect_curve: Option<u16>,
    pub expect_scheme: Option<u16>,
    pub expect_cipher: Option<u16>,
    pub expect_version: Option<u16>,
    pub expect_hrr: Option<bool>,
    pub expect_server_name: Option<String>,
    pub expect_no_server_name: bool,
    pub expect_ocsp: Option<Vec<u8>>,
    pub expect_peer_certificate: Option<String>,
}

/// The whole command line.
#[derive(Debug)]
pub struct Plan {
    pub initial: Config,
    pub resume: Config,
}

pub enum Parsed {
    Run(Box<Plan>),
    /// A flag that is not known, with its value where that is what is not known.
    Unknown(String),
    Handshaker,
}

/// Flags without a value that change nothing for a TLS 1.3 engine without callbacks.
const NOTHING_TO_DO: &[&str] = &[
    // Writes of half a record and handshakes inside the first read are the caller's way of using BoringSSL.
    "-partial-write",
    "-implicit-handshake",
    "-no-op-extra-handshake",
    "-handshake-twice",
    // Never done anyway.
    "-no-tls1",
    "-no-tls11",
    // True for every TLS 1.3 connection of BoringSSL.
    "-expect-extended-master-secret",
    "-expect-secure-renegotiation",
    // There is no second place to look the verifier's outcome up.
    "-expect-verify-result",
    // A server without protocols of its own takes no notice of the client's.
    "-decline-alpn",
    // No session of ours has an id, no server acknowledges a name, and nobody renegotiates.
    "-expect-no-session-id",
    "-no-server-name-ack",
    "-renegotiate-freely",
];

/// Flags that say what a hello offers; a browser's profile says that already. Its servers' certificates never have to
/// be judged otherwise either.
const SHAPES: &[&str] = &[
    "-server",
    "-no-tls12",
    "-min-version",
    "-curves",
    "-key-shares",
    "-no-key-shares",
    "-verify-prefs",
    "-enable-ech-grease",
    "-advertise-alpn",
    "-application-settings",
    "-expect-hrr",
    "-expect-no-hrr",
    "-expect-curve-id",
];

fn number<T: std::str::FromStr>(value: &str) -> Option<T> {
    value.parse().ok()
}

fn base64(value: &str) -> Option<Vec<u8>> {
    BASE64_STANDARD.decode(value).ok()
}

fn takes_value(name: &str) -> bool {
    matches!(
        name,
        "-port"
            | "-profile"
            | "-shim-id"
            | "-resume-count"
            | "-host-name"
            | "-min-version"
            | "-max-version"
            | "-curves"
            | "-key-shares"
            | "-verify-prefs"
            | "-trust-cert"
            | "-advertise-alpn"
            | "-select-alpn"
            | "-application-settings"
            | "-alps-use-new-codepoint"
            | "-resumption-delay"
            | "-cert-file"
            | "-key-file"
            | "-ocsp-response"
            | "-read-size"
            | "-export-keying-material"
            | "-export-label"
            | "-export-context"
            | "-expect-alpn"
            | "-expect-peer-application-settings"
            | "-expect-curve-id"
            | "-expect-peer-signature-algorithm"
            | "-expect-cipher"
            | "-expect-version"
            | "-expect-server-name"
            | "-expect-ocsp-response"
            | "-expect-peer-cert-file"
    )
}

impl Config {
    /// Takes one flag; `None` where it is not known, or its value is not.
    fn take(&mut self, name: &str, value: &str) -> Option<()> {
        match name {
            "-port" => self.port = number(value)?,
            // Ours, and the first flag there is: see `SHAPES`.
            "-profile" => self.profile = Some(value.to_owned()),
            _ if self.profile.is_some() && SHAPES.contains(&name) => return None,
            "-ipv6" => self.ipv6 = true,
            "-shim-id" => self.shim_id = number(value)?,
            "-server" => self.server = true,
            "-resume-count" => self.resume_count = number(value)?,
            "-host-name" => self.host_name = value.to_owned(),
            "-async" => self.single_bytes = true,
            "-no-tls12" => self.only_tls13 = true,
            "-min-version" => self.only_tls13 = number::<u16>(value)? >= 0x0304,
            // We have nothing below TLS 1.3.
            "-max-version" => (number::<u16>(value)? >= 0x0304).then_some(())?,
            "-curves" => self.curves.push(group(value)?),
            "-key-shares" => self.key_shares.get_or_insert_default().push(group(value)?),
            "-no-key-shares" => self.key_shares = Some(Vec::new()),
            "-verify-prefs" => self.verify_prefs.push(number(value)?),
            "-verify-fail" => self.verify_fail = true,
            "-use-custom-verify-callback" => self.own_verifier = true,
            // A client always verifies; a server has no client certificates to verify.
            "-verify-peer" => (!self.server).then_some(())?,
            "-trust-cert" => {}
            // Only a profile has GREASE: the plain hello looks like nobody's.
            "-enable-grease" => self.profile.is_some().then_some(())?,
            "-enable-ocsp-stapling" => self.ocsp_stapling = true,
            "-enable-signed-cert-timestamps" => self.timestamps = true,
            "-enable-ech-grease" => self.ech_grease = true,
            "-advertise-alpn" => self.advertise_alpn = value.as_bytes().to_vec(),
            "-select-alpn" => self.select_alpn = Some(value.to_owned()),
            "-reject-alpn" => self.reject_alpn = true,
            "-application-settings" => {
                let (protocol, settings) = value.split_once(',')?;
                self.settings.push((protocol.into(), settings.into()));
            }
            "-alps-use-new-codepoint" => self.new_codepoint = value == "1",
            "-no-ticket" => self.no_ticket = true,
            "-resumption-delay" => self.resumption_delay = number(value)?,
            // Clients have no certificates.
            "-cert-file" if self.server => self.certificate = Some(value.to_owned()),
            "-key-file" if self.server => self.key = Some(value.to_owned()),
            "-ocsp-response" if self.server => self.ocsp_response = base64(value)?,
            "-shim-shuts-down" => self.shuts_down = true,
            "-check-close-notify" => self.check_close_notify = true,
            "-shim-writes-first" => self.writes_first = true,
            "-write-different-record-sizes" => self.different_sizes = true,
            "-key-update" => self.key_update = true,
            "-key-update-before-read" => self.key_update_before_read = true,
            "-read-size" => self.read_size = number(value)?,
            "-export-keying-material" => self.export = number(value)?,
            "-export-label" => self.export_label = value.to_owned(),
            "-export-context" => self.export_context = value.to_owned(),
            // In TLS 1.3 an empty context and none are the same (RFC 8446 section 7.5).
            "-use-export-context" => {}
            "-expect-alpn" => self.expect_alpn = value.to_owned(),
            "-expect-peer-application-settings" => self.expect_settings = Some(value.to_owned()),
            "-expect-session-miss" => self.expect_session_miss = true,
            "-expect-no-session" => self.expect_no_session = true,
            "-expect-curve-id" => self.expect_curve = Some(number(value)?),
            "-expect-peer-signature-algorithm" => self.expect_scheme = Some(number(value)?),
            "-expect-cipher" => self.expect_cipher = Some(number(value)?),
            "-expect-version" => self.expect_version = Some(number(value)?),
            "-expect-hrr" => self.expect_hrr = Some(true),
            "-expect-no-hrr" => self.expect_hrr = Some(false),
            "-expect-server-name" => self.expect_server_name = Some(value.to_owned()),
            "-expect-no-server-name" => self.expect_no_server_name = true,
            "-expect-ocsp-response" => self.expect_ocsp = Some(base64(value)?),
            "-expect-peer-cert-file" => self.expect_peer_certificate = Some(value.to_owned()),
            _ => NOTHING_TO_DO.contains(&name).then_some(())?,
        }
        Some(())
    }

    /// The verifier inside BoringSSL has alerts of its own, and failures that end nothing; Chrome does not use it.
    fn other_verifier(&self) -> bool {
        self.verify_fail && !self.own_verifier
    }

    /// Settings under the old codepoint are not spoken by any browser of today, nor by us.
    fn speaks_old_settings(&self) -> bool {
        !self.settings.is_empty() && !self.new_codepoint
    }
}

/// A group that the engine runs.
fn group(value: &str) -> Option<u16> {
    number(value).filter(|id| rozaneh_tls::groups::SUPPORTED.contains(id))
}

/// Reads the command line.
pub fn parse(arguments: &[String]) -> Parsed {
    let (mut initial, mut resume) = (Config::default(), Config::default());
    let mut rest = arguments.iter();
    while let Some(flag) = rest.next() {
        if flag == "-is-handshaker-supported" {
            return Parsed::Handshaker;
        }
        let (name, first, later) = if let Some(bare) = flag.strip_prefix("-on-initial") {
            (bare, true, false)
        } else if let Some(bare) = flag.strip_prefix("-on-resume") {
            (bare, false, true)
        } else {
            (flag.as_str(), true, true)
        };
        let value = if takes_value(name) { rest.next().map_or("", String::as_str) } else { "" };
        for config in first.then_some(&mut initial).into_iter().chain(later.then_some(&mut resume)) {
            if config.take(name, value).is_none() {
                // Values that name a file or a secret say nothing about why.
                let value = if matches!(name, "-curves" | "-key-shares" | "-max-version") { value } else { "" };
                return Parsed::Unknown(format!("{name} {value}").trim_end().to_owned());
            }
        }
    }
    if initial.speaks_old_settings() || resume.speaks_old_settings() {
        return Parsed::Unknown("-alps-use-new-codepoint 0".to_owned());
    }
    if initial.other_verifier() || resume.other_verifier() {
        return Parsed::Unknown("-verify-fail without -use-custom-verify-callback".to_owned());
    }
    Parsed::Run(Box::new(Plan { initial, resume }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_line(line: &str) -> Parsed {
        parse(&line.split(' ').map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn prefixes_say_which_connection() {
        let Parsed::Run(plan) = parse_line("-port 7 -on-resume-expect-alpn foo -on-initial-async -curves 29") else {
            panic!("not understood");
        };
        assert_eq!((plan.initial.port, plan.resume.port), (7, 7));
        assert_eq!((plan.initial.expect_alpn.as_str(), plan.resume.expect_alpn.as_str()), ("", "foo"));
        assert_eq!((plan.initial.single_bytes, plan.resume.single_bytes), (true, false));
        assert_eq!(plan.initial.curves, [29]);
    }

    #[test]
    fn what_is_not_known_is_named() {
        for (line, flag) in [
            ("-port 7 -tls-unique", "-tls-unique"),
            ("-curves 25", "-curves 25"),
            ("-cert-file x", "-cert-file"),
            ("-server -verify-peer", "-verify-peer"),
            ("-max-version 771", "-max-version 771"),
            ("-application-settings a,b -alps-use-new-codepoint 0", "-alps-use-new-codepoint 0"),
        ] {
            let Parsed::Unknown(found) = parse_line(line) else { panic!("{line} is understood") };
            assert_eq!(found, flag);
        }
        assert!(matches!(parse_line("-is-handshaker-supported"), Parsed::Handshaker));
    }
}
