//! Every way in which clients write the base64 of a request into a path.

/// Paths that all mean the request whose base64 is `text`. What clients in the field do:
/// reserved characters raw or percent-encoded in either case, every octet encoded, a doubled
/// leading slash, a space for a plus, no padding, a slash at the end, base64url, a query.
pub fn spellings(text: &str) -> Vec<String> {
    let percent = text.replace('/', "%2F").replace('+', "%2B").replace('=', "%3D");
    let lower = text.replace('/', "%2f").replace('+', "%2b").replace('=', "%3d");
    let every: String = text.bytes().map(|octet| format!("%{octet:02X}")).collect();
    let every_lower: String = text.bytes().map(|octet| format!("%{octet:02x}")).collect();
    let url = text.replace('/', "_").replace('+', "-");
    let bare = text.trim_end_matches('=');
    vec![
        format!("/{text}"),
        format!("/{percent}"),
        format!("/{lower}"),
        format!("/{every}"),
        format!("/{every_lower}"),
        format!("//{text}"),
        format!("/ocsp/{text}"),
        format!("/ocsp//{percent}"),
        format!("/{}", text.replace('+', "%20")),
        format!("/{bare}"),
        format!("/{text}/"),
        format!("/{bare}/"),
        format!("/{percent}/"),
        format!("/{url}"),
        format!("/{}", url.trim_end_matches('=')),
        format!("/{text}?source=test"),
        format!("/{percent}?"),
    ]
}
