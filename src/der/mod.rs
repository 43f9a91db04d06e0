//! The Distinguished Encoding Rules of X.690, the subset certificates, CRLs and OCSP use.
//!
//! Knows tags, lengths, numbers and times; knows no certificate. Reading is borrowed and
//! canonical: whatever has two encodings is refused in all but the one DER allows. Writing
//! nests by closures and puts the length in afterwards.

mod civil;
mod oid;
mod reader;
mod time;
mod writer;

pub use oid::Oid;
pub use reader::{DEPTH_MAX, DerError, Element, Reader};
pub use time::{TimeError, UnixTime};
pub use writer::Writer;

/// Identifier octets (X.690 §8.1.2) of the types used here; low-tag-number form only.
pub mod tag {
    /// BOOLEAN.
    pub const BOOLEAN: u8 = 0x01;
    /// INTEGER.
    pub const INTEGER: u8 = 0x02;
    /// BIT STRING.
    pub const BIT_STRING: u8 = 0x03;
    /// OCTET STRING.
    pub const OCTET_STRING: u8 = 0x04;
    /// NULL.
    pub const NULL: u8 = 0x05;
    /// OBJECT IDENTIFIER.
    pub const OID: u8 = 0x06;
    /// ENUMERATED.
    pub const ENUMERATED: u8 = 0x0a;
    /// UTF8String.
    pub const UTF8_STRING: u8 = 0x0c;
    /// SEQUENCE and SEQUENCE OF.
    pub const SEQUENCE: u8 = 0x30;
    /// SET and SET OF.
    pub const SET: u8 = 0x31;
    /// PrintableString.
    pub const PRINTABLE_STRING: u8 = 0x13;
    /// IA5String.
    pub const IA5_STRING: u8 = 0x16;
    /// UTCTime.
    pub const UTC_TIME: u8 = 0x17;
    /// GeneralizedTime.
    pub const GENERALIZED_TIME: u8 = 0x18;

    /// A context-specific primitive tag `[number]`, `number` below 31.
    #[must_use]
    pub const fn context(number: u8) -> u8 {
        0x80 | number
    }

    /// A context-specific constructed tag `[number]`, `number` below 31.
    #[must_use]
    pub const fn context_constructed(number: u8) -> u8 {
        0xa0 | number
    }
}
