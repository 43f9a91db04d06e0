//! The ways clients write a request into the path of a GET (RFC 6960 App. A.1).

use data_encoding::BASE64;

/// Spellings of `request`; those of the second list have two readings, of which it is one.
pub fn spellings(request: &[u8]) -> [Vec<String>; 2] {
    let padded = BASE64.encode(request);
    let bare = padded.trim_end_matches('=').to_owned();
    let mut texts = Vec::new();
    for text in [&padded, &bare] {
        let url = text.replace('/', "_").replace('+', "-");
        let percent = text.replace('/', "%2F").replace('+', "%2B").replace('=', "%3D");
        let lower = text.replace('/', "%2f").replace('+', "%2b").replace('=', "%3d");
        let every: String = text.bytes().map(|octet| format!("%{octet:02X}")).collect();
        let form = text.replace('+', "%20");
        texts.extend([text.clone(), url, percent, lower, every, form]);
    }
    // Of the ways to begin, one a length: they have little to do with what follows.
    let starts = ["/", "//", "/%2F", "/ocsp/", "//ocsp//"];
    let start = starts[request.len() % starts.len()];
    let paths: Vec<String> = texts.iter().map(|text| format!("{start}{text}")).collect();
    let slashed = paths.iter().flat_map(|path| ["/", "%2F"].map(|end| format!("{path}{end}"))).collect();
    [paths, slashed]
}
