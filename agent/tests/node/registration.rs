//! What a node says of itself.

use crate::rig::{Rig, until};
use leasehold_common::ids::Epoch;
use leasehold_common::node::Verdict;
use leasehold_common::time::Span;
use leasehold_common::units::MilliWatts;
use leasehold_gpu_sim::{Change, Fault};

#[tokio::test]
async fn a_node_reports_its_hardware_its_health_and_that_it_is_alive() {
    let mut rig = Rig::running().await;
    let report = until("a report", async || rig.report().await).await;
    assert_eq!(report.node.as_str(), "h001");
    assert_eq!(report.sku.unwrap().as_str(), "h200");
    assert_eq!(report.gpus.len(), 8);
    assert_eq!(report.gpus[0].uuid, rig.gpu(0));
    assert_eq!(
        report.gpus[0].default_limit_mw,
        Some(MilliWatts::from_watts(700))
    );
    assert!(report.versions.driver.is_some());

    let health = until("health", async || rig.health().await).await;
    assert_eq!(health.gpus.len(), 8);
    assert!(
        health
            .gpus
            .values()
            .all(|gpu| gpu.verdict == Verdict::Healthy)
    );
    assert_eq!(health.trouble, None);

    let live = until("a sign of life", async || rig.live().await).await;
    assert_eq!(live.boot_id, report.boot_id);
    rig.stop().await;
}

#[tokio::test]
async fn the_sign_of_life_names_the_highest_epoch_seen() {
    let mut rig = Rig::running().await;
    let mut grant = rig.grant(17, 1, &[0], Span::from_hours(1));
    grant.term.epoch = Epoch(4);
    rig.issue(&[grant]).await;
    until("epoch 4", async || {
        rig.live().await.filter(|live| live.epoch == Epoch(4))
    })
    .await;
    rig.stop().await;
}

#[tokio::test]
async fn a_node_without_a_driver_says_so_and_notices_when_it_is_there() {
    let mut rig = Rig::stopped(true).await;
    rig.apply(&Change::FailDriver {
        fault: Fault::DriverNotLoaded,
    });
    rig.start();
    let health = until("health", async || rig.health().await).await;
    assert!(health.trouble.unwrap().contains("driver not loaded"));
    assert!(
        until("a report", async || rig.report().await)
            .await
            .gpus
            .is_empty()
    );

    rig.apply(&Change::HealDriver);
    until("all GPUs", async || {
        rig.report().await.filter(|report| report.gpus.len() == 8)
    })
    .await;
    until("no more trouble", async || {
        rig.health().await.filter(|health| health.trouble.is_none())
    })
    .await;
    rig.stop().await;
}
