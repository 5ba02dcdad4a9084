//! The settings, as a process reads them.

use std::fs;
use std::process::{Command, Output};

fn check(text: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("agent.toml");
    fs::write(&path, text).unwrap();
    Command::new(env!("CARGO_BIN_EXE_leasehold-agent"))
        .arg("--config")
        .arg(&path)
        .arg("--check-config")
        .args(arguments)
        .envs(variables.iter().copied())
        .output()
        .unwrap()
}

const GOOD: &str = r#"
cell = "c1"
node = "h001"
sku = "h200"
topology = "hall-1/row-1/rack-01/h001"
[store]
kind = "etcd"
endpoints = ["http://127.0.0.1:2379"]
[gpu]
poll = "1s"
[liveness]
ttl = "30s"
"#;

#[test]
fn settings_in_order_are_said_to_be() {
    let output = check(GOOD, &[], &[]);
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn every_mistake_is_told_at_once_with_its_place() {
    let bad = GOOD
        .replace("\"c1\"", "\"Cell 1\"")
        .replace("hall-1/row-1/rack-01/h001", "hall-1/rack-01")
        .replace("30s", "1s")
        + "tll = \"5s\"\n";
    let listen = "metrics.listen=10.0.0.7:9470";
    let arguments = ["--set", "gpu.poll=1h", "--set", listen];
    let output = check(&bad, &arguments, &[("LEASEHOLD_AGENT_SKU", "H 200")]);
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8(output.stderr).unwrap();
    for part in [
        "7 mistakes",
        "agent.toml: cell: cell \"Cell 1\" is not valid",
        "agent.toml: topology: topology path \"hall-1/rack-01\" is not valid",
        "agent.toml: liveness.tll: unknown field `tll`",
        "liveness.ttl: is 1s, allowed is 3s to 5m",
        "variable LEASEHOLD_AGENT_SKU: sku: sku \"H 200\" is not valid",
        "flag --set: gpu.poll: is 1h, allowed is 100ms to 20s",
        "flag --set: metrics.listen: is \"10.0.0.7:9470\": others on the network",
    ] {
        assert!(told.contains(part), "{part} in {told}");
    }
}

#[test]
fn a_cell_must_be_named() {
    let output = check(&GOOD.replace("cell = \"c1\"", ""), &[], &[]);
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("cell: must be set and is not"), "{told}");
    // A flag or a variable will do.
    let named = check(
        &GOOD.replace("cell = \"c1\"", ""),
        &["--set", "cell=c1"],
        &[],
    );
    assert!(named.status.success());
}

#[test]
fn rules_of_ones_own_are_checked_when_they_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("health.toml");
    let text = format!("{GOOD}[health]\nrules = {path:?}\n");
    let built_in = leasehold_agent_core::verdict::Rules::built_in_text();

    fs::write(&path, built_in).unwrap();
    assert!(check(&text, &[], &[]).status.success());

    fs::write(&path, built_in.replace("at_most = 0", "at_most = 400")).unwrap();
    let output = check(&text, &[], &[]);
    assert!(!output.status.success());
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    let wanted = "rule \"too-hot\": at_most is 400; allowed: -50 to 100";
    assert!(
        told.contains("health.rules: ") && told.contains(wanted),
        "{told}"
    );

    fs::remove_file(&path).unwrap();
    let told = String::from_utf8_lossy(&check(&text, &[], &[]).stderr).into_owned();
    assert!(told.contains("No such file"), "{told}");
}
