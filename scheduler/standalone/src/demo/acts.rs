//! The steps of the demo, each with what it claims and the check that it is so.

use super::stage::Stage;
use anyhow::{Context as _, Result, ensure};
use leasehold_common::hostlist;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use tokio::process::{Child, Command};

/// Requests that are on their way when the cell is killed.
const IN_THE_AIR: usize = 24;

pub(super) async fn accounts(stage: &Stage) -> Result<()> {
    stage.headline("Three accounts: the owner's own work, and two tenants");
    for args in [
        &["accounts", "create", "research", "--side", "internal"][..],
        &[
            "accounts",
            "create",
            "acme",
            "--side",
            "tenant",
            "--quota-gpus",
            "128",
        ],
        &["accounts", "create", "globex", "--side", "tenant"],
    ] {
        stage.ctl(args).await?.expect(0)?;
    }
    Ok(())
}

/// Gives the lease's number.
pub(super) async fn gang_in_one_domain(stage: &Stage) -> Result<u64> {
    stage.headline("A gang in one NVLink domain: all 18 trays of an NVL72 rack, or nothing");
    let create = "leases create --account acme --class committed --nodes 18 --sku gb200 \
                  --within domain --for 30d --wait";
    let ran = stage.ctl(&words(create)).await?.expect(0)?;
    let id = lease_id(&ran.out)?;
    let lease = stage.ask(&["leases", "show", &id.to_string()]).await?;
    let nodes = hostlist::expand(lease["nodes"].as_str().unwrap_or_default())?;
    ensure!(nodes.len() == 18, "the gang has {} nodes", nodes.len());
    let racks: BTreeSet<&str> = nodes
        .iter()
        .map(|node| {
            if node.as_str() <= "gb200-018" {
                "first"
            } else {
                "second"
            }
        })
        .collect();
    ensure!(racks.len() == 1, "the gang is spread over domains");
    Ok(id)
}

pub(super) async fn single_gpus(stage: &Stage) -> Result<()> {
    stage.headline("Single GPUs: packed onto one node, which serves this tenant alone");
    let create = "leases create --account globex --class on-demand --gpus 2 --sku h200 --for 4h \
                  --wait -o name";
    stage.ctl(&words(create)).await?.expect(0)?;
    stage.ctl(&words(create)).await?.expect(0)?;
    let list = stage.ask(&words("leases ls --account globex")).await?;
    let nodes: BTreeSet<&str> = items(&list).filter_map(|l| l["nodes"].as_str()).collect();
    ensure!(nodes.len() == 1, "two pairs of GPUs are on {nodes:?}");
    Ok(())
}

pub(super) async fn one_that_waits(stage: &Stage) -> Result<()> {
    stage.headline("One that must wait: all 16 nodes, while a tenant is on one of them");
    let create = "leases create --account research --class internal-critical --nodes 16 \
                  --sku h200 --for 2h -o name";
    let ran = stage.ctl(&words(create)).await?.expect(0)?;
    let id = lease_id(&ran.out)?;
    stage.ctl(&["explain", &id.to_string()]).await?.expect(0)?;
    let lease = stage.ask(&["leases", "show", &id.to_string()]).await?;
    ensure!(
        lease["state"] == "requested" && lease["reason"].is_string(),
        "it does not wait"
    );
    ensure!(
        lease["earliest"].is_string(),
        "nobody says from when: {lease}"
    );
    // Withdrawn, so that what follows finds room.
    stage
        .ctl(&["leases", "cancel", &id.to_string()])
        .await?
        .expect(0)?;
    Ok(())
}

