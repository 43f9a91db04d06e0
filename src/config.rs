//! `sekisho.toml`: every setting, its default, and what a wrong one is told.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

/// The file in the data directory.
pub const FILE_NAME: &str = "sekisho.toml";

/// The settings of a service. Unknown keys are refused.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[derive(Default)]
pub struct Config {
    /// The public listener.
    pub public: Public,
    /// The authorities' profile.
    pub profile: Profile,
    /// OCSP.
    pub ocsp: Ocsp,
    /// CRLs.
    pub crl: Crl,
    /// The operator's listener.
    pub operations: Operations,
}

/// `[public]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Public {
    /// Address and port; port 0 lets the system choose.
    pub listen: SocketAddr,
    /// The URL verifiers reach it by; written into authentication certificates (AIA). Empty:
    /// made from the address listened on.
    pub url: String,
    /// Threads that serve connections; 0: one a core.
    pub workers: usize,
    /// Connections served at once; further ones are closed.
    pub connections_max: usize,
    /// TLS instead of plain HTTP.
    pub tls: Option<Tls>,
}

/// `[public.tls]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// PEM file with the certificate chain.
    pub certificate: PathBuf,
    /// PEM file with the private key.
    pub key: PathBuf,
}

/// `[profile]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Profile {
    /// The O of every name; fixed by the first start of a data directory.
    pub organization: String,
}

/// `[ocsp]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ocsp {
    /// Keys of the delegated signers, one signer each: the first answers who states no
    /// preference, and nothing is ever signed with a kind that is not listed.
    pub signers: Vec<SignerKey>,
    /// What `signers` was when there was one.
    signer: OneSigner,
    /// How long a signer's certificate is valid.
    pub signer_validity_days: u32,
    /// nextUpdate minus thisUpdate.
    pub validity_minutes: u32,
    /// A kept signature older than this is made again.
    pub refresh_after_minutes: u32,
    /// How long an HTTP cache may hold a `good`.
    pub max_age_seconds: u32,
    /// CertIDs answered in one request.
    pub cert_ids_max: usize,
    /// Answer never-issued serials as revoked (RFC 6960 §2.2).
    pub extended_revoke: bool,
    /// Days past expiry for which a status is promised, told as archiveCutoff; 0: not told.
    pub archive_cutoff_days: u32,
    /// What an asker with a nonce gets while nothing can be signed.
    pub nonce_fallback: NonceFallback,
    /// Megabytes of kept signatures.
    pub cache_megabytes: usize,
    /// Who may ask.
    pub access: Access,
    /// Whether registered verifiers must sign; none: they must.
    pub signature: Option<RequestSignature>,
}

/// Who may ask by OCSP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Access {
    /// Everybody.
    Open,
    /// Registered verifiers, by signed requests.
    Registered,
}

/// Whether requests must be signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RequestSignature {
    /// Unsigned ones are answered; a signature must be a registered verifier's.
    Optional,
    /// Unsigned ones are refused.
    Required,
}

/// What an asker with a nonce gets while nothing can be signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NonceFallback {
    /// `tryLater`.
    TryLater,
    /// The answer kept for those who ask without a nonce.
    WithoutNonce,
}

/// What key a delegated OCSP signer has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SignerKey {
    /// ECDSA over P-256.
    P256,
    /// RSA-2048.
    Rsa2048,
    /// ECDSA over P-384.
    P384,
    /// Ed25519.
    Ed25519,
}

impl SignerKey {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::P256, Self::Rsa2048, Self::P384, Self::Ed25519];

    /// The one that the settings name so.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|key| key.name() == name)
    }

    /// As the settings name it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::P256 => "p256",
            Self::Rsa2048 => "rsa2048",
            Self::P384 => "p384",
            Self::Ed25519 => "ed25519",
        }
    }
}

