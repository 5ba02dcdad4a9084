//! What an agent does without its store, and after it was away itself.

use crate::rig::{Rig, until};
use leasehold_common::grant::AckState;
use leasehold_common::keys::{Key, KeySpace};
use leasehold_common::time::Span;
use leasehold_store::Txn;
use std::fs;

const HOUR: Span = Span::from_hours(1);

#[tokio::test]
async fn a_lease_goes_on_and_ends_by_the_clock_while_the_store_is_away() {
    let mut rig = Rig::running().await;
    rig.issue(&[rig.grant(17, 1, &[0], HOUR)]).await;
    rig.acked(17, AckState::Serving).await;
    rig.channel.connect(false);
    rig.clock.advance(Span::from_mins(59));
    assert!(rig.env_file(17).exists());
    rig.clock.advance(Span::from_mins(1));
    until("the end of access", async || {
        (!rig.env_file(17).exists()).then_some(())
    })
    .await;
    // What happened meanwhile is told when there is somebody to tell.
    rig.channel.connect(true);
    let returned = rig.acked(17, AckState::Returned).await;
    assert_eq!(returned.meter.gpu_seconds, 3600);
    rig.stop().await;
}

#[tokio::test]
async fn a_restarted_agent_serves_what_is_on_disk_before_anybody_answers() {
    let mut rig = Rig::running().await;
    rig.issue(&[rig.grant(17, 1, &[0], HOUR)]).await;
    rig.acked(17, AckState::Serving).await;
    rig.stop().await;
    // A reboot empties /run, and leaves a stranger there.
    fs::remove_file(rig.env_file(17)).unwrap();
    fs::write(rig.env_file(3), "LEASEHOLD_LEASE_ID=3\n").unwrap();

    rig.channel.connect(false);
    rig.start();
    until("the environment again", async || {
        (rig.env_file(17).exists() && !rig.env_file(3).exists()).then_some(())
    })
    .await;
    rig.clock.advance(HOUR);
    until("the end of access", async || {
        (!rig.env_file(17).exists()).then_some(())
    })
    .await;
    rig.channel.connect(true);
    rig.acked(17, AckState::Returned).await;
    rig.stop().await;
}

#[tokio::test]
async fn a_lease_that_ended_while_the_agent_was_away_is_returned_and_not_served_again() {
    let mut rig = Rig::running().await;
    rig.issue(&[rig.grant(17, 1, &[0], HOUR)]).await;
    rig.acked(17, AckState::Serving).await;
    rig.stop().await;
    rig.clock.advance(Span::from_hours(2));
    rig.start();
    let returned = rig.acked(17, AckState::Returned).await;
    assert_eq!(returned.meter.gpu_seconds, 3600);
    rig.stop().await;
    rig.start();
    rig.acked(17, AckState::Returned).await;
    assert!(!rig.env_file(17).exists());
    rig.stop().await;
}

#[tokio::test]
async fn everything_is_said_again_when_contact_is_back() {
    let mut rig = Rig::running().await;
    rig.issue(&[rig.grant(17, 1, &[0], HOUR)]).await;
    rig.acked(17, AckState::Serving).await;
    rig.channel.connect(false);
    // The store is restored from a time before this node.
    let keys = KeySpace::new(&"c1".parse().unwrap());
    let node = || "h001".parse().unwrap();
    let deletes = [Key::Node(node()), Key::Health(node()), Key::Acks(node())]
        .iter()
        .map(|key| keys.key(key))
        .collect();
    let txn = Txn {
        deletes,
        ..Txn::default()
    };
    rig.store.commit(txn).await.unwrap();

    rig.channel.connect(true);
    until("the report again", async || rig.report().await).await;
    until("health again", async || rig.health().await).await;
    rig.acked(17, AckState::Serving).await;
    rig.stop().await;
}

#[tokio::test]
async fn nothing_is_acknowledged_that_cannot_be_kept() {
    let mut rig = Rig::running().await;
    until("a report", async || rig.report().await).await;
    // Where the grants should go there is a file.
    let grants = rig.grant_file(17);
    let folder = grants.parent().unwrap();
    fs::remove_dir(folder).unwrap();
    fs::write(folder, "").unwrap();
    rig.issue(&[rig.grant(17, 1, &[0], HOUR)]).await;
    until("trouble", async || {
        rig.health()
            .await?
            .trouble
            .filter(|trouble| trouble.contains("cannot write"))
    })
    .await;
    let acked = rig
        .acks()
        .await
        .unwrap_or_else(|| panic!("no answer at all"));
    assert!(acked.leases.is_empty());

    fs::remove_file(folder).unwrap();
    fs::create_dir(folder).unwrap();
    rig.acked(17, AckState::Serving).await;
    rig.stop().await;
}

#[tokio::test]
async fn a_second_agent_on_the_same_state_is_refused() {
    let mut rig = Rig::running().await;
    until("a report", async || rig.report().await).await;
    let state = rig
        .grant_file(1)
        .parent()
        .unwrap()
        .parent()
        .unwrap()
        .to_owned();
    let refused = leasehold_agent::disk::GrantFiles::open(&state).unwrap_err();
    assert!(refused.to_string().starts_with("cannot lock "), "{refused}");
    rig.stop().await;
}

#[tokio::test]
async fn an_agent_begins_before_its_store_is_open() {
    let mut rig = Rig::running().await;
    rig.issue(&[rig.grant(17, 1, &[0], HOUR)]).await;
    rig.acked(17, AckState::Serving).await;
    rig.stop().await;
    rig.opened.send_replace(None);
    rig.start();
    rig.clock.advance(HOUR);
    until("the end of access", async || {
        (!rig.env_file(17).exists()).then_some(())
    })
    .await;
    rig.opened.send_replace(Some(rig.store.clone()));
    rig.acked(17, AckState::Returned).await;
    rig.stop().await;
}

#[tokio::test]
async fn a_damaged_file_is_named_and_left_and_the_other_leases_go_on() {
    let mut rig = Rig::running().await;
    rig.issue(&[rig.grant(17, 1, &[0], HOUR)]).await;
    rig.acked(17, AckState::Serving).await;
    rig.stop().await;
    fs::write(rig.grant_file(16), "{\"version\":").unwrap();
    // What a crash leaves behind while a file is being replaced.
    fs::write(rig.grant_file(18).with_extension("new"), "{").unwrap();
    rig.start();
    let trouble = until("trouble", async || rig.health().await?.trouble).await;
    assert!(
        trouble.contains("16.json: ") && !trouble.contains("18.json"),
        "{trouble}"
    );
    assert!(rig.grant_file(16).exists());
    rig.acked(17, AckState::Serving).await;
    rig.stop().await;
}