pub(super) async fn an_impossible_one(stage: &Stage) -> Result<()> {
    stage.headline("An impossible one: no domain has 19 trays, so it is refused and not queued");
    let before = stage.ask(&words("leases ls --all")).await?;
    let create = "leases create --account acme --class committed --nodes 19 --sku gb200 \
                  --within domain --for 1d";
    let ran = stage.ctl(&words(create)).await?.expect(6)?;
    ensure!(
        ran.err.contains("never-fits"),
        "it is refused for another reason"
    );
    let after = stage.ask(&words("leases ls --all")).await?;
    ensure!(
        items(&before).count() == items(&after).count(),
        "a refused request left something"
    );
    println!("  exit code 6, and nothing changed");
    Ok(())
}

pub(super) async fn a_retry(stage: &Stage) -> Result<()> {
    stage.headline("A retry: the same request again, because its answer might have been lost");
    let create = "leases create --account acme --class on-demand --nodes 2 --sku h200 \
                  --within rack --for 6h --request-id nightly-7 -o name";
    let first = lease_id(&stage.ctl(&words(create)).await?.expect(0)?.out)?;
    let again = lease_id(&stage.ctl(&words(create)).await?.expect(0)?.out)?;
    ensure!(
        first == again,
        "the retry made lease {again} beside lease {first}"
    );
    println!("  one lease, answered twice");
    Ok(())
}

