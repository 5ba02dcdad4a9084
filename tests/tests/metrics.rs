//! What both daemons show to whoever scrapes them.

use leasehold_gpu_sim::{Change, Slot};
use leasehold_tests::{AllInOne, Cell, Ctl, Scrape, promtool, wait_for, wait_for_value};
use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

const PUBLIC: &str = "/metrics";
const TENANTS: &str = "/metrics/tenants";

/// Twenty times what it takes: another test may have the processor.
const AT_ONCE: Duration = Duration::from_millis(50);

/// A cell with a lease of four GPUs, and one that finds no room.
fn busy() -> Cell {
    let cell = Cell::in_use(1, 2);
    let ctl = cell.ctl();
    ctl.create(&["--gpus", "4", "--for", "1h", "--wait"]);
    ctl.create(&["--nodes", "2", "--for", "1h"]);
    ctl.ok(&["power", "set-budget", "hall-1", "30kW"]);
    let reason = [("side", "tenant"), ("reason", "Capacity")];
    let pending = ("leasehold_pending_requests", reason.as_slice());
    wait_for_value(&cell.schedulers[0].metrics(), PUBLIC, pending, 1.0);
    cell
}

/// Every page there is: of the scheduler and of a node that has a lease.
fn pages(cell: &Cell, scrape: impl Fn(&Path, &str) -> Scrape) -> Vec<(String, Scrape)> {
    let serving = ("leasehold_agent_leases", [("state", "serving")]);
    let serves =
        |socket: &Path| Scrape::of(socket, PUBLIC).value(serving.0, &serving.1) == Some(1.0);
    let agent = cell.agents.iter().find(|agent| serves(&agent.metrics()));
    let agent = agent.expect("one node serves the lease").metrics();
    let scheduler = cell.schedulers[0].metrics();
    [(scheduler, PUBLIC), (agent, PUBLIC)]
        .into_iter()
        .flat_map(|(socket, _)| [(socket.clone(), PUBLIC), (socket, TENANTS)])
        .map(|(socket, page)| {
            (
                format!("{} {page}", socket.display()),
                scrape(&socket, page),
            )
        })
        .collect()
}

#[test]
fn a_scrape_is_answered_at_once_while_a_gpu_hangs() {
    let mut cell = Cell::in_use(1, 1);
    let socket = cell.agents[0].metrics();
    let age = "leasehold_agent_gpu_reading_age_seconds";
    let uuids: BTreeSet<String> = Scrape::of(&socket, PUBLIC)
        .0
        .lines()
        .filter(|line| line.starts_with(age))
        .filter_map(|line| Some(line.split("UUID=\"").nth(1)?.split('"').next()?.to_owned()))
        .collect();
    assert_eq!(uuids.len(), 8);
    cell.agents[0].change(Change::SetHung {
        gpu: Slot(1),
        hung: true,
    });
    let hung = wait_for("one GPU to hang", || {
        let scrape = Scrape::of(&socket, PUBLIC);
        let is_hung = |uuid: &&String| {
            let labels = [("UUID", uuid.as_str()), ("verdict", "unresponsive")];
            scrape.value("leasehold_agent_gpu_verdict", &labels) == Some(1.0)
        };
        uuids.iter().find(is_hung).ok_or("none does")
    });

    let mut took: Vec<Duration> = (0..200)
        .map(|_| {
            let began = Instant::now();
            Scrape::of(&socket, PUBLIC);
            began.elapsed()
        })
        .collect();
    took.sort();
    println!(
        "200 scrapes with a hung GPU: half within {:?}, 99 of 100 within {:?}, all within {:?}",
        took[99], took[197], took[199]
    );
    assert!(
        took[100] < AT_ONCE,
        "half of the scrapes took longer: {:?}",
        took[100]
    );

    let scrape = Scrape::of(&socket, PUBLIC);
    for uuid in &uuids {
        let seconds = scrape.value(age, &[("UUID", uuid)]).unwrap();
        if uuid == hung {
            assert!(seconds >= 3.0, "it answered {seconds} s ago");
        } else {
            assert!(seconds < 2.0, "{uuid} answered {seconds} s ago");
        }
    }
    let timeouts = scrape.value("leasehold_agent_driver_call_timeouts_total", &[]);
    // However often a call is asked after; one for what there is may be another.
    assert!(matches!(timeouts, Some(1.0 | 2.0)), "{timeouts:?}");
}

