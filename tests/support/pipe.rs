//! A connection for many requests: octets out as they are given, responses in by their framing,
//! read where they lie.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::ops::Range;

use crate::client::DEADLINE;

pub struct Pipe {
    stream: TcpStream,
    buffer: Vec<u8>,
    /// What has been read from the socket and not yet as a response.
    unread: Range<usize>,
}

/// A response where it lies in the buffer of its connection.
#[derive(Clone, Copy)]
pub struct Seen<'a> {
    pub status: u16,
    pub head: &'a [u8],
    pub body: &'a [u8],
}

/// Octets asked for at a time.
const CHUNK: usize = 64 * 1024;

impl Pipe {
    pub fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, buffer: Vec::new(), unread: 0..0 }
    }

    pub fn send(&mut self, octets: &[u8]) {
        self.stream.write_all(octets).unwrap();
    }

    /// Gives back the memory of what has been read.
    pub fn forget_buffer(&mut self) {
        assert!(self.unread.is_empty(), "unread octets");
        self.buffer = Vec::new();
        self.unread = 0..0;
    }

    /// Reads at most `len` octets and leaves them unread.
    pub fn read_some(&mut self, len: usize) -> usize {
        let end = self.unread.end;
        if self.buffer.len() < end + len {
            self.buffer.resize(end + len, 0);
        }
        let read = self.stream.read(&mut self.buffer[end..end + len]).unwrap();
        self.unread.end += read;
        read
    }

    /// The next response to a request; `to_head` when that was HEAD.
    ///
    /// # Errors
    /// When the connection ends before it.
    pub fn response(&mut self, to_head: bool) -> io::Result<Seen<'_>> {
        let mut searched = self.unread.start;
        let head_end = loop {
            match find(&self.buffer[searched..self.unread.end], b"\r\n\r\n") {
                Some(at) => break searched + at + 4,
                None => {
                    searched = searched.max(self.unread.end.saturating_sub(3));
                    let moved = self.fill()?;
                    searched -= moved;
                }
            }
        };
        let mut start = self.unread.start;
        let head_len = head_end - start;
        let head = &self.buffer[start..head_end];
        let status = head[9..12].iter().fold(0, |value, digit| value * 10 + u16::from(digit - b'0'));
        let bare = to_head || status == 304 || status == 204 || status < 200;
        let len = if bare { 0 } else { content_length(head) };
        while self.unread.len() < head_len + len {
            self.fill()?;
            start = self.unread.start;
        }
        let body = start + head_len;
        self.unread.start = body + len;
        Ok(Seen { status, head: &self.buffer[start..body], body: &self.buffer[body..body + len] })
    }

    /// Reads more; returns by how much what is unread has moved to the front.
    fn fill(&mut self) -> io::Result<usize> {
        let moved = self.unread.start;
        self.buffer.copy_within(self.unread.clone(), 0);
        self.unread = 0..self.unread.len();
        match self.read_some(CHUNK) {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(moved),
        }
    }
}

impl Seen<'_> {
    pub fn field(&self, name: &str) -> Option<&str> {
        let head = std::str::from_utf8(self.head).unwrap();
        head.lines().skip(1).find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

fn content_length(head: &[u8]) -> usize {
    const NAME: &[u8] = b"content-length: ";
    // A line at a time: unoptimised, a look at every octet is dear.
    let mut rest = head;
    while let Some(end) = find(rest, b"\r\n") {
        if rest.len() > NAME.len() && rest[..NAME.len()].eq_ignore_ascii_case(NAME) {
            return rest[NAME.len()..end].iter().fold(0, |len, digit| len * 10 + usize::from(digit - b'0'));
        }
        rest = &rest[end + 2..];
    }
    panic!("no length: {}", String::from_utf8_lossy(head));
}

fn find(octets: &[u8], part: &[u8]) -> Option<usize> {
    octets.windows(part.len()).position(|window| window == part)
}
