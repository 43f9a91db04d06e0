//! An office of this process, on a directory that tests copy and edit.

use std::path::Path;
use std::sync::Arc;

use sekisho::config::Config;
use sekisho::office::data::DataDir;
use sekisho::office::{Application, Office, OfficeError, Place, Spelling, SubjectKeySource};
use sekisho::pki::{AuthorityId, CertificateKind, Partition};
use sekisho::store::Clock;

use super::service::shell;

pub const SIGN: AuthorityId = AuthorityId(1);
pub const AUTH: AuthorityId = AuthorityId(2);

pub fn start(data: &DataDir) -> Result<Arc<Office>, OfficeError> {
    let config = Config::read(&data.config())?;
    Office::start(data.clone(), config, Clock::system(), "http://127.0.0.1:8080".to_owned()).map(|(it, _)| it)
}

/// As an operator copies a directory whose service has stopped.
pub fn copy(from: &Path, to: &Path) {
    let copied = shell(&format!("cp -a {} {}", from.display(), to.display()));
    assert_eq!(copied.code, Some(0), "{}", copied.stderr);
}

/// For the pair of a card.
pub fn application() -> Application {
    Application {
        name: "関所 花子".to_owned(),
        birth: "1982-02-17".to_owned(),
        sex: "female".to_owned(),
        address: "東京都清瀬市".to_owned(),
        spelling: Spelling::default(),
        municipality: Partition(13221),
        kinds: vec![CertificateKind::CardSign, CertificateKind::CardAuth],
        subject_key: SubjectKeySource::TestKey,
        place: Place::New,
    }
}