/// `[crl]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Crl {
    /// When the day's set is cut, JST, `HH:MM`.
    pub daily_at: String,
    /// nextUpdate minus thisUpdate.
    pub validity_hours: u32,
    /// Minutes between delta CRLs; 0: none.
    pub delta_minutes: u32,
    /// Whether a delta is also cut within a minute of a revocation, hold or release.
    pub delta_after_change: bool,
    /// Days for which past sets are kept.
    pub keep_days: u32,
}

/// `[operations]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Operations {
    /// Where metrics and health are told; none: nowhere. Port 0, here or of the public listener,
    /// lets the system choose.
    #[serde(deserialize_with = "address_or_empty")]
    pub listen: Option<SocketAddr>,
}

impl Default for Public {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            url: String::new(),
            workers: 0,
            connections_max: 20_000,
            tls: None,
        }
    }
}

impl Default for Operations {
    fn default() -> Self {
        Self { listen: Some(SocketAddr::from(([127, 0, 0, 1], 8081))) }
    }
}

impl Default for Profile {
    fn default() -> Self {
        Self { organization: "SEKISHO-TEST".to_owned() }
    }
}

impl Default for Ocsp {
    fn default() -> Self {
        Self {
            signers: vec![SignerKey::P256, SignerKey::Rsa2048],
            signer: OneSigner,
            signer_validity_days: 7,
            validity_minutes: 720,
            refresh_after_minutes: 15,
            max_age_seconds: 60,
            cert_ids_max: 16,
            extended_revoke: false,
            archive_cutoff_days: 0,
            nonce_fallback: NonceFallback::TryLater,
            cache_megabytes: 256,
            access: Access::Open,
            signature: None,
        }
    }
}

impl Default for Crl {
    fn default() -> Self {
        Self {
            daily_at: "00:00".to_owned(),
            validity_hours: 48,
            delta_minutes: 60,
            delta_after_change: false,
            keep_days: 35,
        }
    }
}

/// Why there are no settings.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{path}: {error}: run `sekisho init` to write one", path = .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// Not TOML, an unknown key, a value of another type.
    #[error("{path}: {message}", path = .path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Line, key and what is wrong with it.
        message: String,
    },
    /// A value out of its range.
    #[error("{field}: {advice}")]
    Value {
        /// Section and key.
        field: &'static str,
        /// What to write instead.
        advice: String,
    },
}

