//! etcd's own users and roles, as `leasectl etcd-roles` makes them: enough for every part to do its
//! work, and no more.

use leasehold_tests::{Agent, Cell, Etcd, Scheduler, wait_until};
use std::fs;
use std::path::Path;

#[test]
fn every_part_works_with_the_rights_it_is_given_and_no_more() {
    let mut cell = Cell::empty();
    cell.schedulers.clear();
    let etcd = &cell.etcd;
    let dir = cell.dir().to_owned();
    let inventory = dir.join("inventory.csv");
    let text = "node,hall,row,rack,domain,sku\n\
        h001,hall-1,row-1,rack-1,h001,h200\nh002,hall-1,row-1,rack-1,h002,h200\n";
    fs::write(&inventory, text).expect("the inventory can be written");
    // The users are there already, with passwords in the place of certificates.
    for user in ["root", "leasehold-scheduler", "h001", "h002"] {
        etcd.ctl(&["user", "add", &format!("{user}:{}", password(user))]);
    }
    etcd.ctl(&["user", "grant-role", "root", "root"]);
    let ctl = leasehold_tests::Ctl::new(dir.join("nobody-listens-here"));
    let file = inventory.to_str().expect("a plain path");
    let of_file = ["etcd-roles", "--cell", "test", "--from-inventory", file];
    let printed = ctl.ok(&of_file);
    assert!(
        printed.lines().all(|line| line.starts_with("etcdctl ")),
        "{printed}"
    );
    ctl.ok(&[&of_file[..], &["--apply", "--endpoints", &etcd.url()]].concat());
    etcd.ctl(&["auth", "enable"]);

    let scheduler = login(etcd, &dir, "leasehold-scheduler");
    let scheduler = Scheduler::start("ctl9", &dir.join("ctl9"), &scheduler);
    let agents = ["h001", "h002"].map(|node| {
        let place = format!("hall-1/row-1/rack-1/{node}");
        Agent::start(node, &place, &dir.join(node), &login(etcd, &dir, node))
    });
    let ctl = scheduler.ctl();
    ctl.wait_to_lead();
    ctl.ok(&["nodes", "import", file]);
    ctl.ok(&["accounts", "create", "acme", "--side", "tenant"]);
    wait_until("the GPUs to be free", || ctl.status().gpus_free == 16);
    let lease = ctl.create(&["--nodes", "2", "--for", "1h", "--wait"]);
    assert!(
        agents
            .iter()
            .all(|agent| agent.environment(lease.id).is_some())
    );

    let as_agent = format!("h001:{}", password("h001"));
    let may = |words: &[&str]| etcd.try_ctl(&[&["--user", &as_agent], words].concat());
    let key = |end: &str| format!("/leasehold/v1/test/{end}");
    may(&["get", &key("grants/h001")]).expect("an agent reads its grants");
    for foreign in [
        "health/h002",
        "grants/h001",
        "ledger/head",
        "leases/1",
        "election/leader",
    ] {
        let said = may(&["put", &key(foreign), "{}"]).expect_err(foreign);
        assert!(said.contains("permission denied"), "{foreign}: {said}");
    }
    for foreign in ["grants/h002", "leases/1", "accounts/acme"] {
        let said = may(&["get", &key(foreign)]).expect_err(foreign);
        assert!(said.contains("permission denied"), "{foreign}: {said}");
    }
}

fn password(user: &str) -> String {
    format!("secret-of-{user}")
}

/// The `[store]` table of a daemon that logs in as this user.
fn login(etcd: &Etcd, dir: &Path, user: &str) -> String {
    let file = dir.join(format!("{user}.password"));
    fs::write(&file, password(user)).expect("the password can be written");
    format!(
        "{}\n[store.login]\nuser = \"{user}\"\npassword_file = \"{}\"\n",
        etcd.settings(),
        file.display()
    )
}
