//! CRLs, CA certificates and the catalogue: representations that are downloaded.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, EXPIRES, HeaderMap,
    HeaderValue, LAST_MODIFIED,
};
use hyper::{Method, Response, StatusCode};
use ring::digest;

use super::body::{Body, FilePart};
use super::conditional::{Conditions, to_http_date};
use super::range::{Part, part_of};
use crate::der::UnixTime;

/// All documents of a moment, by the path they are asked for (`/crl/sign/1/full.crl`).
#[derive(Debug, Clone, Default)]
pub struct Documents(HashMap<String, Arc<Document>>);

/// One representation.
#[derive(Debug, Clone)]
pub struct Document {
    content: Content,
    len: u64,
    content_type: HeaderValue,
    etag: HeaderValue,
    last_modified: UnixTime,
    freshness: Freshness,
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
        self.0.insert(path.into(), document);
    }

    /// What is at the path of a URL, taken literally.
    #[must_use]
    pub fn find(&self, path: &str) -> Option<&Arc<Document>> {
        self.0.get(path)
    }
}

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
        let len = match &content {
            Content::Memory(octets) => u64::try_from(octets.len()).unwrap_or(u64::MAX),
            Content::File(_, len) => *len,
        };
        let hex: String = sha256.iter().map(|octet| format!("{octet:02x}")).collect();
        let etag = HeaderValue::try_from(format!("\"{hex}\"")).unwrap_or(HeaderValue::from_static("\"\""));
        let content_type = HeaderValue::from_static(content_type);
        Self { content, len, content_type, etag, last_modified, freshness }
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
        let mut response = Response::new(Body::Empty);
        self.write_validators(response.headers_mut(), now);
        if Conditions::of(asked).unchanged(self.etag.as_bytes(), self.last_modified, now) {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            return Ok(response);
        }
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, self.content_type.clone());
        headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        if method == Method::HEAD {
            headers.insert(CONTENT_LENGTH, HeaderValue::from(self.len));
            return Ok(response);
        }
        match part_of(asked, self.len, self.etag.as_bytes(), self.last_modified) {
            Part::Whole => *response.body_mut() = self.part(0, self.len)?,
            Part::Range { first, last } => {
                headers.insert(CONTENT_RANGE, text(format!("bytes {first}-{last}/{}", self.len)));
                *response.status_mut() = StatusCode::PARTIAL_CONTENT;
                *response.body_mut() = self.part(first, last - first + 1)?;
            }
            Part::Unsatisfiable => {
                headers.insert(CONTENT_RANGE, text(format!("bytes */{}", self.len)));
                headers.remove(CONTENT_TYPE);
                headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
                *response.status_mut() = StatusCode::RANGE_NOT_SATISFIABLE;
            }
        }
        Ok(response)
    }

    fn write_validators(&self, headers: &mut HeaderMap, now: UnixTime) {
        let Freshness { expires, max_age, immutable } = self.freshness;
        let max_age = expires.map_or(max_age, |expires| max_age.min(expires.since(now))).as_secs();
        let immutable = if immutable { ", immutable" } else { "" };
        headers.insert(ETAG, self.etag.clone());
        headers.insert(LAST_MODIFIED, text(to_http_date(self.last_modified).to_string()));
        headers.insert(CACHE_CONTROL, text(format!("max-age={max_age}, public, no-transform{immutable}")));
        if let Some(expires) = expires {
            headers.insert(EXPIRES, text(to_http_date(expires).to_string()));
        }
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
