//! The bodies we send.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tokio::task::{JoinHandle, spawn_blocking};

/// A response body of known length.
pub(super) enum Body {
    /// No octets.
    Empty,
    /// Octets in memory, shared by all who download them.
    Whole(Bytes),
    /// Octets of a file, a chunk at a time.
    File(FilePart),
}

/// What is left to send of an open file. Who replaces or unlinks the file does not disturb it.
pub(super) struct FilePart {
    file: Arc<File>,
    at: u64,
    left: u64,
    reading: Option<JoinHandle<io::Result<Bytes>>>,
}

/// Octets handed to hyper at a time. It copies them into its write buffer; with the read
/// buffer's 8 kB a slow reader stays below 32 kB.
const CHUNK: usize = 16 * 1024;

impl FilePart {
    pub(super) fn new(file: File, first: u64, len: u64) -> Self {
        Self { file: Arc::new(file), at: first, left: len, reading: None }
    }

    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let len = usize::try_from(self.left).unwrap_or(CHUNK).min(CHUNK);
        let at = self.at;
        let reading = self.reading.get_or_insert_with(|| {
            let file = Arc::clone(&self.file);
            // A page that is not in memory would stop every connection of this core.
            spawn_blocking(move || read_at(&file, at, len))
        });
        let read = ready!(Pin::new(reading).poll(cx));
        self.reading = None;
        Poll::Ready(Some(read.map_err(io::Error::other).flatten().inspect(|_| {
            let len = u64::try_from(len).unwrap_or(self.left);
            self.at += len;
            self.left -= len;
        })))
    }
}

/// Exactly `len` octets: a file that became shorter is an error, and the connection ends.
fn read_at(file: &File, at: u64, len: usize) -> io::Result<Bytes> {
    let mut chunk = vec![0; len];
    file.read_exact_at(&mut chunk, at)?;
    Ok(chunk.into())
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match &mut *self {
            Self::Empty => Poll::Ready(None),
            Self::Whole(octets) if octets.is_empty() => Poll::Ready(None),
            Self::Whole(octets) => {
                let chunk = octets.split_to(octets.len().min(CHUNK));
                Poll::Ready(Some(Ok(Frame::data(chunk))))
            }
            Self::File(part) => part.poll_chunk(cx).map_ok(Frame::data),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.size_hint().exact() == Some(0)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(match self {
            Self::Empty => 0,
            Self::Whole(octets) => u64::try_from(octets.len()).unwrap_or(u64::MAX),
            Self::File(part) => part.left,
        })
    }
}
