//! The shipped files for Prometheus, judged by Prometheus itself.

use leasehold_tests::{Cell, Process, free_ports, promtool, wait_for};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;

fn shipped() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../systemd/prometheus")
}

#[test]
fn the_shipped_rules_and_the_sample_configuration_are_in_order() {
    for arguments in [
        ["check", "rules", "leasehold.rules.yml"],
        ["check", "config", "prometheus.yml"],
    ] {
        let Some((passed, said)) = promtool(&arguments, &shipped(), "") else {
            return;
        };
        assert!(passed, "promtool {}: {said}", arguments.join(" "));
    }
}

#[test]
fn every_alert_is_raised_by_what_it_is_for_and_by_nothing_that_comes_close() {
    let arguments = ["test", "rules", "leasehold.rules.test.yml"];
    let Some((passed, said)) = promtool(&arguments, &shipped(), "") else {
        return;
    };
    assert!(passed, "{said}");
    let read = |file| std::fs::read_to_string(shipped().join(file)).unwrap();
    let (rules, tests) = (
        read("leasehold.rules.yml"),
        read("leasehold.rules.test.yml"),
    );
    for alert in rules
        .lines()
        .filter_map(|line| line.split("- alert: ").nth(1))
    {
        let raised = format!("alertname: {alert}\n        exp_alerts:");
        assert!(tests.contains(&raised), "{alert} is raised by no test");
        let quiet = format!("alertname: {alert} }}");
        assert!(
            tests.contains(&quiet),
            "no test shows that {alert} can be quiet"
        );
    }
}

/// An answer of its HTTP API; empty while it is not there.
fn ask(port: u16, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    write!(
        stream,
        "GET /api/v1/{path} HTTP/1.1\r\nHost: p\r\nConnection: close\r\n\r\n"
    )?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text)
}

#[test]
fn prometheus_scrapes_a_cell_as_the_sample_says() {
    let found = Command::new("prometheus").arg("--version").output();
    if found.is_err() {
        println!("skipped: prometheus is not installed");
        return;
    }
    let mut cell = Cell::in_use(1, 1);
    let [agent, scheduler, own] = free_ports();
    let listen = |port: u16| format!("metrics.listen=127.0.0.1:{port}");
    cell.agents[0].kill();
    cell.agents[0].begin_with(&["--set", &listen(agent)]);
    cell.schedulers[0].kill();
    cell.schedulers[0].begin_with(&["--set", &listen(scheduler)]);

    let folder = cell.dir().join("prometheus");
    std::fs::create_dir(&folder).unwrap();
    let rules = "leasehold.rules.yml";
    std::fs::copy(shipped().join(rules), folder.join(rules)).unwrap();
    let sample = std::fs::read_to_string(shipped().join("prometheus.yml")).unwrap();
    // As in the sample, but for ports of this test and its patience.
    let config = sample
        .replace("127.0.0.1:9470", &format!("127.0.0.1:{agent}"))
        .replace("127.0.0.1:9471", &format!("127.0.0.1:{scheduler}"))
        .replace("interval: 15s", "interval: 1s");
    std::fs::write(folder.join("prometheus.yml"), config).unwrap();
    let mut command = Command::new("prometheus");
    command
        .arg(format!(
            "--config.file={}",
            folder.join("prometheus.yml").display()
        ))
        .arg(format!(
            "--storage.tsdb.path={}",
            folder.join("data").display()
        ))
        .arg(format!("--web.listen-address=127.0.0.1:{own}"));
    let log = folder.join("log");
    let _prometheus = Process::start("prometheus", &mut command, &log);

    for (query, wanted) in [
        ("up%7Bjob%3D%22leasehold-agent%22%7D", "\"1\""),
        ("up%7Bjob%3D%22leasehold-scheduler%22%7D", "\"1\""),
        ("leasehold_leader%7Bcell%3D%22cell-1%22%7D", "\"1\""),
        ("sum(leasehold_agent_gpu_verdict)", "\"8\""),
    ] {
        wait_for(&format!("{query} to be {wanted}"), || {
            let answer = ask(own, &format!("query?query={query}")).unwrap_or_default();
            let is_so = answer.contains(wanted) && answer.contains("\"value\":");
            is_so.then_some(()).ok_or(answer)
        });
    }
    wait_for("every rule to have been asked", || {
        let answer = ask(own, "rules").unwrap_or_default();
        let is_so = answer.contains("\"health\":\"ok\"")
            && !answer.contains("\"health\":\"unknown\"")
            && !answer.contains("\"health\":\"err\"");
        is_so.then_some(()).ok_or(answer)
    });
}
