//! Object identifiers, under the names their standards give them.

use crate::der::Oid;

/// id-at-commonName (X.520).
pub const COMMON_NAME: Oid = Oid::new(&[2, 5, 4, 3]);
/// id-at-countryName.
pub const COUNTRY_NAME: Oid = Oid::new(&[2, 5, 4, 6]);
/// id-at-localityName.
pub const LOCALITY_NAME: Oid = Oid::new(&[2, 5, 4, 7]);
/// id-at-stateOrProvinceName.
pub const STATE_OR_PROVINCE_NAME: Oid = Oid::new(&[2, 5, 4, 8]);
/// id-at-organizationName.
pub const ORGANIZATION_NAME: Oid = Oid::new(&[2, 5, 4, 10]);
/// id-at-organizationalUnitName.
pub const ORGANIZATIONAL_UNIT_NAME: Oid = Oid::new(&[2, 5, 4, 11]);

/// id-ce-subjectKeyIdentifier (RFC 5280 §4.2.1.2).
pub const SUBJECT_KEY_IDENTIFIER: Oid = Oid::new(&[2, 5, 29, 14]);
/// id-ce-keyUsage (RFC 5280 §4.2.1.3).
pub const KEY_USAGE: Oid = Oid::new(&[2, 5, 29, 15]);
/// id-ce-subjectAltName (RFC 5280 §4.2.1.6).
pub const SUBJECT_ALT_NAME: Oid = Oid::new(&[2, 5, 29, 17]);
/// id-ce-issuerAltName (RFC 5280 §4.2.1.7).
pub const ISSUER_ALT_NAME: Oid = Oid::new(&[2, 5, 29, 18]);
/// id-ce-basicConstraints (RFC 5280 §4.2.1.9).
pub const BASIC_CONSTRAINTS: Oid = Oid::new(&[2, 5, 29, 19]);
/// id-ce-cRLNumber (RFC 5280 §5.2.3).
pub const CRL_NUMBER: Oid = Oid::new(&[2, 5, 29, 20]);
/// id-ce-cRLReasons (RFC 5280 §5.3.1).
pub const REASON_CODE: Oid = Oid::new(&[2, 5, 29, 21]);
/// id-ce-invalidityDate (RFC 5280 §5.3.2).
pub const INVALIDITY_DATE: Oid = Oid::new(&[2, 5, 29, 24]);
/// id-ce-deltaCRLIndicator (RFC 5280 §5.2.4).
pub const DELTA_CRL_INDICATOR: Oid = Oid::new(&[2, 5, 29, 27]);
/// id-ce-issuingDistributionPoint (RFC 5280 §5.2.5).
pub const ISSUING_DISTRIBUTION_POINT: Oid = Oid::new(&[2, 5, 29, 28]);
/// id-ce-cRLDistributionPoints (RFC 5280 §4.2.1.13).
pub const CRL_DISTRIBUTION_POINTS: Oid = Oid::new(&[2, 5, 29, 31]);
/// id-ce-certificatePolicies (RFC 5280 §4.2.1.4).
pub const CERTIFICATE_POLICIES: Oid = Oid::new(&[2, 5, 29, 32]);
/// id-ce-authorityKeyIdentifier (RFC 5280 §4.2.1.1).
pub const AUTHORITY_KEY_IDENTIFIER: Oid = Oid::new(&[2, 5, 29, 35]);
/// id-ce-extKeyUsage (RFC 5280 §4.2.1.12).
pub const EXT_KEY_USAGE: Oid = Oid::new(&[2, 5, 29, 37]);
/// id-ce-freshestCRL (RFC 5280 §5.2.6).
pub const FRESHEST_CRL: Oid = Oid::new(&[2, 5, 29, 46]);
/// id-pe-authorityInfoAccess (RFC 5280 §4.2.2.1).
pub const AUTHORITY_INFO_ACCESS: Oid = Oid::new(&[1, 3, 6, 1, 5, 5, 7, 1, 1]);
/// id-qt-cps (RFC 5280 §4.2.1.4).
pub const QT_CPS: Oid = Oid::new(&[1, 3, 6, 1, 5, 5, 7, 2, 1]);
/// id-kp-clientAuth (RFC 5280 §4.2.1.12).
pub const KP_CLIENT_AUTH: Oid = Oid::new(&[1, 3, 6, 1, 5, 5, 7, 3, 2]);
/// id-kp-OCSPSigning (RFC 6960 §4.2.2.2).
pub const KP_OCSP_SIGNING: Oid = Oid::new(&[1, 3, 6, 1, 5, 5, 7, 3, 9]);
/// id-ad-ocsp (RFC 5280 §4.2.2.1).
pub const AD_OCSP: Oid = Oid::new(&[1, 3, 6, 1, 5, 5, 7, 48, 1]);
/// id-pkix-ocsp-basic (RFC 6960 §4.2.1).
pub const OCSP_BASIC: Oid = Oid::new(&[1, 3, 6, 1, 5, 5, 7, 48, 1, 1]);
/// id-pkix-ocsp-nonce (RFC 9654 §2.1).
pub const OCSP_NONCE: Oid = Oid::new(&[1, 3, 6, 1, 5, 5, 7, 48, 1, 2]);
/// id-pkix-ocsp-response (RFC 6960 §4.4.3).
pub const OCSP_RESPONSE: Oid = Oid::new(&[1, 3, 6, 1, 5, 5, 7, 48, 1, 4]);
/// id-pkix-ocsp-nocheck (RFC 6960 §4.2.2.2.1).
pub const OCSP_NOCHECK: Oid = Oid::new(&[1, 3, 6, 1, 5, 5, 7, 48, 1, 5]);
/// id-pkix-ocsp-archive-cutoff (RFC 6960 §4.4.4).
pub const OCSP_ARCHIVE_CUTOFF: Oid = Oid::new(&[1, 3, 6, 1, 5, 5, 7, 48, 1, 6]);
/// id-pkix-ocsp-service-locator (RFC 6960 §4.4.6).
pub const OCSP_SERVICE_LOCATOR: Oid = Oid::new(&[1, 3, 6, 1, 5, 5, 7, 48, 1, 7]);
/// id-pkix-ocsp-pref-sig-algs (RFC 6960 §4.4.7).
pub const OCSP_PREF_SIG_ALGS: Oid = Oid::new(&[1, 3, 6, 1, 5, 5, 7, 48, 1, 8]);
/// id-pkix-ocsp-extended-revoke (RFC 6960 §4.4.8).
pub const OCSP_EXTENDED_REVOKE: Oid = Oid::new(&[1, 3, 6, 1, 5, 5, 7, 48, 1, 9]);

