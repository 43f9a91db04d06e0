//! CRLs, CA certificates and the catalogue: representations that are downloaded.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG,
    EXPIRES, HeaderMap, HeaderValue, LAST_MODIFIED, VARY,
};
use hyper::{Method, Response, StatusCode};
use ring::digest;

use super::body::{Body, FilePart};
use super::coding::{Coding, chosen};
use super::conditional::{Conditions, to_http_date};
use super::range::{Part, part_of};
use super::shelf::Shelf;
use crate::der::UnixTime;

/// All documents of a moment: those at their own paths (`/crl/sign/1/full.crl`), and the sets
/// that are kept (`/crl/sets/{set}/…`).
#[derive(Debug, Clone, Default)]
pub struct Documents {
    documents: HashMap<String, Arc<Document>>,
    sets: HashMap<String, Arc<Shelf>>,
}

/// One resource, in each form it is stored in.
#[derive(Debug, Clone)]
pub struct Document {
    identity: Form,
    encoded: Vec<(Coding, Form)>,
    content_type: HeaderValue,
    last_modified: UnixTime,
    freshness: Freshness,
}

/// One representation.
#[derive(Debug, Clone)]
struct Form {
    content: Content,
    len: u64,
    etag: HeaderValue,
}

/// Where the octets are.
#[derive(Debug, Clone)]
pub enum Content {
    /// In memory.
    Memory(Bytes),
    /// In a file of that length, whose content never changes; it may be unlinked or replaced
    /// by rename while it is read.
    File(PathBuf, u64),
}

/// How long a cache may keep a document.
#[derive(Debug, Clone, Copy)]
pub struct Freshness {
    /// nextUpdate, where there is one: kept no longer than that.
    pub expires: Option<UnixTime>,
    /// Kept no longer than this either.
    pub max_age: Duration,
    /// The address will never have another content.
    pub immutable: bool,
}

impl Documents {
    /// Puts `document` at `path`; the last one put there is served.
    pub fn insert(&mut self, path: impl Into<String>, document: Arc<Document>) {
        self.documents.insert(path.into(), document);
    }

    /// Puts the documents of a set below `/crl/sets/{set}/`.
    pub fn insert_set(&mut self, set: impl Into<String>, shelf: Arc<Shelf>) {
        self.sets.insert(set.into(), shelf);
    }

    /// What is at the path of a URL, taken literally.
    #[must_use]
    pub fn find(&self, path: &str) -> Option<Arc<Document>> {
        if let Some(document) = self.documents.get(path) {
            return Some(Arc::clone(document));
        }
        let (set, rest) = path.strip_prefix(SETS)?.split_once('/')?;
        self.sets.get(set)?.find(rest).map(Arc::new)
    }
}

/// Where sets have their addresses.
const SETS: &str = "/crl/sets/";

impl Document {
    /// A document whose octets hash to `sha256`, which becomes its strong ETag. Neither the
    /// hash nor a file's length is checked here.
    #[must_use]
    pub fn new(
        content: Content,
        content_type: &'static str,
        sha256: [u8; 32],
        last_modified: UnixTime,
        freshness: Freshness,
    ) -> Self {
        let hex: String = sha256.iter().map(|octet| format!("{octet:02x}")).collect();
        let identity = Form::new(content, format!("\"{hex}\""));
        let content_type = HeaderValue::from_static(content_type);
        Self { identity, encoded: Vec::new(), content_type, last_modified, freshness }
    }

    /// The same, for who accepts it, in another coding too. Its ETag is its own: the octets differ
    /// (RFC 9110 §8.8.3.3).
    #[must_use]
    pub fn encoded(mut self, coding: Coding, content: Content) -> Self {
        let own = self.identity.etag.to_str().unwrap_or_default().trim_matches('"');
        let form = Form::new(content, format!("\"{own}-{}\"", coding.name()));
        self.encoded.push((coding, form));
        self
    }

    /// A document in memory, hashed here.
    #[must_use]
    pub fn in_memory(
        octets: impl Into<Bytes>,
        content_type: &'static str,
        last_modified: UnixTime,
        freshness: Freshness,
    ) -> Self {
        let octets = octets.into();
        let mut sha256 = [0; 32];
        sha256.copy_from_slice(digest::digest(&digest::SHA256, &octets).as_ref());
        Self::new(Content::Memory(octets), content_type, sha256, last_modified, freshness)
    }

