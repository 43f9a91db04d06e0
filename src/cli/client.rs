//! Talks to the running service over its admin socket.

use std::path::PathBuf;

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{Method, Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

use super::{DataDir, Failure};
use crate::admin::api::Problem;

/// One connection to the service.
pub struct Client {
    runtime: tokio::runtime::Runtime,
    sender: http1::SendRequest<Full<Bytes>>,
    socket: PathBuf,
}

impl Client {
    /// Connects to the service that runs on `data`.
    ///
    /// # Errors
    /// Exit code 3: nothing listens there.
    pub fn of(data: &DataDir) -> Result<Self, Failure> {
        let socket = data.admin_socket();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Failure::internal(format!("no runtime: {error}")))?;
        let unreached = |error: std::io::Error| {
            Failure::unreached(format!(
                "no service at {}: {error}; start `sekisho serve` or `sekisho demo` on this data directory",
                socket.display()
            ))
        };
        let sender = runtime.block_on(async {
            let stream = UnixStream::connect(&socket).await.map_err(unreached)?;
            let (sender, connection) = http1::handshake(TokioIo::new(stream))
                .await
                .map_err(|error| unreached(std::io::Error::other(error)))?;
            tokio::spawn(connection);
            Ok::<_, Failure>(sender)
        })?;
        Ok(Self { runtime, sender, socket })
    }

    /// Posts `body` to `path` and reads the answer.
    ///
    /// # Errors
    /// What the service answers, by its kind; exit code 3 when it goes away.
    pub fn post<T: DeserializeOwned>(&mut self, path: &str, body: &impl Serialize) -> Result<T, Failure> {
        self.ask(path, body)?.map_err(Failure::from)
    }

    /// The same for who goes on after some of the service's problems.
    ///
    /// # Errors
    /// The service goes away, or its answer cannot be read.
    pub fn ask<T: DeserializeOwned>(
        &mut self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<Result<T, Problem>, Failure> {
        let (status, octets) = self.exchange(path, body)?;
        let unreadable = |error: serde_json::Error| Failure::internal(format!("unreadable answer: {error}"));
        if status == StatusCode::OK {
            return serde_json::from_slice(&octets).map(Ok).map_err(unreadable);
        }
        serde_json::from_slice(&octets).map(Err).map_err(unreadable)
    }

    fn exchange(&mut self, path: &str, body: &impl Serialize) -> Result<(StatusCode, Bytes), Failure> {
        let body = serde_json::to_vec(body).map_err(|error| Failure::internal(error.to_string()))?;
        let request = Request::builder()
            .method(Method::POST)
            .uri(path)
            .header(header::HOST, "admin")
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| Failure::internal(error.to_string()))?;
        let socket = self.socket.display();
        let gone = |error: hyper::Error| {
            Failure::unreached(format!(
                "the service at {socket} went away ({error}): what it had not acknowledged is unknown, \
                 not undone; repeat with the same --key"
            ))
        };
        self.runtime.block_on(async {
            self.sender.ready().await.map_err(gone)?;
            let response = self.sender.send_request(request).await.map_err(gone)?;
            let status = response.status();
            let octets = response.into_body().collect().await.map_err(gone)?.to_bytes();
            Ok((status, octets))
        })
    }
}
