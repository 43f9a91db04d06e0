//! The octets of a CRL or certificate: from a file, standard input or a web server, DER or PEM.

use std::fs::File;
use std::io::Read;
use std::time::Duration;

use http_body_util::{BodyExt, Empty};
use hyper::body::{Body, Bytes};
use hyper::client::conn::http1;
use hyper::{Request, StatusCode, Uri, header};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::super::Failure;
use crate::der::tag;

/// A CRL of fifty million entries: beyond any that is published, within what a machine holds.
const OCTETS_MAX: u64 = 2 << 30;
/// A server that is there accepts at once; a packet or two may be lost.
const CONNECT: Duration = Duration::from_secs(10);
/// Two gigabytes at 100 Mbit/s take three minutes.
const TRANSFER: Duration = Duration::from_secs(300);
const HTTP_PORT: u16 = 80;

/// The DER named by `source`: a file, `-` for standard input, or an `http` URL. `label` is what
/// PEM calls it.
///
/// # Errors
/// Wrong use: cannot be read, too long, neither DER nor one PEM block of this label. Unreached: a
/// server that does not answer with it.
pub(super) fn der(source: &str, label: &str) -> Result<Vec<u8>, Failure> {
    let octets = octets(source)?;
    let wrong = |why: String| Failure::wrong_use(format!("{source}: {why}"));
    if octets.is_empty() {
        return Err(wrong("is empty: give the whole file".to_owned()));
    }
    if octets.first() == Some(&tag::SEQUENCE) {
        return Ok(octets);
    }
    let blocks = pem::parse_many(&octets)
        .map_err(|error| wrong(format!("PEM that cannot be decoded ({error}): fetch it anew")))?;
    drop(octets);
    let mut blocks = blocks.into_iter();
    match (blocks.next(), blocks.len()) {
        (None, _) => Err(wrong(format!("neither DER nor PEM: give a file with one {label}"))),
        (Some(_), more @ 1..) => {
            Err(wrong(format!("{} PEM blocks: give a file with the one meant", more + 1)))
        }
        (Some(block), 0) if block.tag() == label => Ok(block.into_contents()),
        (Some(block), 0) => Err(wrong(format!("holds a {}: give a file with one {label}", block.tag()))),
    }
}

/// The octets named by `source`, as they are.
pub(in crate::cli) fn octets(source: &str) -> Result<Vec<u8>, Failure> {
    let unread = |error: std::io::Error| Failure::wrong_use(format!("{source}: {error}"));
    if source.starts_with("http://") {
        return get(source);
    }
    if source.starts_with("https://") {
        return Err(Failure::wrong_use(format!(
            "{source}: TLS is not spoken here: `curl -sf {source}`, and give its output to -"
        )));
    }
    let mut octets = Vec::new();
    let read = if source == "-" {
        std::io::stdin().lock().take(OCTETS_MAX + 1).read_to_end(&mut octets)
    } else {
        File::open(source).and_then(|file| file.take(OCTETS_MAX + 1).read_to_end(&mut octets))
    };
    let read = read.map_err(unread)?;
    if u64::try_from(read).is_ok_and(|read| read <= OCTETS_MAX) { Ok(octets) } else { Err(too_long(source)) }
}

fn too_long(source: &str) -> Failure {
    Failure::wrong_use(format!("{source}: more than {OCTETS_MAX} octets, which is no CRL read here"))
}

/// A plain GET; no redirect is followed.
fn get(url: &str) -> Result<Vec<u8>, Failure> {
    let wrong = |why: &str| Failure::wrong_use(format!("{url}: {why}: write http://HOST[:PORT]/PATH"));
    let uri: Uri = url.parse().map_err(|error: hyper::http::uri::InvalidUri| wrong(&error.to_string()))?;
    let host = uri.authority().ok_or_else(|| wrong("no host"))?;
    let name = host.host().trim_start_matches('[').trim_end_matches(']').to_owned();
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let request = Request::builder()
        .uri(path)
        .header(header::HOST, host.as_str())
        .header(header::USER_AGENT, "sekisho")
        .body(Empty::<Bytes>::new())
        .map_err(|error| wrong(&error.to_string()))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::internal(format!("no runtime: {error}")))?;
    let unreached = |error: String| Failure::unreached(format!("{url}: {error}"));
    runtime.block_on(async {
        let connected = TcpStream::connect((name, host.port_u16().unwrap_or(HTTP_PORT)));
        let stream = tokio::time::timeout(CONNECT, connected)
            .await
            .map_err(|_| unreached(format!("no connection within {} s", CONNECT.as_secs())))?
            .map_err(|error| unreached(error.to_string()))?;
        tokio::time::timeout(TRANSFER, exchange(url, stream, request))
            .await
            .map_err(|_| unreached(format!("not all there within {} s", TRANSFER.as_secs())))?
    })
}

async fn exchange(url: &str, stream: TcpStream, request: Request<Empty<Bytes>>) -> Result<Vec<u8>, Failure> {
    let broken = |error: hyper::Error| Failure::unreached(format!("{url}: {error}"));
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
    tokio::spawn(connection);
    let response = sender.send_request(request).await.map_err(broken)?;
    if response.status() != StatusCode::OK {
        return Err(Failure::unreached(format!("{url}: the server says {}", response.status())));
    }
    let mut body = response.into_body();
    if body.size_hint().lower() > OCTETS_MAX {
        return Err(too_long(url));
    }
    let mut octets = Vec::new();
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame.map_err(broken)?.into_data() {
            octets.extend_from_slice(&data);
        }
        if u64::try_from(octets.len()).is_ok_and(|len| len > OCTETS_MAX) {
            return Err(too_long(url));
        }
    }
    Ok(octets)
}
