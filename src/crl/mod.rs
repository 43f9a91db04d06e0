//! Certificate revocation lists (RFC 5280 §5): complete, per partition, and of the authority.
//!
//! A CRL is a pure function of the records, the scope, the plan of its set and the issuer:
//! [`Collector`] encodes each entry once, [`tbs_cert_list`] puts a list together,
//! [`TbsCertList::sign`] signs it, and [`gate`] reads the finished octets again and compares
//! them with the records before anybody may have them. Knows no file, no clock, no schedule.
//!
//! All keys of an authority share one DN, so to RFC 5280 they are one CRL issuer: the list
//! each key signs holds the revoked certificates of all of them.

mod catalogue;
mod certificate_list;
mod collector;
mod entry;
mod extensions;
mod gate;
mod gate_error;
mod listed;
mod listing;
mod number;
mod plan;
mod scope;
mod signed_catalogue;
mod tbs_cert_list;

pub use catalogue::{Catalogue, CrlKind, NameText, Row};
pub use collector::{Collector, Entries};
pub use gate::{CrlFacts, Expected, Previous, gate};
pub use gate_error::GateError;
pub use listing::Listing;
pub use number::CrlNumber;
pub use plan::SetPlan;
pub use scope::{Scope, file_name};
pub use signed_catalogue::sign_catalogue;
pub use tbs_cert_list::{TbsCertList, tbs_cert_list};
