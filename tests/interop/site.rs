//! A service as who relies on it and who runs it see it: what it publishes, and its commands.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use serde_json::Value;

use crate::client;
use crate::matrix::Status;
use crate::service::{Ran, Service, sekisho};
use crate::stage::text;

#[derive(Clone)]
pub struct Site {
    pub url: String,
    address: SocketAddr,
    data: PathBuf,
    home: PathBuf,
    /// So that no two files have one name.
    files: Arc<AtomicUsize>,
}

/// A resident's certificate, and what is right to say of it.
#[derive(Debug, Clone)]
pub struct Subject {
    pub authority: String,
    pub generation: u8,
    pub municipality: String,
    pub serial: String,
    /// What it is on.
    pub card: String,
    /// PEM.
    pub file: String,
    pub status: Status,
}

/// What is published for a key of an authority, PEM files.
#[derive(Debug, Clone)]
pub struct Key {
    pub generation: u8,
    pub ca: PathBuf,
    pub full: Option<PathBuf>,
    /// By municipality.
    pub partitions: BTreeMap<String, PathBuf>,
}

impl Site {
    pub fn of(service: &Service, home: PathBuf) -> Self {
        let url = service.url();
        let address = url.trim_start_matches("http://").trim_end_matches('/').parse().unwrap();
        Self { url, address, data: service.data.clone(), home, files: Arc::default() }
    }

    /// The same, started again.
    pub fn again(&self, service: &Service) -> Self {
        Self { files: Arc::clone(&self.files), ..Self::of(service, self.home.clone()) }
    }

    pub fn sekisho(&self, arguments: &[&str]) -> Ran {
        sekisho(&self.data, arguments)
    }

    /// A command that must succeed.
    pub fn done(&self, arguments: &[&str]) -> Ran {
        let ran = self.sekisho(arguments);
        assert_eq!(ran.code, Some(0), "{arguments:?}: {}", ran.text());
        ran
    }

    /// Issues a signing and an authentication certificate, on a new card.
    pub fn issue(&self, municipality: &str) -> Vec<Subject> {
        let out = text(&self.home.join("issued"));
        let who = ["--name", "関所 花子", "--birth", "1982-02-17", "--sex", "female", "--address"];
        let what =
            ["東京都清瀬市中里", "--municipality", municipality, "--test-key", "--json", "--out", &out];
        let pair = self.done(&[&["issue"][..], &who, &what].concat()).json();
        let subject = |one: &Value| {
            let word = |name: &str| one[name].as_str().unwrap().to_owned();
            let (authority, serial) = (word("authority"), word("serial"));
            Subject {
                file: format!("{out}/{authority}-{serial}.pem"),
                authority,
                generation: one["generation"].as_u64().unwrap().try_into().unwrap(),
                municipality: municipality.to_owned(),
                serial,
                card: pair["card"].as_str().unwrap().to_owned(),
                status: Status::Good,
            }
        };
        pair["certificates"].as_array().unwrap().iter().map(subject).collect()
    }

    /// What is published for every key that an authority has, the oldest first.
    pub fn keys(&self, authority: &str, municipalities: &[&str]) -> Vec<Key> {
        let key = |generation: u8| {
            let of = format!("{authority}/{generation}");
            let crl = |name: &str| self.fetch(&format!("/crl/{of}/{name}.pem"));
            let partition = |code: &&str| Some(((*code).to_owned(), crl(code)?));
            let ca = self.fetch(&format!("/ca/{of}.pem"))?;
            let partitions = municipalities.iter().filter_map(partition).collect();
            Some(Key { generation, ca, full: crl("full"), partitions })
        };
        (1..).map_while(key).collect()
    }

    /// The CA certificates alone.
    pub fn cas(&self, authority: &str) -> Vec<PathBuf> {
        (1..).map_while(|generation: u8| self.fetch(&format!("/ca/{authority}/{generation}.pem"))).collect()
    }

    fn fetch(&self, path: &str) -> Option<PathBuf> {
        let response = client::ask(self.address, client::get(path));
        assert!([200, 404].contains(&response.status), "{path}: {}", response.head);
        if response.status == 404 {
            return None;
        }
        let file = self.home.join(format!("{}.pem", self.files.fetch_add(1, Relaxed)));
        fs::write(&file, response.body).unwrap();
        Some(file)
    }
}
