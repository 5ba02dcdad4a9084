//! What the driver and the kernel tell by themselves, what becomes of it, and that a restart forgets nothing.

use crate::rig::{Rig, until};
use leasehold_agent::kernel_log::{LogFrom, LogSource};
use leasehold_common::node::{Action, GpuHealth, HealthReason, Verdict};
use leasehold_common::time::{Span, Timestamp};
use leasehold_gpu_sim::{Change, Fault, Slot};
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::PathBuf;

/// The PCI address of a GPU as the kernel writes it: without its function.
fn kernel_address(rig: &Rig, slot: usize) -> String {
    rig.node.look(|node| {
        let at = node.gpus()[slot].identity().pci;
        format!("{:04x}:{:02x}:{:02x}", at.domain, at.bus, at.device)
    })
}

/// A file in the place of /dev/kmsg.
struct KernelLog {
    path: PathBuf,
    seq: u64,
    _folder: tempfile::TempDir,
}

impl KernelLog {
    fn new(rig: &mut Rig) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kmsg");
        std::fs::write(&path, "6,1,0,-;Linux version 6.1.0\n").unwrap();
        rig.kernel_log = Some(LogSource {
            from: LogFrom::Path(path.clone()),
            boot: Timestamp::EPOCH,
            retry: Span::from_millis(10),
        });
        Self {
            path,
            seq: 1,
            _folder: folder,
        }
    }

    fn says(&mut self, text: &str) {
        self.seq += 1;
        let mut file = OpenOptions::new().append(true).open(&self.path).unwrap();
        // Facility 0 is the kernel's; the time is in microseconds since boot.
        writeln!(file, "3,{},{},-;{text}", self.seq, self.seq * 1000).unwrap();
    }
}

async fn gpu_with(
    rig: &Rig,
    slot: usize,
    what: &str,
    is: impl Fn(&GpuHealth) -> bool,
) -> GpuHealth {
    let gpu = rig.gpu(slot);
    until(what, async || {
        let health = rig.health().await?;
        let found = health.gpus.get(&gpu)?;
        is(found).then(|| found.clone())
    })
    .await
}

fn xid(slot: u32, xid: u32) -> Change {
    Change::RaiseXid {
        gpu: Slot(slot),
        xid,
    }
}

#[tokio::test]
async fn an_xid_that_only_the_driver_tells_takes_its_gpu_out_at_once() {
    let rig = Rig::running().await;
    gpu_with(&rig, 3, "gpu 3 is healthy", |gpu| {
        gpu.verdict == Verdict::Healthy
    })
    .await;
    rig.apply(&xid(3, 95));
    let sick = gpu_with(&rig, 3, "gpu 3 is unhealthy", |gpu| {
        gpu.verdict == Verdict::Unhealthy
    })
    .await;
    assert_eq!(sick.reasons, [HealthReason::MemoryFault]);
    assert_eq!(sick.action, Action::ResetGpu);
    assert!(sick.findings[0].evidence.contains("XID 95"), "{sick:?}");
    let others = rig.health().await.unwrap();
    let healthy = |gpu: &&GpuHealth| gpu.verdict == Verdict::Healthy;
    assert_eq!(others.gpus.values().filter(healthy).count(), 7);
}

#[tokio::test]
async fn what_driver_and_kernel_both_tell_is_one_error_with_the_kernels_words() {
    let mut rig = Rig::stopped(true).await;
    let mut log = KernelLog::new(&mut rig);
    rig.start();
    let at = kernel_address(&rig, 2);
    gpu_with(&rig, 2, "gpu 2 is read", |_| true).await;
    rig.apply(&xid(2, 79));
    log.says(&format!(
        "NVRM: Xid (PCI:{at}): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus."
    ));
    gpu_with(&rig, 2, "gpu 2 is unhealthy", |gpu| {
        gpu.verdict == Verdict::Unhealthy
    })
    .await;
    // Words decide nothing: they may wait for a minute.
    rig.clock.advance(Span::from_secs(61));
    let sick = gpu_with(&rig, 2, "gpu 2 has the kernel's words", |gpu| {
        gpu.findings
            .iter()
            .any(|f| f.evidence.contains("GPU has fallen off the bus"))
    })
    .await;
    assert_eq!(sick.findings.len(), 1, "{sick:?}");
    assert_eq!(sick.reasons, [HealthReason::OffTheBus]);
    assert_eq!(sick.action, Action::RebootNode);
}

