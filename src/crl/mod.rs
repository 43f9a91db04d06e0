//! Certificate revocation lists (RFC 5280 §5): complete, per partition, of the authority, and deltas.
//!
//! A CRL is a pure function of the records, the scope, the plan of its set and the issuer:
//! [`Selection`] says who is listed, [`Layout`] and [`Encoder`] write each entry once,
//! [`tbs_cert_list`] puts a list around them, [`TbsCertList::sign`] signs it; [`Audit`] reads the
//! finished octets again beside the records, and [`gate`] checks all else before anybody may have
//! them. Knows no file, no clock, no schedule.
//!
//! All keys of an authority share one DN, so to RFC 5280 they are one CRL issuer: the list
//! each key signs holds the revoked certificates of all of them.

mod audit;
mod catalogue;
mod certificate_list;
mod entries;
mod entry;
mod extensions;
mod gate;
mod gate_error;
mod number;
mod plan;
mod scope;
mod selection;
mod signed_catalogue;
mod tbs_cert_list;

pub use audit::{Audit, Audited};
pub use catalogue::{Base, Catalogue, CrlKind, NameText, RetiringKey, Row, Stored};
pub use certificate_list::signed_part;
pub use entries::{Encoder, Entries, Layout};
pub use gate::{CrlFacts, Expected, Previous, Size, Untold, gate};
pub use gate_error::GateError;
pub use number::CrlNumber;
pub use plan::SetPlan;
pub use scope::{Scope, file_name};
pub use selection::Selection;
pub use signed_catalogue::{sign_catalogue, signer_of_catalogue};
pub use tbs_cert_list::{SignedCrl, TbsCertList, tbs_cert_list};
