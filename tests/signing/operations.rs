//! The counters add up, and the operations listener tells them.

use std::net::TcpListener;
use std::sync::Arc;

use sekisho::http::{Gauge, Operations};

use crate::client::{self, Client, get, post, with_method, within};
use crate::exposition::Metrics;
use crate::responder::{SignsWith, World, base64};
use crate::service::Service;
use crate::site::{Served, contains, options};

#[test]
fn the_counters_add_up_to_what_was_asked() {
    for signs_with in [SignsWith::P256, SignsWith::Rsa2048] {
        let served = Served::with(World::new(signs_with, 100), options());
        let typed = ("Content-Type", "text/plain");
        let path = |serial, nonce| format!("/{}", base64(&served.request(serial, nonce)));
        let foreign = World::new(SignsWith::P256, 1).request(1, None);
        let etag = served.ask(get(&path(1, None))).field("etag").unwrap().to_owned();
        let mut asked = 1;
        for (octets, times) in [
            (get(&path(1, None)).into_bytes(), 10),
            (get(&path(2, Some(b"a nonce"))).into_bytes(), 3),
            (post("/", &served.request(3, None)), 5),
            (post("/", &served.request(3, Some(b"another"))), 2),
            (post("/", &foreign), 4),
            (post("/", b"no request"), 6),
            (client::get_with(&path(1, None), &[("If-None-Match", &etag)]).into_bytes(), 7),
            (get("/nothing.here").into_bytes(), 1),
            (get("/crl/none.crl").into_bytes(), 2),
            (get("/healthz").into_bytes(), 1),
            (client::post_with("/", &[typed], b"text"), 2),
            (with_method("DELETE", "/", &[]).into_bytes(), 3),
            (with_method("OPTIONS", "/", &[]).into_bytes(), 1),
        ] {
            for _ in 0..times {
                served.ask(&octets);
                asked += 1;
            }
        }
        let mut client = Client::connect(served.address());
        client.send(with_method("HEAD", &path(1, None), &[]));
        client.response_to_head();
        asked += 1;

        let metrics = Metrics::of(served.server.monitor());
        let http = |label: &str| metrics.value(&format!("sekisho_http_{label}"));
        assert_eq!(metrics.sum("sekisho_http_requests_total"), f64::from(asked));
        assert_eq!(metrics.sum("sekisho_http_responses_total"), f64::from(asked));
        assert_eq!(http("requests_total{method=\"HEAD\"}"), 1.0);
        assert_eq!(http("requests_total{method=\"POST\"}"), 19.0);
        assert_eq!(http("requests_total{method=\"other\"}"), 4.0);
        assert_eq!(http("responses_total{code=\"304\"}"), 7.0);
        assert_eq!(http("responses_total{code=\"404\"}"), 3.0);
        assert_eq!(http("responses_total{code=\"405\"}"), 3.0);
        assert_eq!(http("responses_total{code=\"415\"}"), 2.0);
        assert_eq!(http("responses_total{code=\"204\"}"), 1.0);

        let ocsp = |label: &str| metrics.value(&format!("sekisho_ocsp_{label}"));
        // GETs of 1 with HEAD and 304s, nonces, POSTs, foreign ones, and what is no request.
        let answers = 1 + 10 + 1 + 7 + 3 + 5 + 2 + 4 + 6;
        assert_eq!(metrics.sum("sekisho_ocsp_answers_total"), f64::from(answers));
        assert_eq!(metrics.sum("sekisho_ocsp_responses_total"), f64::from(answers));
        assert_eq!(ocsp("responses_total{status=\"unauthorized\"}"), 4.0);
        assert_eq!(ocsp("responses_total{status=\"malformedRequest\"}"), 6.0);
        assert_eq!(ocsp("answers_total{signature=\"unsigned\"}"), 10.0);
        assert_eq!(ocsp("answers_total{signature=\"kept\"}"), 22.0);
        let by = if signs_with == SignsWith::P256 { "core" } else { "pool" };
        assert_eq!(ocsp(&format!("answers_total{{signature=\"{by}\"}}")), 7.0);
        assert_eq!(metrics.value(&format!("sekisho_signatures_total{{by=\"{by}\"}}")), 7.0);
        assert_eq!(metrics.sum("sekisho_signatures_total"), 7.0);
        assert!(metrics.value(&format!("sekisho_signature_seconds_total{{by=\"{by}\"}}")) > 0.0);
        assert!(ocsp("kept_bytes") > 0.0);
    }
}

