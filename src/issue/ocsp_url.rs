//! Where OCSP is asked.

use std::str::FromStr;

use super::IssueError;

/// Characters of the address: a host name has at most 253 (RFC 1035 §2.3.4), a port five.
const URL_CHARS_MAX: usize = 266;

/// The address of OCSP in an authentication certificate: http, and no path, as the real ones
/// have it. Plain http because the answer is signed, and https would need OCSP in turn
/// (RFC 5280 §8).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OcspUrl(String);

impl OcspUrl {
    /// The address.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0
    }
}

impl FromStr for OcspUrl {
    type Err = IssueError;

    /// A final `/` is dropped: it names the same resource.
    fn from_str(text: &str) -> Result<Self, IssueError> {
        let text = text.strip_suffix('/').unwrap_or(text);
        let host = text.strip_prefix("http://").ok_or(IssueError::OcspUrl)?;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-.:[]_".contains(&byte);
        if host.is_empty() || text.len() > URL_CHARS_MAX || !host.bytes().all(plain) {
            return Err(IssueError::OcspUrl);
        }
        Ok(Self(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc5280_s4_2_2_1_the_address_is_http_without_a_path() {
        for (text, url) in [
            ("http://ocsp.example", "http://ocsp.example"),
            ("http://127.0.0.1:8080/", "http://127.0.0.1:8080"),
            ("http://[::1]:8080", "http://[::1]:8080"),
        ] {
            assert_eq!(text.parse::<OcspUrl>().unwrap().text(), url);
        }
        for bad in [
            "",
            "http://",
            "http:///",
            "https://ocsp.example",
            "http://ocsp.example/ocsp",
            "ocsp.example",
            "http://ocsp.example?x",
            "http://user@ocsp.example",
            "http://例え",
            "http://a b",
        ] {
            assert_eq!(bad.parse::<OcspUrl>().unwrap_err(), IssueError::OcspUrl, "{bad}");
        }
        assert!(format!("http://{}", "a".repeat(300)).parse::<OcspUrl>().is_err());
    }
}