pub(super) async fn a_failing_gpu(stage: &Stage, gang: u64) -> Result<()> {
    stage.headline("A GPU falls off the bus under the gang: the lease runs on, and says so");
    let lease = stage.ask(&["leases", "show", &gang.to_string()]).await?;
    let nodes = hostlist::expand(lease["nodes"].as_str().unwrap_or_default())?;
    let node = nodes.get(4).context("the gang has nodes")?;
    stage.inject(node, r#"{"lose_gpu":{"gpu":2}}"#).await?;
    let degraded = |lease: &Value| {
        let kinds = lease["conditions"].as_array().into_iter().flatten();
        kinds
            .into_iter()
            .any(|condition| condition["kind"] == "Degraded")
    };
    let lease = stage.lease_becomes(gang, "degraded", degraded).await?;
    ensure!(
        lease["state"] == "active",
        "the lease did not run on: {lease}"
    );
    stage
        .ctl(&["gpus", "ls", "--node", node])
        .await?
        .expect(0)?;
    stage
        .ctl(&["leases", "show", &gang.to_string()])
        .await?
        .expect(0)?;
    Ok(())
}

pub(super) async fn killed_in_the_middle(stage: &mut Stage) -> Result<()> {
    stage.headline("kill -9 with two dozen requests in the air, and nothing is lost");
    let before = leases_by_id(stage).await?;
    let keys: Vec<String> = (0..IN_THE_AIR).map(|n| format!("burst-{n}")).collect();
    let answered = burst(stage, &keys).await?;
    let acknowledged = answered.iter().flatten().count();
    println!("$ kill -9 %1      # {acknowledged} of {IN_THE_AIR} had been answered");
    stage.start_cell().await?;
    let after = leases_by_id(stage).await?;
    for (id, lease) in &before {
        let now = after
            .get(id)
            .with_context(|| format!("lease {id} is lost"))?;
        ensure!(
            now["gpus"] == lease["gpus"],
            "lease {id} has other GPUs than before"
        );
    }
    for id in answered.iter().flatten() {
        ensure!(
            after.contains_key(id),
            "lease {id} was acknowledged and is lost"
        );
    }
    // Whoever got no answer asks again, with the same key; whoever got one, gets it again.
    let mut ids = BTreeSet::new();
    for (key, answer) in keys.iter().zip(&answered) {
        let ran = stage.quietly(&words(&request(key))).await?.expect(0)?;
        let id = lease_id(&ran.out)?;
        ensure!(
            answer.is_none_or(|before| before == id),
            "{key} became another lease"
        );
        ensure!(ids.insert(id), "two requests became lease {id}");
    }
    no_gpu_twice(stage).await?;
    println!(
        "  {} leases from before are where they were; {acknowledged} acknowledged ones are there; \
         {IN_THE_AIR} requests\n  sent again became {} leases, none of them twice; no GPU is in \
         two leases",
        before.len(),
        ids.len()
    );
    Ok(())
}

/// Sends all requests at once and kills the cell when about half are answered. Gives the leases that
/// were acknowledged.
async fn burst(stage: &mut Stage, keys: &[String]) -> Result<Vec<Option<u64>>> {
    let first_half = keys.len() / 2;
    let mut answered: Vec<Option<u64>> = vec![None; keys.len()];
    for (key, answer) in keys[..first_half].iter().zip(&mut answered) {
        let ran = stage.quietly(&words(&request(key))).await?.expect(0)?;
        *answer = Some(lease_id(&ran.out)?);
    }
    println!(
        "$ for n in $(seq {}); do leasectl {} & done",
        keys.len(),
        request("burst-$n")
    );
    let mut sent = Vec::new();
    for key in &keys[first_half..] {
        sent.push(spawn(stage, key)?);
    }
    // The first answer is the sign that the others are on their way.
    let mut sent = sent.into_iter().map(Child::wait_with_output);
    let first = sent.next().context("something was sent")?.await?;
    stage.kill_cell().await?;
    let mut outputs = vec![first];
    for rest in sent {
        outputs.push(rest.await?);
    }
    for (output, answer) in outputs.iter().zip(&mut answered[first_half..]) {
        if output.status.success() {
            *answer = Some(lease_id(&String::from_utf8_lossy(&output.stdout))?);
        }
    }
    Ok(answered)
}

fn spawn(stage: &Stage, key: &str) -> Result<Child> {
    let child = Command::new(std::env::current_exe()?)
        .args(["ctl", "--socket"])
        .arg(stage.socket())
        .args(words(&request(key)))
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    Ok(child)
}

fn request(key: &str) -> String {
    format!(
        "leases create --account globex --class on-demand --gpus 1 --sku h200 --for 8h \
         --request-id {key} -o name"
    )
}

async fn no_gpu_twice(stage: &Stage) -> Result<()> {
    let mut holders: BTreeMap<String, String> = BTreeMap::new();
    for (id, lease) in leases_by_id(stage).await? {
        let nodes = lease["gpus"].as_object().into_iter().flatten();
        for gpu in nodes.flat_map(|(_, gpus)| gpus.as_array().into_iter().flatten()) {
            let before = holders.insert(gpu.to_string(), id.to_string());
            ensure!(
                before.is_none(),
                "{gpu} is in lease {id} and in lease {before:?}"
            );
        }
    }
    Ok(())
}

pub(super) async fn a_flipped_byte(stage: &Stage) -> Result<()> {
    stage.headline("The log verifies; one flipped byte in a copy of it is caught");
    let log = stage.state().join("placements.jsonl");
    let good = log.to_string_lossy().into_owned();
    stage.ctl(&["log", "verify", &good]).await?.expect(0)?;
    let mut bytes = fs::read(&log)?;
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    let copy = stage.state().join("copy.jsonl");
    fs::write(&copy, bytes)?;
    println!("  # a copy with bit 0 of byte {middle} flipped");
    stage
        .ctl(&["log", "verify", &copy.to_string_lossy()])
        .await?
        .expect(1)?;
    Ok(())
}

async fn leases_by_id(stage: &Stage) -> Result<BTreeMap<u64, Value>> {
    let list = stage.ask(&["leases", "ls"]).await?;
    Ok(items(&list)
        .filter_map(|l| Some((l["id"].as_u64()?, l.clone())))
        .collect())
}

fn items(list: &Value) -> impl Iterator<Item = &Value> {
    list["items"].as_array().into_iter().flatten()
}

fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

/// The number in what `leases create` prints: `lease/17`, `17`, or a block that begins `lease 17`.
fn lease_id(out: &str) -> Result<u64> {
    let digits = |word: &str| word.trim_start_matches("lease/").parse().ok();
    out.split_whitespace()
        .find_map(digits)
        .with_context(|| format!("no lease number in {out:?}"))
}