#[test]
fn every_connection_is_accounted_for() {
    let served = Served::start();
    let mut open: Vec<Client> = (0..5).map(|_| Client::connect(served.address())).collect();
    for client in &mut open {
        client.send(get("/healthz"));
        client.response();
    }
    for _ in 0..7 {
        served.ask(get("/healthz"));
    }
    let mut broken = Client::connect(served.address());
    broken.send("this is no HTTP\r\n\r\n");
    let _ = broken.try_response(false);
    within("each connection is counted", || {
        let metrics = Metrics::of(served.server.monitor());
        let accepted = metrics.value("sekisho_http_connections_accepted_total");
        let closed = metrics.sum("sekisho_http_connections_closed_total");
        let malformed = metrics.value("sekisho_http_connections_closed_total{why=\"malformed\"}");
        let now_open = metrics.value("sekisho_http_connections_open");
        (accepted, closed, malformed, now_open) == (13.0, 8.0, 1.0, 5.0)
    });
}

#[test]
fn the_operations_listener_tells_metrics_and_health_and_nothing_else() {
    let served = Served::start();
    served.ask(post("/", &served.request(1, None)));
    let gauge = |authority: &str, value| Gauge {
        name: "sekisho_crl_set_age_seconds",
        help: "Since thisUpdate.",
        labels: vec![("authority", authority.to_owned())],
        value,
    };
    let gauges = vec![gauge("sign", 1.5), gauge("auth", 60.0)];
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let monitor = Arc::clone(served.server.monitor());
    let operations = Operations::start(listener, monitor, Box::new(move || gauges.clone())).unwrap();
    let ask = |octets: String| client::ask(operations.local_addr(), octets);

    let page = ask(get("/metrics"));
    assert_eq!(page.status, 200);
    assert_eq!(page.field("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let metrics = Metrics::read(std::str::from_utf8(&page.body).unwrap());
    assert_eq!(metrics.value("sekisho_http_requests_total{method=\"POST\"}"), 1.0);
    assert_eq!(metrics.value("sekisho_crl_set_age_seconds{authority=\"sign\"}"), 1.5);
    assert_eq!(metrics.value("sekisho_crl_set_age_seconds{authority=\"auth\"}"), 60.0);
    assert_eq!(metrics.value("sekisho_ready"), 1.0);

    assert_eq!(ask(get("/healthz")).body, b"ok\n");
    assert_eq!(ask(get("/readyz")).status, 200);
    served.reasons.lock().unwrap().push("the disk failed".to_owned());
    let unready = ask(get("/readyz"));
    assert_eq!(unready.status, 503);
    assert!(contains(&unready.body, b"the disk failed"));
    let page = ask(get("/metrics"));
    assert_eq!(Metrics::read(std::str::from_utf8(&page.body).unwrap()).value("sekisho_ready"), 0.0);

    assert_eq!(ask(get("/")).status, 404);
    assert_eq!(ask(with_method("POST", "/metrics", &[("Content-Length", "0")])).status, 405);
    // What it says of itself is not said of the public listener.
    assert_eq!(metrics.sum("sekisho_http_requests_total"), 1.0);
}

#[test]
fn a_service_tells_its_journal_its_crls_and_its_signers() {
    let service = Service::demo(100);
    let ready = service.lines.iter().find(|line| line.starts_with("Ready: ")).unwrap();
    let url = ready.split_whitespace().find(|word| word.ends_with("/metrics")).unwrap();
    let address = url.strip_prefix("http://").and_then(|rest| rest.strip_suffix("/metrics")).unwrap();
    let page = client::ask(address.parse().unwrap(), get("/metrics"));
    let metrics = Metrics::read(std::str::from_utf8(&page.body).unwrap());
    assert!(metrics.value("sekisho_journal_position") > 200.0);
    assert_eq!(metrics.value("sekisho_store_ready"), 1.0);
    for authority in ["sign", "auth"] {
        let of = |name: &str| metrics.value(&format!("sekisho_{name}{{authority=\"{authority}\"}}"));
        assert!(of("crl_set_age_seconds") < 120.0);
        assert!(of("crl_set_position") <= metrics.value("sekisho_journal_position"));
        for key in ["p256", "rsa2048"] {
            let labels = format!("authority=\"{authority}\",generation=\"1\",key=\"{key}\"");
            let left = metrics.value(&format!("sekisho_signer_seconds_left{{{labels}}}"));
            assert!((6.0..8.0).contains(&(left / 86_400.0)));
        }
    }
    // Two CA keys signed two hundred certificates, four signers and the CRLs, all on the pool.
    assert!(metrics.value("sekisho_signing_taken_total{lane=\"authority\"}") >= 204.0);
}
