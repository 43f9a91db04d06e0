//! An office without listeners, its files laid out for other programs.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sekisho::config::Config;
use sekisho::crl::Row;
use sekisho::office::data::DataDir;
use sekisho::office::{
    self, Application, Changed, Office, PublishedSet, Selector, Spelling, SubjectKeySource, Wish,
};
use sekisho::pki::{AuthorityId, CertificateKind, Generation, Partition, SerialNumber};
use sekisho::record::Origin;
use sekisho::store::Clock;

use crate::service::run;
use crate::turns;

pub struct World {
    pub office: Arc<Office>,
    home: tempfile::TempDir,
}

/// A municipality and an address in it.
pub type Place = (Partition, &'static str);

pub const KIYOSE: Place = (Partition(13221), "東京都清瀬市中里");
/// Two towns of Hokkaido whose romanized names are one: their codes tell their CRLs apart.
pub const ESASHI: [Place; 2] =
    [(Partition(1361), "北海道江差町中歌町"), (Partition(1514), "北海道枝幸町本町")];

pub struct Certificate {
    pub authority: String,
    pub generation: u8,
    pub partition: Partition,
    pub kind: CertificateKind,
    pub serial: SerialNumber,
    /// PEM.
    pub file: PathBuf,
}

/// The CRLs of a set: the row that tells of each, and its PEM file.
pub struct Set {
    pub rows: Vec<(Row, PathBuf)>,
}

impl World {
    pub fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let data = DataDir::new(&home.path().join("data"));
        office::init(&data, "SEKISHO-TEST").unwrap();
        let config = Config::read(&data.config()).unwrap();
        let url = "http://127.0.0.1:8080".to_owned();
        let (office, _) = Office::start(data, config, Clock::system(), url).unwrap();
        Self { office, home }
    }

    pub fn home(&self) -> &Path {
        self.home.path()
    }

    pub fn authorities(&self) -> Vec<AuthorityId> {
        self.office.profile().authorities.iter().map(|authority| authority.id).collect()
    }

    pub fn issue(&self, kind: CertificateKind, (municipality, address): Place) -> Certificate {
        let application = Application {
            name: "関所 花子".to_owned(),
            birth: "1982-02-17".to_owned(),
            sex: "female".to_owned(),
            address: address.to_owned(),
            spelling: Spelling::default(),
            municipality,
            kinds: vec![kind],
            subject_key: SubjectKeySource::TestKey,
            place: office::Place::New,
        };
        let pair = self.office.issue(&application, Origin::service()).unwrap();
        let one = &pair.certificates[0];
        let (authority, serial) = (one.authority.clone(), one.issued.certificate.serial);
        let file = self.write(&format!("{authority}-{serial}.pem"), "CERTIFICATE", one.der.clone());
        let generation = one.issued.certificate.generation.number();
        Certificate { authority, generation, partition: municipality, kind, serial, file }
    }

    pub fn change(&self, certificate: &Certificate, wish: Wish) -> Changed {
        self.change_named(&certificate.authority, certificate.serial, wish)
    }

    pub fn change_named(&self, authority: &str, serial: SerialNumber, wish: Wish) -> Changed {
        let certificate = Selector::Named { authority: authority.to_owned(), serial };
        let changed = turns::change(&self.office, &certificate, wish, Origin::service()).unwrap();
        assert!(changed.changed);
        changed
    }

    /// Publishes a set for everybody.
    pub fn publish(&self, scheduled: bool) -> Set {
        self.set(&self.office.publish(&self.authorities(), scheduled).unwrap())
    }

    pub fn publish_deltas(&self) -> Set {
        self.set(&self.office.publish_deltas(&self.authorities()).unwrap())
    }

    fn set(&self, published: &PublishedSet) -> Set {
        let set = published.number.to_string();
        let catalogue = self.office.served_catalogue().unwrap().unwrap();
        let rows = catalogue.crls.into_iter().filter(|row| row.set == set);
        let rows = rows.map(|row| {
            let file = self.office.data().path().join(row.url.trim_start_matches('/'));
            let name = row.url.trim_start_matches("/crl/sets/").replace('/', "-").replace(".crl", ".pem");
            let file = self.write(&name, "X509 CRL", fs::read(file).unwrap());
            (row, file)
        });
        Set { rows: rows.collect() }
    }

    /// A CA certificate, PEM.
    pub fn ca(&self, authority: &str, generation: u8) -> PathBuf {
        self.office.data().ca_certificate(authority, Generation::new(generation).unwrap())
    }

    /// The private key of a CA, PEM; filed under its identifier.
    pub fn ca_key(&self, authority: &str, generation: u8) -> PathBuf {
        let ca = self.ca(authority, generation);
        let shown = ["x509", "-in", ca.to_str().unwrap(), "-noout", "-ext", "subjectKeyIdentifier"];
        let said = run("openssl", &shown).stdout;
        let id = said.lines().last().unwrap().trim().replace(':', "").to_lowercase();
        self.office.data().path().join("keys").join(format!("{id}.key"))
    }

    pub fn write(&self, name: &str, label: &str, der: Vec<u8>) -> PathBuf {
        let file = self.home.path().join(name);
        fs::write(&file, pem::encode(&pem::Pem::new(label, der))).unwrap();
        file
    }
}

impl Drop for World {
    fn drop(&mut self) {
        drop(self.office.stop());
    }
}

impl Set {
    /// The file of the CRL of this name: `full`, `delta`, `authority` or a municipality's code.
    pub fn find(&self, authority: &str, generation: u8, name: &str) -> PathBuf {
        let end = format!("/{authority}/{generation}/{name}.crl");
        let found = self.rows.iter().find(|(row, _)| row.url.ends_with(&end));
        found.unwrap_or_else(|| panic!("no {end} in the set")).1.clone()
    }
}
