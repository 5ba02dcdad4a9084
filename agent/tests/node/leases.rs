//! A lease on one node, from its grant to its return.

use crate::rig::{Rig, until};
use leasehold_common::grant::{AckState, Order, RefusalReason};
use leasehold_common::ids::{Generation, LeaseId};
use leasehold_common::keys::Key;
use leasehold_common::time::Span;
use leasehold_gpu_sim::{Change, Slot};
use std::fs;

const HOUR: Span = Span::from_hours(1);

#[tokio::test]
async fn a_lease_is_served_metered_and_returned_at_its_end() {
    let mut rig = Rig::running().await;
    rig.apply(&Change::SetLoad {
        gpu: Slot(2),
        permille: 1000,
    });
    rig.issue(&[rig.grant(17, 1, &[2, 3], HOUR)]).await;
    rig.acked(17, AckState::Serving).await;
    assert!(rig.grant_file(17).exists());
    let env = fs::read_to_string(rig.env_file(17)).unwrap();
    let uuids = format!("{},{}", rig.gpu(2), rig.gpu(3));
    for line in [
        "LEASEHOLD_LEASE_ID=17",
        "LEASEHOLD_ACCOUNT=acme",
        "LEASEHOLD_GPUS=2,3",
        "LEASEHOLD_END=2026-11-22T10:00:00.000Z",
        &format!("CUDA_VISIBLE_DEVICES={uuids}"),
        &format!("NVIDIA_VISIBLE_DEVICES={uuids}"),
    ] {
        assert!(env.lines().any(|l| l == line), "{line} in\n{env}");
    }

    // Half the time passes and is metered before the end does.
    rig.clock.advance(Span::from_mins(30));
    let metered = until("half an hour on the meter", async || {
        let acks = rig.acks().await?;
        let meter = acks.leases.get(&LeaseId(17))?.meter;
        (meter.gpu_seconds >= 3600).then_some(meter)
    })
    .await;

    rig.clock.advance(Span::from_mins(30));
    let returned = rig.acked(17, AckState::Returned).await;
    assert_eq!(returned.meter.gpu_seconds, 7200);
    assert!(returned.meter.energy_mj >= metered.energy_mj);
    assert!(returned.meter.energy_mj.0 > 0);
    assert!(!rig.env_file(17).exists());
    assert!(!rig.grant_file(17).exists());

    // The answer stays as long as the grant does.
    rig.issue(&[]).await;
    until("no more answer", async || {
        rig.acks().await.filter(|acks| acks.leases.is_empty())
    })
    .await;
    rig.stop().await;
}

#[tokio::test]
async fn a_grant_is_accepted_before_its_time_and_served_from_then_on() {
    let mut rig = Rig::running().await;
    let mut grant = rig.grant(17, 1, &[0], HOUR);
    grant.starts_at = grant.starts_at + Span::from_mins(10);
    rig.issue(&[grant]).await;
    rig.acked(17, AckState::Accepted).await;
    assert!(!rig.env_file(17).exists());
    rig.clock.advance(Span::from_mins(10));
    rig.acked(17, AckState::Serving).await;
    assert!(rig.env_file(17).exists());
    rig.stop().await;
}

#[tokio::test]
async fn an_order_to_end_ends_before_the_time() {
    let mut rig = Rig::running().await;
    let mut grant = rig.grant(17, 1, &[0], HOUR);
    rig.issue(std::slice::from_ref(&grant)).await;
    rig.acked(17, AckState::Serving).await;
    grant.order = Order::End;
    grant.term.generation = Generation(2);
    rig.issue(&[grant]).await;
    let returned = rig.acked(17, AckState::Returned).await;
    assert_eq!(returned.term.generation, Generation(2));
    assert!(!rig.env_file(17).exists());
    rig.stop().await;
}

#[tokio::test]
async fn a_refused_grant_says_why_and_leaves_nothing_on_disk() {
    let mut rig = Rig::running().await;
    let mut foreign = rig.grant(17, 1, &[0], HOUR);
    foreign.node = "h002".parse().unwrap();
    let mut unknown = rig.grant(18, 1, &[0], HOUR);
    unknown.gpus = vec!["GPU-nowhere".parse().unwrap()];
    rig.issue(&[foreign, unknown, rig.grant(19, 1, &[0], HOUR)])
        .await;
    let refused = rig.acked(17, AckState::Refused).await;
    assert_eq!(refused.refused, Some(RefusalReason::ForeignNode));
    assert_eq!(refused.detail, "for node h002, this is node h001");
    let refused = rig.acked(18, AckState::Refused).await;
    assert_eq!(refused.refused, Some(RefusalReason::UnknownGpu));
    rig.acked(19, AckState::Serving).await;
    assert!(!rig.grant_file(17).exists() && !rig.grant_file(18).exists());
    rig.stop().await;
}

#[tokio::test]
async fn grants_that_cannot_be_read_change_nothing_and_are_told() {
    let mut rig = Rig::running().await;
    let grant = rig.grant(17, 1, &[0], HOUR);
    rig.issue(std::slice::from_ref(&grant)).await;
    rig.acked(17, AckState::Serving).await;
    let key = Key::Grants("h001".parse().unwrap());
    rig.put(key, b"not a record".to_vec()).await;
    until("trouble", async || {
        rig.health()
            .await?
            .trouble
            .filter(|trouble| trouble.contains("grants cannot be read"))
    })
    .await;
    assert!(rig.env_file(17).exists());
    rig.issue(&[grant]).await;
    until("no more trouble", async || {
        rig.health().await.filter(|health| health.trouble.is_none())
    })
    .await;
    rig.acked(17, AckState::Serving).await;
    rig.stop().await;
}