/// id-data (RFC 5652 §4).
pub const CMS_DATA: Oid = Oid::new(&[1, 2, 840, 113_549, 1, 7, 1]);
/// id-signedData (RFC 5652 §5.1).
pub const CMS_SIGNED_DATA: Oid = Oid::new(&[1, 2, 840, 113_549, 1, 7, 2]);

/// rsaEncryption (RFC 3279 §2.3.1).
pub const RSA_ENCRYPTION: Oid = Oid::new(&[1, 2, 840, 113_549, 1, 1, 1]);
/// sha256WithRSAEncryption (RFC 4055 §5).
pub const SHA256_WITH_RSA: Oid = Oid::new(&[1, 2, 840, 113_549, 1, 1, 11]);
/// sha384WithRSAEncryption (RFC 4055 §5).
pub const SHA384_WITH_RSA: Oid = Oid::new(&[1, 2, 840, 113_549, 1, 1, 12]);
/// sha512WithRSAEncryption (RFC 4055 §5).
pub const SHA512_WITH_RSA: Oid = Oid::new(&[1, 2, 840, 113_549, 1, 1, 13]);
/// id-ecPublicKey (RFC 5480 §2.1.1).
pub const EC_PUBLIC_KEY: Oid = Oid::new(&[1, 2, 840, 10_045, 2, 1]);
/// secp256r1 (RFC 5480 §2.1.1.1).
pub const SECP256R1: Oid = Oid::new(&[1, 2, 840, 10_045, 3, 1, 7]);
/// secp384r1 (RFC 5480 §2.1.1.1).
pub const SECP384R1: Oid = Oid::new(&[1, 3, 132, 0, 34]);
/// secp521r1 (RFC 5480 §2.1.1.1).
pub const SECP521R1: Oid = Oid::new(&[1, 3, 132, 0, 35]);
/// ecdsa-with-SHA256 (RFC 5758 §3.2).
pub const ECDSA_WITH_SHA256: Oid = Oid::new(&[1, 2, 840, 10_045, 4, 3, 2]);
/// ecdsa-with-SHA384 (RFC 5758 §3.2).
pub const ECDSA_WITH_SHA384: Oid = Oid::new(&[1, 2, 840, 10_045, 4, 3, 3]);
/// id-Ed25519 (RFC 8410 §3).
pub const ED25519: Oid = Oid::new(&[1, 3, 101, 112]);
/// id-sha1 (RFC 3279 §2.1).
pub const SHA1: Oid = Oid::new(&[1, 3, 14, 3, 2, 26]);
/// id-sha256 (RFC 5754 §2.2).
pub const SHA256: Oid = Oid::new(&[2, 16, 840, 1, 101, 3, 4, 2, 1]);
/// id-sha384 (RFC 5754 §2.3).
pub const SHA384: Oid = Oid::new(&[2, 16, 840, 1, 101, 3, 4, 2, 2]);
/// id-sha512 (RFC 5754 §2.4).
pub const SHA512: Oid = Oid::new(&[2, 16, 840, 1, 101, 3, 4, 2, 3]);