    /// Answers a GET or HEAD whose header fields were `asked`.
    ///
    /// # Errors
    /// When the file cannot be opened, or is not the one announced.
    pub(super) fn respond(
        &self,
        method: &Method,
        asked: &HeaderMap,
        now: UnixTime,
    ) -> io::Result<Response<Body>> {
        let (coding, form) = self.form_for(asked);
        let mut response = Response::new(Body::Empty);
        self.write_validators(response.headers_mut(), form, now);
        if Conditions::of(asked).unchanged(form.etag.as_bytes(), self.last_modified, now) {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            return Ok(response);
        }
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, self.content_type.clone());
        headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        if let Some(coding) = coding {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static(coding.name()));
        }
        if method == Method::HEAD {
            headers.insert(CONTENT_LENGTH, HeaderValue::from(form.len));
            return Ok(response);
        }
        match part_of(asked, form.len, form.etag.as_bytes(), self.last_modified) {
            Part::Whole => *response.body_mut() = form.part(0, form.len)?,
            Part::Range { first, last } => {
                headers.insert(CONTENT_RANGE, text(format!("bytes {first}-{last}/{}", form.len)));
                *response.status_mut() = StatusCode::PARTIAL_CONTENT;
                *response.body_mut() = form.part(first, last - first + 1)?;
            }
            Part::Unsatisfiable => {
                headers.insert(CONTENT_RANGE, text(format!("bytes */{}", form.len)));
                headers.remove(CONTENT_TYPE);
                headers.remove(CONTENT_ENCODING);
                headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
                *response.status_mut() = StatusCode::RANGE_NOT_SATISFIABLE;
            }
        }
        Ok(response)
    }

    /// The stored form that suits the asker best.
    fn form_for(&self, asked: &HeaderMap) -> (Option<Coding>, &Form) {
        let stored: Vec<Coding> = self.encoded.iter().map(|(coding, _)| *coding).collect();
        let coding = chosen(asked, &stored);
        let found = self.encoded.iter().find(|(stored, _)| Some(*stored) == coding);
        found.map_or((None, &self.identity), |(coding, form)| (Some(*coding), form))
    }

    fn write_validators(&self, headers: &mut HeaderMap, form: &Form, now: UnixTime) {
        let Freshness { expires, max_age, immutable } = self.freshness;
        let max_age = expires.map_or(max_age, |expires| max_age.min(expires.since(now))).as_secs();
        let immutable = if immutable { ", immutable" } else { "" };
        headers.insert(ETAG, form.etag.clone());
        // Also of the one form: a cache must not give it to who would get another.
        if !self.encoded.is_empty() {
            headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
        }
        headers.insert(LAST_MODIFIED, text(to_http_date(self.last_modified).to_string()));
        headers.insert(CACHE_CONTROL, text(format!("max-age={max_age}, public, no-transform{immutable}")));
        if let Some(expires) = expires {
            headers.insert(EXPIRES, text(to_http_date(expires).to_string()));
        }
    }
}

impl Form {
    fn new(content: Content, etag: String) -> Self {
        let len = match &content {
            Content::Memory(octets) => u64::try_from(octets.len()).unwrap_or(u64::MAX),
            Content::File(_, len) => *len,
        };
        let etag = HeaderValue::try_from(etag).unwrap_or(HeaderValue::from_static("\"\""));
        Self { content, len, etag }
    }

    fn part(&self, first: u64, len: u64) -> io::Result<Body> {
        match &self.content {
            Content::Memory(octets) => {
                let first = usize::try_from(first).map_err(io::Error::other)?;
                let end = usize::try_from(len).map_err(io::Error::other)?.saturating_add(first);
                // Both lie within: the caller took them from the length.
                Ok(Body::Whole(octets.slice(first.min(octets.len())..end.min(octets.len()))))
            }
            Content::File(path, announced) => {
                let file = File::open(path)?;
                if file.metadata()?.len() != *announced {
                    return Err(io::Error::other("the file is not the one announced"));
                }
                Ok(Body::File(FilePart::new(file, first, len)))
            }
        }
    }
}

/// A header value we composed of letters, digits and punctuation.
fn text(text: String) -> HeaderValue {
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(""))
}
