use crate::matrix::{Client, Hash};
use crate::service::run;
use crate::stage::{Order, REFUSED, Task, examine};

#[test]
fn openssl_asks_everything_it_knows_and_refuses_forgeries() {
    examine(Client::OpenSsl, |orders| orders.iter().map(act).collect());
}

/// What the matrix says it lacks.
#[test]
fn openssl_has_no_option_for_get() {
    let help = run("openssl", &["ocsp", "-help"]).text();
    assert!(help.contains("-no_nonce"), "{help}");
    let option = help.lines().map(|line| line.trim_start().split(' ').next().unwrap());
    let get: Vec<_> = option.filter(|name| name.contains("get") || name.contains("method")).collect();
    assert!(get.is_empty(), "it has learnt {get:?}: put that into the matrix");
}

fn act(order: &Order) -> String {
    let Order { task, certificate, issuer } = order;
    let mut arguments = vec!["ocsp", "-issuer", issuer, "-CAfile", issuer];
    match task {
        Task::Ask { question, url } => {
            arguments.push(if question.hash == Hash::Sha1 { "-sha1" } else { "-sha256" });
            arguments.push(if question.nonce { "-nonce" } else { "-no_nonce" });
            arguments.extend(["-url", url]);
        }
        Task::Read { answer } => arguments.extend(["-no_nonce", "-respin", answer]),
    }
    arguments.extend(["-cert", certificate]);
    let said = run("openssl", &arguments).text();
    if !said.lines().any(|line| line == "Response verify OK") || said.contains("nonce") {
        return format!("{REFUSED}: {said}");
    }
    let status = said.lines().find_map(|line| line.strip_prefix(&format!("{certificate}: "))).unwrap();
    if said.contains("Reason: certificateHold") { "hold".to_owned() } else { status.to_owned() }
}