impl Config {
    /// Reads and checks the file at `path`.
    ///
    /// # Errors
    /// [`ConfigError`], naming the field.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| ConfigError::Unreadable { path: path.to_owned(), error })?;
        let config: Self = toml::from_str(&text).map_err(|error| ConfigError::Syntax {
            path: path.to_owned(),
            message: error.to_string().trim().replace('\n', " "),
        })?;
        config.check()?;
        Ok(config)
    }

    /// Checks what types cannot say.
    ///
    /// # Errors
    /// [`ConfigError::Value`].
    pub fn check(&self) -> Result<(), ConfigError> {
        let within = |field, value: u32, min: u32, max: u32| {
            let advice = format!("{value} is out of range: give {min} to {max}");
            if (min..=max).contains(&value) { Ok(()) } else { Err(ConfigError::Value { field, advice }) }
        };
        let ocsp = &self.ocsp;
        check_signers(&ocsp.signers)?;
        within("ocsp.signer_validity_days", ocsp.signer_validity_days, 1, 90)?;
        within("ocsp.validity_minutes", ocsp.validity_minutes, 5, 7 * 24 * 60)?;
        within("ocsp.refresh_after_minutes", ocsp.refresh_after_minutes, 1, ocsp.validity_minutes / 2)?;
        within("ocsp.max_age_seconds", ocsp.max_age_seconds, 0, 3600)?;
        within("ocsp.archive_cutoff_days", ocsp.archive_cutoff_days, 0, 36_500)?;
        within("ocsp.cert_ids_max", u32::try_from(ocsp.cert_ids_max).unwrap_or(u32::MAX), 1, 64)?;
        within("ocsp.cache_megabytes", u32::try_from(ocsp.cache_megabytes).unwrap_or(u32::MAX), 1, 65_536)?;
        if ocsp.access == Access::Open && ocsp.signature.is_some() {
            let advice =
                "counts only where access is \"registered\": set ocsp.access, or leave it out".to_owned();
            return Err(ConfigError::Value { field: "ocsp.signature", advice });
        }
        within("crl.validity_hours", self.crl.validity_hours, 25, 24 * 30)?;
        within("crl.delta_minutes", self.crl.delta_minutes, 0, 24 * 60)?;
        if self.crl.delta_after_change && self.crl.delta_minutes == 0 {
            let advice = "means deltas, and crl.delta_minutes is 0: give the minutes between them".to_owned();
            return Err(ConfigError::Value { field: "crl.delta_after_change", advice });
        }
        // What is still valid must not go.
        within("crl.keep_days", self.crl.keep_days, self.crl.validity_hours.div_ceil(24) + 1, 3650)?;
        let connections = u32::try_from(self.public.connections_max).unwrap_or(u32::MAX);
        within("public.connections_max", connections, 1, 1_000_000)?;
        within("public.workers", u32::try_from(self.public.workers).unwrap_or(u32::MAX), 0, 1024)?;
        self.crl.daily_second()?;
        self.operations.check()?;
        let organization = &self.profile.organization;
        if organization.is_empty() || organization.chars().count() > 64 || organization == "JPKI" {
            let advice =
                "give a name of 1 to 64 characters that cannot be taken for the real JPKI".to_owned();
            return Err(ConfigError::Value { field: "profile.organization", advice });
        }
        let url = &self.public.url;
        if self.public.tls.is_some() && url.is_empty() {
            let advice = "with TLS, say by which plain http:// URL verifiers reach the service".to_owned();
            return Err(ConfigError::Value { field: "public.url", advice });
        }
        let host = url.strip_prefix("http://");
        if !url.is_empty() && host.is_none_or(|rest| rest.is_empty() || rest.contains('/')) {
            let advice = format!(
                "{url} will not do: give http://, a host, no path (answers are signed; RFC 5280 section 8)"
            );
            return Err(ConfigError::Value { field: "public.url", advice });
        }
        Ok(())
    }

    /// The file `init` writes: every default, explained.
    #[must_use]
    pub fn template(organization: &str) -> String {
        let Self { public, ocsp, crl, operations, .. } = Self::default();
        format!(
            r#"# Settings of this sekisho service. Every line shows its default; times are in the unit of their name.

[public]
# Address of the public listener: OCSP, CRLs, CA certificates.
listen = "{listen}"
# URL by which verifiers reach it, without a path; written into authentication certificates.
# Empty: made from the address listened on.
url = ""
# Threads that serve connections; 0 means one a core.
workers = {workers}
# Connections served at once; further ones are closed.
connections_max = {connections_max}
# Uncomment for TLS, and set url (paths are relative to the data directory):
# [public.tls]
# certificate = "tls.pem"
# key = "tls.key"

[profile]
# The O of every issued name. Choose before the first certificate; it cannot change later.
organization = "{organization}"

[ocsp]
# Keys of the delegated OCSP signers, one signer each: "p256", "rsa2048", "p384", "ed25519". The first
# signs for who prefers nothing else (RFC 6960 section 4.4.7); nothing is signed with what is not listed.
signers = ["p256", "rsa2048"]
# Days the certificate of a signer made here is valid; another is made when a third is left.
signer_validity_days = {signer_validity_days}
# Minutes from thisUpdate to nextUpdate.
validity_minutes = {validity_minutes}
# A kept signature older than this many minutes is made again when asked for.
refresh_after_minutes = {refresh_after_minutes}
# Seconds an HTTP cache may hold a "good".
max_age_seconds = {max_age_seconds}
# CertIDs answered in one request.
cert_ids_max = {cert_ids_max}
# Answer serials never issued as revoked, certificateHold, 1970 (RFC 6960 section 2.2).
extended_revoke = {extended_revoke}
# Days past a certificate's expiry for which its status is promised; answers tell it as archiveCutoff
# (RFC 6960 section 4.4.4). 0: not told.
archive_cutoff_days = {archive_cutoff_days}
# What an asker with a nonce gets while no signature can be made: "try_later", or "without_nonce", the
# answer kept for those who ask without one.
nonce_fallback = "try_later"
# Megabytes of signatures kept for further askers.
cache_megabytes = {cache_megabytes}
# Who may ask: "open" for everybody, "registered" for the verifiers of `sekisho verifier`.
access = "open"
# Where access is registered: "required" refuses unsigned requests; "optional" answers them, and
# holds only the signature of a signed one against the register.
# signature = "required"

[crl]
# When the day's CRLs are cut, Japan time.
daily_at = "{daily_at}"
# Hours from thisUpdate to nextUpdate.
validity_hours = {validity_hours}
# Minutes between delta CRLs, each of what changed since the last day's full CRL. 0: none.
delta_minutes = {delta_minutes}
# Also cut one within a minute of a revocation, hold or release.
delta_after_change = {delta_after_change}
# Days for which past CRL sets are kept, and served under their own addresses.
keep_days = {keep_days}

[operations]
# Address for the operator: /metrics (Prometheus), /healthz, /readyz; loopback or private only. Empty: none.
listen = "{operations_listen}"
"#,
            listen = public.listen,
            workers = public.workers,
            operations_listen = operations.listen.map(|address| address.to_string()).unwrap_or_default(),
            connections_max = public.connections_max,
            signer_validity_days = ocsp.signer_validity_days,
            validity_minutes = ocsp.validity_minutes,
            refresh_after_minutes = ocsp.refresh_after_minutes,
            max_age_seconds = ocsp.max_age_seconds,
            cert_ids_max = ocsp.cert_ids_max,
            extended_revoke = ocsp.extended_revoke,
            archive_cutoff_days = ocsp.archive_cutoff_days,
            cache_megabytes = ocsp.cache_megabytes,
            daily_at = crl.daily_at,
            validity_hours = crl.validity_hours,
            delta_minutes = crl.delta_minutes,
            delta_after_change = crl.delta_after_change,
            keep_days = crl.keep_days,
        )
    }
}