#[test]
fn who_has_what_stands_on_a_page_of_its_own() {
    let cell = busy();
    let scheduler = cell.schedulers[0].metrics();
    for (name, scrape) in pages(&cell, Scrape::of) {
        let names_tenants = ["acme", "account=\"", "lease=\""]
            .iter()
            .any(|word| scrape.0.contains(word));
        assert_eq!(
            names_tenants,
            name.ends_with(TENANTS),
            "{name}:\n{}",
            scrape.0
        );
    }
    let acme = [("account", "acme"), ("side", "tenant")];
    wait_for_value(&scheduler, TENANTS, ("leasehold_account_gpus", &acme), 4.0);
    let lease = [("lease", "1"), ("account", "acme"), ("class", "on-demand")];
    wait_for_value(&scheduler, TENANTS, ("leasehold_lease_info", &lease), 1.0);
}

#[test]
fn the_leader_shows_the_cell_and_a_standby_what_is_its_own() {
    let mut cell = Cell::in_use(2, 1);
    let (first, second) = (cell.schedulers[0].metrics(), cell.schedulers[1].metrics());
    let available = [("side", "none"), ("state", "available")];
    let shown = wait_for_value(&first, PUBLIC, ("leasehold_nodes", &available), 1.0);
    assert_eq!(shown.value("leasehold_leader", &[]), Some(1.0));
    let free = [("sku", "h200"), ("state", "free")];
    assert_eq!(shown.value("leasehold_gpus", &free), Some(8.0));
    let four = [("side", "tenant"), ("gpus", "4")];
    assert_eq!(shown.value("leasehold_placeable", &four), Some(2.0));
    assert!(shown.value("leasehold_etcd_revision", &[]) > Some(1.0));
    assert!(shown.value("leasehold_log_records_total", &[]) > Some(0.0));

    let standby = Scrape::of(&second, PUBLIC);
    assert_eq!(standby.value("leasehold_leader", &[]), Some(0.0));
    assert_eq!(standby.value("leasehold_log_broken", &[]), Some(0.0));
    assert_eq!(standby.value("leasehold_nodes", &[]), None);

    cell.ctl().create(&["--gpus", "1", "--for", "1h", "--wait"]);
    let waits = ("leasehold_request_wait_seconds_count", [("side", "tenant")]);
    let shown = wait_for_value(&first, PUBLIC, (waits.0, &waits.1), 1.0);
    assert_eq!(
        shown.value("leasehold_candidates_evaluated_count", &[]),
        Some(1.0)
    );
    assert!(shown.value("leasehold_schedule_pass_seconds_count", &[]) > Some(1.0));

    cell.schedulers[0].kill();
    let leader: (&str, &[(&str, &str)]) = ("leasehold_leader", &[]);
    wait_for_value(&second, PUBLIC, leader, 1.0);
    let leased = [("side", "tenant"), ("state", "leased")];
    wait_for_value(&second, PUBLIC, ("leasehold_gpus", &leased), 1.0);
}

#[test]
fn an_agent_that_falls_silent_is_named_with_how_long_ago() {
    let mut cell = Cell::in_use(1, 2);
    let scheduler = cell.schedulers[0].metrics();
    let silent: (&str, &[_]) = ("leasehold_agents", &[("presence", "silent")]);
    let shown = wait_for_value(&scheduler, PUBLIC, silent, 0.0);
    let h002 = [("node", "h002")];
    assert_eq!(
        shown.value("leasehold_agent_last_seen_seconds", &h002),
        None
    );
    cell.agents[1].kill();
    wait_for("it to be missed", || {
        let scrape = Scrape::of(&scheduler, PUBLIC);
        let seen = scrape.value("leasehold_agent_last_seen_seconds", &h002);
        seen.filter(|seconds| *seconds > 0.0).ok_or("it is not")
    });
}

