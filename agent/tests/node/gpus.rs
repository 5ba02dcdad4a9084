//! What a node says of its GPUs.

use crate::rig::{Rig, until};
use leasehold_agent::clock::Clock as _;
use leasehold_common::grant::{AckState, RefusalReason};
use leasehold_common::node::{GpuHealth, HealthReason, Reading, Verdict, Word, WordKind};
use leasehold_common::time::Span;
use leasehold_common::units::Bytes;
use leasehold_gpu_sim::{Call, Change, EccSeverity, Fault, ProcessKind, Slot};
use std::collections::BTreeMap;

/// The health of one GPU, once it is as wanted.
async fn health(rig: &Rig, slot: usize, what: &str, wanted: fn(&GpuHealth) -> bool) -> GpuHealth {
    let uuid = rig.gpu(slot);
    until(what, async || {
        let report = rig.health().await?;
        report.gpus.get(&uuid).filter(|gpu| wanted(gpu)).cloned()
    })
    .await
}

#[tokio::test]
async fn one_failing_call_costs_that_reading_and_nothing_else() {
    let mut rig = Rig::stopped(true).await;
    rig.apply(&Change::FailCall {
        gpu: Slot(3),
        call: Call::PowerDraw,
        fault: Fault::Unknown,
    });
    rig.apply(&Change::FailCall {
        gpu: Slot(3),
        call: Call::Serial,
        fault: Fault::NotSupported,
    });
    rig.start();
    let sick = health(&rig, 3, "health", |_| true).await;
    assert_eq!(sick.power_mw, Reading::Failed("unknown error".into()));
    assert!(sick.temperature.value().is_some());
    assert_eq!(sick.verdict, Verdict::Healthy);
    let report = until("a report", async || rig.report().await).await;
    assert_eq!(report.gpus[3].serial, None);
    assert!(report.gpus[2].serial.is_some());
    rig.stop().await;
}

#[tokio::test]
async fn each_fault_has_its_verdict() {
    let mut rig = Rig::running().await;
    health(&rig, 0, "all GPUs seen", |_| true).await;
    rig.apply(&Change::LoseGpu { gpu: Slot(0) });
    rig.apply(&Change::SetHung {
        gpu: Slot(1),
        hung: true,
    });
    rig.apply(&Change::InjectEcc {
        gpu: Slot(2),
        severity: EccSeverity::Uncorrected,
        count: 1,
    });
    rig.apply(&Change::RemoveGpu { gpu: Slot(3) });

    let sick = |gpu: &GpuHealth| !gpu.verdict.can_be_let();
    let lost = health(&rig, 0, "a lost GPU", sick).await;
    assert_eq!(
        (lost.verdict, lost.reasons),
        (Verdict::Lost, vec![HealthReason::GpuLost])
    );
    let hung = health(&rig, 1, "a hung GPU", sick).await;
    assert_eq!(hung.verdict, Verdict::Unresponsive);
    let ecc = health(&rig, 2, "memory errors", sick).await;
    assert_eq!(ecc.reasons, [HealthReason::UncorrectedEcc]);
    let gone = health(&rig, 3, "a GPU that is gone", sick).await;
    assert_eq!(gone.reasons, [HealthReason::GpuMissing]);
    let well = health(&rig, 4, "the others", |_| true).await;
    assert_eq!(well.verdict, Verdict::Healthy);

    rig.apply(&Change::SetHung {
        gpu: Slot(1),
        hung: false,
    });
    // It is believed once it has answered for a while.
    let uuid = rig.gpu(1);
    until("the GPU back", async || {
        rig.clock.advance(Span::from_secs(1));
        let report = rig.health().await?;
        (report.gpus[&uuid].verdict == Verdict::Healthy).then_some(())
    })
    .await;
    rig.stop().await;
}

#[tokio::test]
async fn a_process_that_no_lease_explains_occupies_its_gpu() {
    let mut rig = Rig::stopped(true).await;
    let process = |gpu: u32, pid: u32| Change::StartProcess {
        gpu: Slot(gpu),
        pid,
        kind: ProcessKind::Compute,
        memory: Bytes::from_gib(8),
    };
    rig.apply(&process(5, 4711));
    rig.start();
    let occupied = health(&rig, 5, "an occupied GPU", |gpu| {
        !gpu.unexplained.is_empty()
    })
    .await;
    assert_eq!(occupied.unexplained[0].pid, 4711);
    assert_eq!(occupied.unexplained[0].memory, Some(Bytes::from_gib(8)));

    rig.issue(&[
        rig.grant(17, 1, &[5], Span::from_hours(1)),
        rig.grant(18, 1, &[6], Span::from_hours(1)),
    ])
    .await;
    let refused = rig.acked(17, AckState::Refused).await;
    assert_eq!(refused.refused, Some(RefusalReason::Occupied));

    // On a GPU that is let, whoever is there is the holder.
    rig.acked(18, AckState::Serving).await;
    rig.apply(&process(6, 4712));
    rig.apply(&Change::StopProcess {
        gpu: Slot(5),
        pid: 4711,
    });
    rig.acked(17, AckState::Serving).await;
    let report = until("nothing unexplained", async || {
        rig.health().await.filter(|health| !health.is_occupied())
    })
    .await;
    assert!(report.gpus[&rig.gpu(6)].unexplained.is_empty());

    // Left behind at the end, it keeps the GPU from being let.
    rig.clock.advance(Span::from_hours(1));
    rig.acked(18, AckState::Returned).await;
    assert!(rig.health().await.unwrap().is_occupied());
    rig.stop().await;
}

#[tokio::test]
async fn what_operators_say_is_heeded_until_it_is_withdrawn() {
    let mut rig = Rig::running().await;
    rig.apply(&Change::InjectEcc {
        gpu: Slot(2),
        severity: EccSeverity::Uncorrected,
        count: 1,
    });
    health(&rig, 2, "memory errors", |gpu| !gpu.verdict.can_be_let()).await;
    let word = |says| Word {
        says,
        verdict: None,
        reason: None,
        by: "1000".into(),
        why: "burnt in".into(),
        at: rig.clock.now(),
        until: rig.clock.now() + Span::from_hours(1),
    };
    let healthy = Word {
        verdict: Some(Verdict::Healthy),
        ..word(WordKind::Override)
    };
    let of_gpu = |words: Vec<Word>| BTreeMap::from([(rig.gpu(2), words)]);
    // A word that only a later version knows takes nothing away from the others.
    let words = vec![word(WordKind::Other("bless".into())), healthy];
    rig.issue_with(&[], of_gpu(words)).await;
    let let_again = health(&rig, 2, "the override", |gpu| gpu.verdict.can_be_let()).await;
    assert_eq!(let_again.findings[0].reason, HealthReason::OperatorOverride);
    assert!(
        !let_again.action.is_harmless(),
        "what is to be done is told"
    );

    let withdrawn = vec![word(WordKind::Withdraw)];
    rig.issue_with(&[], of_gpu(withdrawn)).await;
    health(&rig, 2, "the agent's own verdict", |gpu| {
        !gpu.verdict.can_be_let()
    })
    .await;
    rig.stop().await;
}