#[tokio::test]
async fn what_the_kernel_said_before_the_agent_began_is_found_once() {
    let mut rig = Rig::stopped(true).await;
    let mut log = KernelLog::new(&mut rig);
    let at = kernel_address(&rig, 5);
    log.says(&format!(
        "NVRM: Xid (PCI:{at}): 95, pid=17, name=python, Uncontained ECC error."
    ));
    rig.start();
    let sick = gpu_with(&rig, 5, "gpu 5 is unhealthy", |gpu| {
        gpu.verdict == Verdict::Unhealthy
    })
    .await;
    assert_eq!(sick.reasons, [HealthReason::MemoryFault]);

    // The agent begins anew: the old line is still there, and is no news.
    rig.stop().await;
    rig.start();
    let at = kernel_address(&rig, 6);
    log.says(&format!(
        "NVRM: Xid (PCI:{at}): 95, pid=17, name=python, Uncontained ECC error."
    ));
    gpu_with(&rig, 6, "the log was read to its end", |gpu| {
        gpu.verdict == Verdict::Unhealthy
    })
    .await;
    let kept = std::fs::read(rig.state_dir().join("health.json")).unwrap();
    let kept: serde_json::Value = serde_json::from_slice(&kept).unwrap();
    for slot in [5, 6] {
        let state = &kept["gpus"][rig.gpu(slot).as_str()];
        assert_eq!(state["xids"]["95"]["total"], 1, "gpu {slot}: {state}");
    }
}

#[tokio::test]
async fn a_restart_of_the_agent_heals_no_gpu_and_a_reboot_of_the_node_does() {
    let mut rig = Rig::running().await;
    gpu_with(&rig, 1, "gpu 1 is read", |_| true).await;
    rig.apply(&xid(1, 79));
    let sick = gpu_with(&rig, 1, "gpu 1 is unhealthy", |gpu| {
        gpu.verdict == Verdict::Unhealthy
    })
    .await;
    rig.stop().await;
    let before = rig.health().await.unwrap().at;
    rig.clock.advance(Span::from_secs(5));
    rig.start();
    let after = until("the agent has reported again", async || {
        rig.health().await.filter(|health| health.at > before)
    })
    .await;
    let same = &after.gpus[&rig.gpu(1)];
    assert_eq!(
        (same.verdict, &same.reasons),
        (Verdict::Unhealthy, &sick.reasons)
    );
    assert_eq!(same.findings, sick.findings, "since when and by what, too");

    rig.apply(&Change::Reboot);
    gpu_with(&rig, 1, "gpu 1 is healthy after the reboot", |gpu| {
        gpu.verdict == Verdict::Healthy
    })
    .await;
}

#[tokio::test]
async fn a_switch_that_fails_is_the_nodes_and_no_gpus() {
    let mut rig = Rig::stopped(true).await;
    let mut log = KernelLog::new(&mut rig);
    rig.start();
    gpu_with(&rig, 0, "gpu 0 is read", |_| true).await;
    log.says("nvidia-nvswitch3: SXid (PCI:0000:c1:00.0): 20034, Fatal, Link 46 LTSSM Fault Up");
    let report = until("the node has a finding", async || {
        rig.health()
            .await
            .filter(|health| !health.findings.is_empty())
    })
    .await;
    assert_eq!(report.findings[0].reason, HealthReason::SwitchFault);
    assert!(
        report.findings[0].evidence.contains("Link 46"),
        "{report:?}"
    );
    assert!(
        report
            .gpus
            .values()
            .all(|gpu| gpu.verdict == Verdict::Healthy)
    );
}

#[tokio::test]
async fn a_driver_that_was_updated_underneath_is_the_nodes_and_ends_with_a_reboot() {
    let rig = Rig::running().await;
    gpu_with(&rig, 0, "gpu 0 is read", |_| true).await;
    rig.apply(&Change::FailDriver {
        fault: Fault::LibRmVersionMismatch,
    });
    // Nobody looks at the driver while its GPUs answer; all of them stop to.
    let report = until("the node has a finding", async || {
        rig.health()
            .await
            .filter(|health| !health.findings.is_empty())
    })
    .await;
    let [found] = &report.findings[..] else {
        panic!("{report:?}");
    };
    assert_eq!(found.reason, HealthReason::DriverMismatch);
    assert_eq!(found.action, Action::RebootNode);

    rig.apply(&Change::HealDriver);
    rig.apply(&Change::Reboot);
    until("the node is in order", async || {
        rig.health()
            .await
            .filter(|health| health.findings.is_empty())
    })
    .await;
    gpu_with(&rig, 0, "gpu 0 is healthy", |gpu| {
        gpu.verdict == Verdict::Healthy
    })
    .await;
}

#[tokio::test]
async fn a_log_that_may_not_be_read_is_said_and_ends_nothing() {
    let mut rig = Rig::stopped(true).await;
    rig.kernel_log = Some(LogSource {
        from: LogFrom::Path("/nowhere/kmsg".into()),
        boot: Timestamp::EPOCH,
        retry: Span::from_secs(60),
    });
    rig.start();
    until("it is said", async || {
        let trouble = rig.health().await?.trouble?;
        trouble.contains("kernel log").then_some(())
    })
    .await;
    rig.apply(&xid(4, 95));
    gpu_with(&rig, 4, "the driver is heard", |gpu| {
        gpu.verdict == Verdict::Unhealthy
    })
    .await;
}