#[test]
fn promtool_finds_nothing_to_say_about_any_page() {
    let cell = busy();
    for (name, scrape) in pages(&cell, Scrape::classic) {
        let checked = promtool(&["check", "metrics"], cell.dir(), &scrape.0);
        let Some(said) = checked else { return };
        assert_eq!(said, (true, String::new()), "{name}:\n{}", scrape.0);
    }
    // Its parser of OpenMetrics stands behind what makes blocks of a dump, in which every sample is dated.
    for (number, (name, scrape)) in pages(&cell, Scrape::of).into_iter().enumerate() {
        let dated = scrape.0.lines().map(|line| match line.starts_with('#') {
            true => format!("{line}\n"),
            false => format!("{line} 1795000000\n"),
        });
        let (dump, blocks) = (format!("{number}.om"), format!("{number}.blocks"));
        std::fs::write(cell.dir().join(&dump), dated.collect::<String>()).unwrap();
        let arguments = ["tsdb", "create-blocks-from", "openmetrics", &dump, &blocks];
        let (passed, said) = promtool(&arguments, cell.dir(), "").unwrap();
        assert!(passed, "{name}: {said}\n{}", scrape.0);
    }
}

#[test]
fn every_series_and_every_alert_stands_in_the_documentation_and_nothing_else_does() {
    let cell = busy();
    let exported: BTreeSet<String> = pages(&cell, Scrape::of)
        .iter()
        .flat_map(|(_, scrape)| scrape.families())
        .collect();
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../common/docs/operations.md");
    let text = std::fs::read_to_string(docs).unwrap();
    let section = text.split("\n## Metrics\n").nth(1).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `"));
    let named = rows.filter_map(|row| row.split(['`', '{']).next());
    let is_alert = |name: &&str| name.starts_with("Leasehold");
    let (alerts, series): (Vec<&str>, Vec<&str>) = named.partition(is_alert);
    let documented: BTreeSet<String> = series.into_iter().map(str::to_owned).collect();
    assert_eq!(documented, exported);

    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("../systemd/prometheus");
    let rules = std::fs::read_to_string(rules.join("leasehold.rules.yml")).unwrap();
    let raised: Vec<&str> = rules
        .lines()
        .filter_map(|line| line.split("- alert: ").nth(1))
        .collect();
    assert_eq!(alerts, raised);
}

#[test]
fn the_all_in_one_program_shows_its_scheduler_and_no_agent() {
    let cell = AllInOne::simulating("2xh200");
    let free = [("side", "none"), ("sku", "h200"), ("state", "free")];
    let shown = wait_for_value(&cell.metrics(), PUBLIC, ("leasehold_gpus", &free), 16.0);
    assert_eq!(shown.value("leasehold_leader", &[]), Some(1.0));
    assert_eq!(shown.value("leasehold_agent_ready", &[]), None);
    cell.ctl()
        .ok(&["accounts", "create", "acme", "--side", "tenant"]);
    let acme = [("account", "acme"), ("side", "tenant")];
    wait_for_value(
        &cell.metrics(),
        TENANTS,
        ("leasehold_account_gpus", &acme),
        0.0,
    );
}

/// A port that is taken costs the metrics and nothing else.
#[test]
fn an_agent_whose_port_is_taken_serves_its_leases_all_the_same() {
    let mut cell = Cell::in_use(1, 1);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = format!("metrics.listen={}", taken.local_addr().unwrap());
    cell.agents[0].kill();
    cell.agents[0].begin_with(&["--set", &listen]);
    let ctl: Ctl = cell.ctl();
    ctl.create(&["--nodes", "1", "--for", "1h", "--wait"]);
    let written = std::fs::read_to_string(cell.dir().join("h001/agent.log")).unwrap();
    assert!(
        written.contains("no metrics") && written.contains("metrics.listen"),
        "{written}"
    );
}