impl Operations {
    fn check(&self) -> Result<(), ConfigError> {
        match self.listen {
            Some(listen) if !is_private(listen.ip()) => Err(ConfigError::Value {
                field: "operations.listen",
                advice: format!(
                    "{listen} would tell everybody: give a loopback or private address, such as 127.0.0.1:8081"
                ),
            }),
            _ => Ok(()),
        }
    }
}

/// Addresses that the public does not reach.
const fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_loopback() || ip.is_private() || ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}

fn address_or_empty<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SocketAddr>, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| {
        D::Error::custom(format!("{text} is no address: give one with a port, such as 127.0.0.1:8081"))
    })
}

impl Crl {
    /// Second of the day in Japan at which the day's set is cut.
    ///
    /// # Errors
    /// When `daily_at` is no time of day.
    pub fn daily_second(&self) -> Result<u32, ConfigError> {
        let parsed = self.daily_at.split_once(':').and_then(|(hours, minutes)| {
            let two = |text: &str| text.parse::<u32>().ok().filter(|_| text.len() == 2);
            Some((two(hours).filter(|h| *h < 24)?, two(minutes).filter(|m| *m < 60)?))
        });
        parsed.map(|(hours, minutes)| hours * 3600 + minutes * 60).ok_or_else(|| ConfigError::Value {
            field: "crl.daily_at",
            advice: format!("{} is no time of day: give HH:MM, such as 00:00", self.daily_at),
        })
    }

    /// nextUpdate minus thisUpdate.
    #[must_use]
    pub fn validity(&self) -> Duration {
        Duration::from_secs(u64::from(self.validity_hours) * 3600)
    }
}

