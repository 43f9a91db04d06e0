//! What the archive keeps of an issued certificate.
//!
//! ```text
//! Archived ::= SEQUENCE {
//!     certificate  Certificate,
//!     holder   [0] Holder OPTIONAL }     -- only here is a holder id linked to a person
//! Holder   ::= SEQUENCE {
//!     id           OCTET STRING,         -- 16 octets, big-endian
//!     name         UTF8String,
//!     birth        UTF8String,           -- as asked: YYYY-MM-DD, or as much as is known
//!     sex          UTF8String,
//!     address      UTF8String }
//! ```

use crate::der::{DerError, Reader, Writer, tag};
use crate::record::HolderId;

/// An archived certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Archived {
    /// DER.
    pub(super) certificate: Vec<u8>,
    /// Who holds it.
    pub(super) holder: Option<Holder>,
}

/// The person behind a holder id.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Holder {
    pub(super) id: HolderId,
    pub(super) name: String,
    pub(super) birth: String,
    pub(super) sex: String,
    pub(super) address: String,
}

/// Personal data stays out of logs.
impl std::fmt::Debug for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Holder").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Archived {
    /// Its octets.
    pub(super) fn to_der(&self) -> Vec<u8> {
        Writer::to_der(|w| {
            w.sequence(|w| {
                w.raw(&self.certificate);
                if let Some(holder) = &self.holder {
                    w.nested(tag::context_constructed(0), |w| {
                        w.sequence(|w| {
                            w.octet_string(&holder.id.0.to_be_bytes());
                            for text in [&holder.name, &holder.birth, &holder.sex, &holder.address] {
                                w.utf8(text);
                            }
                        });
                    });
                }
            });
        })
    }

    /// Reads its octets.
    pub(super) fn from_der(der: &[u8]) -> Result<Self, DerError> {
        let mut reader = Reader::new(der);
        let archived = reader.sequence(|r| {
            let certificate = r.element()?.whole.to_vec();
            let holder = r.optional_nested(tag::context_constructed(0), |r| {
                r.sequence(|r| {
                    let id = r.octet_string()?.try_into().map_err(|_| DerError::Content)?;
                    let id = HolderId(u128::from_be_bytes(id));
                    Ok::<_, DerError>(Holder {
                        id,
                        name: text(r)?,
                        birth: text(r)?,
                        sex: text(r)?,
                        address: text(r)?,
                    })
                })
            })?;
            Ok::<_, DerError>(Self { certificate, holder })
        })?;
        reader.finish()?;
        Ok(archived)
    }
}

fn text(reader: &mut Reader<'_>) -> Result<String, DerError> {
    String::from_utf8(reader.read(tag::UTF8_STRING)?.to_vec()).map_err(|_| DerError::Content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_archived_comes_back_and_its_debug_names_nobody() {
        let holder = Holder {
            id: HolderId(7),
            name: "関所　花子".to_owned(),
            birth: "1982-02-17".to_owned(),
            sex: "female".to_owned(),
            address: "東京都清瀬市中里5-842".to_owned(),
        };
        for holder in [Some(holder), None] {
            let archived = Archived { certificate: vec![0x30, 0], holder };
            assert_eq!(Archived::from_der(&archived.to_der()), Ok(archived.clone()));
            assert!(!format!("{archived:?}").contains("花子"));
        }
    }
}
