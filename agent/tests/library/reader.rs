//! Reading through the library, one call at a time.

use leasehold_agent::gpu::nvml::NvmlDriver;
use leasehold_agent::gpu::reader::Reader;
use leasehold_agent::gpu::{DriverError, Inventory};
use leasehold_agent_core::sample::{Contact, GpuSample};
use leasehold_common::ids::GpuUuid;
use leasehold_common::node::Reading;
use leasehold_common::units::{Bytes, MilliWatts};
use leasehold_gpu_sim::{
    Call, Change, EccSeverity, Fault, NodeSpec, ProcessKind, RecoveryAction, Scenario, Slot, state,
};
use nvml_sim::{install, state_path};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Long for a call that answers at once, on a machine that is busy.
const DEADLINE: Duration = Duration::from_secs(10);

struct Rig {
    library: PathBuf,
    scenario: Scenario,
    reader: Reader,
    deadline: Duration,
    _folder: TempDir,
}

impl Rig {
    fn with_deadline(deadline: Duration) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let spec = NodeSpec::new("h001".parse().unwrap(), "h200".parse().unwrap());
        let scenario = Scenario::new(spec);
        let library = install(folder.path(), &scenario).unwrap();
        Self {
            reader: Reader::new(Arc::new(NvmlDriver::new(&library)), deadline),
            library,
            scenario,
            deadline,
            _folder: folder,
        }
    }

    fn new() -> Self {
        Self::with_deadline(DEADLINE)
    }

    fn then(&mut self, change: Change) {
        self.scenario = self.scenario.clone().then(change);
        state::write(&state_path(&self.library), &self.scenario).unwrap();
    }

    async fn inventory(&mut self) -> Inventory {
        let inventory = self.reader.inventory(self.deadline).await;
        inventory.expect("the deadline was waited for").unwrap()
    }

    async fn samples(&mut self, gpus: &[GpuUuid]) -> BTreeMap<GpuUuid, GpuSample> {
        self.reader.samples(gpus.iter(), self.deadline).await
    }
}

fn uuids(inventory: &Inventory) -> Vec<GpuUuid> {
    inventory.gpus.iter().map(|gpu| gpu.uuid.clone()).collect()
}

#[tokio::test]
async fn a_healthy_node_is_read_whole() {
    let mut rig = Rig::new();
    rig.then(Change::StartProcess {
        gpu: Slot(0),
        pid: 4711,
        kind: ProcessKind::Compute,
        memory: Bytes::from_gib(8),
    });
    rig.then(Change::SetRecoveryAction {
        gpu: Slot(1),
        action: RecoveryAction::GpuReset,
    });
    rig.then(Change::InjectEcc {
        gpu: Slot(2),
        severity: EccSeverity::Uncorrected,
        count: 3,
    });
    let inventory = rig.inventory().await;
    assert_eq!(inventory.facts.driver.as_deref(), Some("580.95.05"));
    assert_eq!(inventory.gpus.len(), 8);
    let first = &inventory.gpus[0];
    assert_eq!(first.minor, Some(1), "a minor number is not an index");
    assert_eq!(first.default_limit_mw, Some(MilliWatts::from_watts(700)));
    assert!(first.serial.is_some() && first.pci.is_some() && first.vbios.is_some());

    let gpus = uuids(&inventory);
    let samples = rig.samples(&gpus).await;
    assert_eq!(samples.len(), 8);
    for (gpu, sample) in &samples {
        assert_eq!(sample.contact, Contact::Answered, "{gpu}");
        assert!(
            sample.power_mw.value().is_some_and(|power| power.0 > 0),
            "{sample:?}"
        );
        assert!(sample.temperature.value() < sample.slowdown.value());
        assert_eq!(sample.ecc_enabled, Reading::Value(true));
        assert!(sample.energy_mj.value().is_some());
    }
    let Reading::Value(processes) = &samples[&gpus[0]].processes else {
        panic!("{:?}", samples[&gpus[0]]);
    };
    assert_eq!(processes[0].pid, 4711);
    assert_eq!(processes[0].memory, Some(Bytes::from_gib(8)));
    assert_eq!(samples[&gpus[1]].recovery_action, Reading::Value(1));
    assert_eq!(samples[&gpus[2]].ecc_uncorrected, Reading::Value(3));
}