fn check_signers(signers: &[SignerKey]) -> Result<(), ConfigError> {
    let repeated =
        signers.iter().enumerate().find(|(at, key)| signers.iter().take(*at).any(|one| one == *key));
    let advice = match (signers.first(), repeated) {
        (None, _) => "give at least one kind of key, such as [\"p256\"]".to_owned(),
        (_, Some((_, key))) => format!("{} is listed twice: list it once", key.name()),
        _ => return Ok(()),
    };
    Err(ConfigError::Value { field: "ocsp.signers", advice })
}

/// The key that was taken before there were several signers: says what to write in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
struct OneSigner;

impl<'de> Deserialize<'de> for OneSigner {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let key = String::deserialize(deserializer)?;
        let instead = format!("ocsp.signer is a list now: write signers = [\"{key}\"] in its place");
        Err(serde::de::Error::custom(instead))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_init_writes_says_the_defaults() {
        let config: Config = toml::from_str(&Config::template("SEKISHO-TEST")).unwrap();
        assert_eq!(config, Config::default());
        config.check().unwrap();
    }

    #[test]
    fn mistakes_are_refused_by_the_name_of_their_field() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for (text, field) in [
            ("[ocsp]\nvalidity_minuets = 5", "validity_minuets"),
            ("[ocsp]\nvalidity_minutes = 1", "ocsp.validity_minutes"),
            ("[ocsp]\nrefresh_after_minutes = 600", "ocsp.refresh_after_minutes"),
            ("[ocsp]\nsigners = [\"dsa\"]", "dsa"),
            ("[ocsp]\nsigners = []", "ocsp.signers"),
            ("[ocsp]\nsigners = [\"p384\", \"p256\", \"p384\"]", "p384 is listed twice"),
            ("[ocsp]\nsigner = \"rsa2048\"", "write signers = [\"rsa2048\"]"),
            ("[ocsp]\nsigner_validity_days = 0", "ocsp.signer_validity_days"),
            ("[ocsp]\ncert_ids_max = 0", "ocsp.cert_ids_max"),
            ("[ocsp]\narchive_cutoff_days = 40000", "ocsp.archive_cutoff_days"),
            ("[ocsp]\nnonce_fallback = \"none\"", "none"),
            ("[ocsp]\ncache_megabytes = 0", "ocsp.cache_megabytes"),
            ("[ocsp]\nmax_age_seconds = 99999", "ocsp.max_age_seconds"),
            ("[ocsp]\naccess = \"members\"", "members"),
            ("[ocsp]\naccess = \"registered\"\nsignature = \"never\"", "never"),
            ("[ocsp]\nsignature = \"required\"", "ocsp.signature"),
            ("[ocsp]\naccess = \"open\"\nsignature = \"optional\"", "ocsp.signature"),
            ("[crl]\ndaily_at = \"24:00\"", "crl.daily_at"),
            ("[crl]\ndaily_at = \"0:00\"", "crl.daily_at"),
            ("[crl]\nvalidity_hours = 24", "crl.validity_hours"),
            ("[public]\nlisten = \"nowhere\"", "listen"),
            ("[public]\nurl = \"http://a/b\"", "public.url"),
            ("[public]\nurl = \"https://a\"", "public.url"),
            ("[public.tls]\ncertificate = \"a\"\nkey = \"b\"", "public.url"),
            ("[public]\nconnections_max = 0", "public.connections_max"),
            ("[public]\nworkers = 9999", "public.workers"),
            ("[operations]\nlisten = \"nowhere\"", "listen"),
            ("[operations]\nlisten = \"0.0.0.0:8081\"", "operations.listen"),
            ("[operations]\nlisten = \"203.0.113.1:8081\"", "operations.listen"),
            ("[profile]\norganization = \"\"", "profile.organization"),
            ("[profile]\norganization = \"JPKI\"", "profile.organization"),
            ("[unknown]", "unknown"),
        ] {
            std::fs::write(file.path(), text).unwrap();
            let error = Config::read(file.path()).unwrap_err().to_string();
            assert!(error.contains(field), "{text}: {error}");
            assert!(!error.contains('\n'), "one line: {error}");
        }
    }
}
