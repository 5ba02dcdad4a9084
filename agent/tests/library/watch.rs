//! What the driver tells by itself, as the agent hears it.

use leasehold_agent::clock::SystemClock;
use leasehold_agent::gpu::GpuDriver;
use leasehold_agent::gpu::event::{GpuEvent, GpuEventKind};
use leasehold_agent::gpu::nvml::NvmlDriver;
use leasehold_agent::gpu::simulated::{SimulatedDriver, SimulatedNode};
use leasehold_gpu_sim::{Call, Change, EccSeverity, Fault, Node, NodeSpec, Scenario, Slot, state};
use nvml_sim::{install, state_path};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::timeout;

/// Long for a thread to hear of anything, on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(20);

fn spec() -> NodeSpec {
    NodeSpec::new("h001".parse().unwrap(), "h200".parse().unwrap())
}

/// A library with somebody who listens.
struct Rig {
    library: PathBuf,
    scenario: Scenario,
    heard: UnboundedReceiver<GpuEvent>,
    _folder: TempDir,
}

impl Rig {
    fn with(scenario: Scenario) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let library = install(folder.path(), &scenario).unwrap();
        let (tell, heard) = unbounded_channel();
        Arc::new(NvmlDriver::new(&library)).follow(tell);
        Self {
            library,
            scenario,
            heard,
            _folder: folder,
        }
    }

    fn then(&mut self, change: Change) {
        self.scenario = self.scenario.clone().then(change);
        state::write(&state_path(&self.library), &self.scenario).unwrap();
    }

    /// Events from before the set is made are not delivered, so that one is raised until it is heard.
    async fn raise_until_heard(&mut self, gpu: Slot, xid: u32) -> GpuEvent {
        let heard = async {
            loop {
                self.then(Change::RaiseXid { gpu, xid });
                if let Ok(Some(event)) = timeout(Duration::from_secs(1), self.heard.recv()).await {
                    return event;
                }
            }
        };
        timeout(PATIENCE, heard).await.expect("it is heard")
    }
}

#[tokio::test]
async fn an_xid_is_heard_with_its_gpu() {
    let mut rig = Rig::with(Scenario::new(spec()));
    let event = rig.raise_until_heard(Slot(3), 79).await;
    assert_eq!(event.what, GpuEventKind::Xid(79));
    assert_eq!((event.gpu_instance, event.compute_instance), (None, None));
    let other = rig.raise_until_heard(Slot(4), 48).await;
    assert_ne!(other.gpu, event.gpu);
    rig.then(Change::InjectEcc {
        gpu: Slot(3),
        severity: EccSeverity::Uncorrected,
        count: 1,
    });
    let ecc = async {
        loop {
            let next = rig.heard.recv().await.expect("the thread lives");
            if next.what == GpuEventKind::DoubleBitEcc {
                return next;
            }
        }
    };
    let next = timeout(PATIENCE, ecc).await.expect("it is heard");
    assert_eq!(next.gpu, event.gpu);
}

#[tokio::test]
async fn a_gpu_without_events_keeps_nobody_else_from_being_heard() {
    let deaf = Change::FailCall {
        gpu: Slot(0),
        call: Call::Events,
        fault: Fault::NotSupported,
    };
    let mut rig = Rig::with(Scenario::new(spec()).then(deaf));
    let event = rig.raise_until_heard(Slot(7), 94).await;
    assert_eq!(event.what, GpuEventKind::Xid(94));
}

#[tokio::test]
async fn a_driver_that_was_away_is_heard_again() {
    let away = Change::FailDriver {
        fault: Fault::DriverNotLoaded,
    };
    let mut rig = Rig::with(Scenario::new(spec()));
    let _ = rig.raise_until_heard(Slot(1), 13).await;
    rig.then(away);
    rig.then(Change::HealDriver);
    let event = rig.raise_until_heard(Slot(1), 119).await;
    assert!(matches!(event.what, GpuEventKind::Xid(13 | 119)));
}

#[tokio::test]
async fn a_simulated_node_tells_at_once() {
    let node = SimulatedNode::new(Node::new(&spec()).unwrap(), Arc::new(SystemClock));
    let (tell, mut heard) = unbounded_channel();
    Arc::new(SimulatedDriver(Arc::clone(&node))).follow(tell);
    let gpu = Slot(2);
    node.apply(&Change::RaiseXid { gpu, xid: 63 }).unwrap();
    let event = heard.try_recv().expect("it is told with the change");
    assert_eq!(event.what, GpuEventKind::Xid(63));
    drop(heard);
    node.apply(&Change::RaiseXid { gpu, xid: 64 }).unwrap();
}