#[tokio::test]
async fn one_failing_call_costs_one_value() {
    let mut rig = Rig::new();
    rig.then(Change::FailCall {
        gpu: Slot(3),
        call: Call::Temperature,
        fault: Fault::Unknown,
    });
    rig.then(Change::FailCall {
        gpu: Slot(3),
        call: Call::Energy,
        fault: Fault::NotSupported,
    });
    let gpus = uuids(&rig.inventory().await);
    let sample = rig.samples(&gpus).await.remove(&gpus[3]).unwrap();
    assert!(matches!(sample.temperature, Reading::Failed(_)));
    assert_eq!(sample.energy_mj, Reading::Unsupported);
    assert!(sample.power_mw.value().is_some());
}

#[tokio::test]
async fn a_lost_gpu_is_lost_and_a_removed_one_is_missing() {
    let mut rig = Rig::new();
    let gpus = uuids(&rig.inventory().await);
    rig.then(Change::LoseGpu { gpu: Slot(0) });
    rig.then(Change::RemoveGpu { gpu: Slot(1) });
    let samples = rig.samples(&gpus).await;
    assert_eq!(samples[&gpus[0]].contact, Contact::Lost);
    assert_eq!(samples[&gpus[1]].contact, Contact::Missing);
    assert_eq!(samples[&gpus[2]].contact, Contact::Answered);
}

#[tokio::test]
async fn a_hung_gpu_costs_its_own_verdict_and_comes_back() {
    let mut rig = Rig::with_deadline(Duration::from_millis(500));
    let gpus = uuids(&rig.inventory().await);
    rig.then(Change::SetHung {
        gpu: Slot(4),
        hung: true,
    });
    let samples = rig.samples(&gpus).await;
    for (index, gpu) in gpus.iter().enumerate() {
        let expected = if index == 4 {
            Contact::Unresponsive
        } else {
            Contact::Answered
        };
        assert_eq!(samples[gpu].contact, expected, "{index}");
    }
    // Its call is still out. The others are not kept waiting by it, however patient one is, nor is who asks
    // what there is; and no second call is made.
    let begin = Instant::now();
    let samples = rig.reader.samples(gpus.iter(), DEADLINE).await;
    assert_eq!(samples[&gpus[4]].contact, Contact::Unresponsive);
    assert!(begin.elapsed() < DEADLINE, "{:?}", begin.elapsed());
    let patience = Duration::from_millis(1);
    while rig.reader.inventory(patience).await.is_none() {
        assert!(begin.elapsed() < DEADLINE, "nothing is known of the others");
    }

    rig.then(Change::SetHung {
        gpu: Slot(4),
        hung: false,
    });
    // The late answer is one from the time before; then it is read anew.
    let begin = Instant::now();
    let mut rounds = tokio::time::interval(Duration::from_millis(10));
    while rig.samples(&gpus).await[&gpus[4]].contact != Contact::Answered {
        assert!(begin.elapsed() < DEADLINE, "the GPU does not come back");
        rounds.tick().await;
    }
}

#[tokio::test]
async fn a_driver_that_goes_and_comes_is_found_again() {
    let mut rig = Rig::new();
    let gpus = uuids(&rig.inventory().await);
    rig.then(Change::FailDriver {
        fault: Fault::DriverNotLoaded,
    });
    let gone = rig.reader.inventory(DEADLINE).await.unwrap().unwrap_err();
    assert!(matches!(gone, DriverError::NoDriver { .. }), "{gone}");
    assert_eq!(
        rig.samples(&gpus).await[&gpus[0]].contact,
        Contact::Unresponsive
    );
    rig.then(Change::HealDriver);
    assert_eq!(uuids(&rig.inventory().await), gpus);
    assert_eq!(
        rig.samples(&gpus).await[&gpus[0]].contact,
        Contact::Answered
    );
}
