use crate::matrix::Client;
use crate::service::run;
use crate::stage::{Order, REFUSED, Task, examine};

#[test]
fn gnutls_asks_everything_it_knows_and_refuses_forgeries() {
    examine(Client::GnuTls, |orders| orders.iter().map(act).collect());
}

/// What the matrix says it lacks.
#[test]
fn gnutls_has_no_option_for_get_nor_for_the_hash() {
    let help = run("ocsptool", &["--help"]).text();
    assert!(help.contains("--nonce"), "{help}");
    let words = help.split_whitespace().filter(|word| word.starts_with("--"));
    let learnt: Vec<_> = words
        .filter(|word| ["get", "method", "hash", "digest"].iter().any(|new| word.contains(new)))
        .collect();
    assert!(learnt.is_empty(), "it has learnt {learnt:?}: put that into the matrix");
}

fn act(order: &Order) -> String {
    let Order { task, certificate, issuer } = order;
    let what = match task {
        Task::Ask { question, url } => {
            vec![format!("--ask={url}"), format!("--{}nonce", if question.nonce { "" } else { "no-" })]
        }
        Task::Read { answer } => vec!["--verify-response".to_owned(), format!("--load-response={answer}")],
    };
    let mut arguments: Vec<&str> = what.iter().map(String::as_str).collect();
    arguments.extend(["--load-issuer", issuer, "--load-trust", issuer, "--load-cert", certificate]);
    let ran = run("ocsptool", &arguments);
    let said = ran.text();
    if ran.code != Some(0) || !said.contains("Verifying OCSP Response: Success.") {
        return format!("{REFUSED}: {said}");
    }
    let status = said.lines().find_map(|line| line.trim_start().strip_prefix("Certificate Status: "));
    status.unwrap().to_owned()
}
