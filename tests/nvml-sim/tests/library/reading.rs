//! What `nvml-wrapper` reads through the library is what the model holds.

use crate::support::{Rig, eventually, h200};
use leasehold_common::units::{Bytes, MilliWatts};
use leasehold_gpu_sim::{
    Change, EccSeverity, Node, NodeSpec, ProcessKind, RemappedRows, Scenario, Slot,
};
use nvml_wrapper::bitmasks::device::ThrottleReasons;
use nvml_wrapper::enum_wrappers::device::{
    Clock, ClockId, ComputeMode, EccCounter, MemoryError, MemoryLocation, PerformanceState,
    TemperatureSensor, TemperatureThreshold,
};
use nvml_wrapper::enums::device::{DeviceArchitecture, UsedGpuMemory};
use nvml_wrapper::struct_wrappers::device::Utilization;
use std::collections::BTreeSet;

const FIRST: Slot = Slot(0);

#[test]
fn the_node_says_who_it_is() {
    let rig = Rig::new();
    assert_eq!(rig.nvml.sys_driver_version().unwrap(), "580.95.05");
    assert_eq!(rig.nvml.sys_nvml_version().unwrap(), "13.580.95.05");
    assert_eq!(rig.nvml.sys_cuda_driver_version().unwrap(), 13_000);
    assert_eq!(rig.nvml.device_count().unwrap(), 8);

    let model = Node::new(&h200()).unwrap();
    for (index, expected) in (0..).zip(model.gpus()) {
        let gpu = rig.gpu(index);
        let identity = expected.identity();
        assert_eq!(gpu.index().unwrap(), index);
        assert_eq!(gpu.name().unwrap(), "NVIDIA H200");
        assert_eq!(gpu.uuid().unwrap(), identity.uuid.as_str());
        assert_eq!(gpu.serial().unwrap(), identity.serial);
        assert_eq!(gpu.minor_number().unwrap(), identity.minor);
        assert_eq!(gpu.numa_node_id().unwrap(), identity.numa_node);
    }
}

#[test]
fn a_gpu_says_what_it_is() {
    let rig = Rig::new();
    let gpu = rig.gpu(0);
    let pci = gpu.pci_info().unwrap();
    assert_eq!(pci.bus_id, "00000000:1B:00.0");
    assert_eq!((pci.domain, pci.bus, pci.device), (0, 0x1b, 0));
    assert_eq!(pci.pci_device_id, 0x2335_10de);
    assert_eq!(gpu.architecture().unwrap(), DeviceArchitecture::Hopper);
    let capability = gpu.cuda_compute_capability().unwrap();
    assert_eq!((capability.major, capability.minor), (9, 0));
    assert_eq!(gpu.vbios_version().unwrap(), "96.00.a5.00.01");
    assert_eq!(gpu.board_part_number().unwrap(), "692-2G520-0280-001");
    assert_eq!(gpu.board_id().unwrap(), 0x1b00);
    assert_eq!(gpu.compute_mode().unwrap(), ComputeMode::Default);
    assert!(gpu.is_in_persistent_mode().unwrap());
    let mig = gpu.mig_mode().unwrap();
    assert_eq!((mig.current, mig.pending), (0, 0));
}

#[test]
fn a_gpu_is_found_by_every_name_it_has() {
    let rig = Rig::new();
    let gpu = rig.gpu(5);
    let uuid = gpu.uuid().unwrap();
    assert_eq!(
        rig.nvml
            .device_by_uuid(uuid.as_str())
            .unwrap()
            .index()
            .unwrap(),
        5
    );
    let pci = gpu.pci_info().unwrap().bus_id;
    assert_eq!(
        rig.nvml.device_by_pci_bus_id(pci).unwrap().index().unwrap(),
        5
    );
    assert_eq!(
        rig.nvml
            .device_by_pci_bus_id("0000:c3:00.0")
            .unwrap()
            .index()
            .unwrap(),
        5
    );
}

#[test]
fn an_idle_gpu_reads_as_one() {
    let rig = Rig::new();
    let gpu = rig.gpu(0);
    let watt = |limit: u32| limit / 1000;
    assert!((75..81).contains(&watt(gpu.power_usage().unwrap())));
    assert_eq!(watt(gpu.power_management_limit().unwrap()), 700);
    assert_eq!(watt(gpu.power_management_limit_default().unwrap()), 700);
    assert_eq!(watt(gpu.enforced_power_limit().unwrap()), 700);
    let range = gpu.power_management_limit_constraints().unwrap();
    assert_eq!((watt(range.min_limit), watt(range.max_limit)), (200, 700));
    assert!((28..40).contains(&gpu.temperature(TemperatureSensor::Gpu).unwrap()));
    assert_eq!(
        gpu.temperature_threshold(TemperatureThreshold::Shutdown)
            .unwrap(),
        92
    );
    assert_eq!(
        gpu.temperature_threshold(TemperatureThreshold::GpuMax)
            .unwrap(),
        87
    );
    assert_eq!(gpu.clock_info(Clock::SM).unwrap(), 345);
    assert_eq!(gpu.max_clock_info(Clock::SM).unwrap(), 1980);
    assert_eq!(gpu.clock(Clock::Memory, ClockId::Current).unwrap(), 3201);
    assert_eq!(
        gpu.current_throttle_reasons().unwrap(),
        ThrottleReasons::GPU_IDLE
    );
    assert_eq!(gpu.performance_state().unwrap(), PerformanceState::Zero);
    let idle = Utilization { gpu: 0, memory: 0 };
    assert_eq!(gpu.utilization_rates().unwrap(), idle);
    assert_eq!(
        gpu.current_pcie_link_gen().unwrap(),
        1,
        "the link rests while the GPU does"
    );
    assert_eq!(gpu.max_pcie_link_gen().unwrap(), 5);
    assert_eq!(gpu.current_pcie_link_width().unwrap(), 16);
    assert_eq!(gpu.max_pcie_link_width().unwrap(), 16);
    assert_eq!(gpu.pcie_replay_counter().unwrap(), 0);
    assert!(gpu.link_wrapper_for(17).is_active().unwrap());
    assert_eq!(gpu.link_wrapper_for(17).version().unwrap(), 4);
    assert!(gpu.link_wrapper_for(18).is_active().is_err());
}

#[test]
fn load_that_comes_while_it_runs_is_seen_to_rise() {
    let mut rig = Rig::new();
    let before = rig.gpu(0).power_usage().unwrap();
    let energy = rig.gpu(0).total_energy_consumption().unwrap();
    rig.happen(Change::SetLoad {
        gpu: FIRST,
        permille: 1000,
    });

    let gpu = rig.gpu(0);
    eventually("the draw rises by half a kilowatt", || {
        gpu.power_usage().unwrap() > before + 500_000
    });
    assert!(gpu.total_energy_consumption().unwrap() > energy);
    assert_eq!(gpu.utilization_rates().unwrap().gpu, 100);
    assert_eq!(gpu.clock_info(Clock::SM).unwrap(), 1980);
    assert_eq!(
        gpu.current_throttle_reasons().unwrap(),
        ThrottleReasons::NONE
    );
    assert!(
        rig.gpu(1).power_usage().unwrap() < 100_000,
        "its neighbour stays idle"
    );
}

#[test]
fn a_limit_set_through_the_library_holds_even_where_the_file_changes() {
    let mut rig = Rig::new();
    rig.gpu(0).set_power_management_limit(450_000).unwrap();
    rig.happen(Change::SetLoad {
        gpu: FIRST,
        permille: 1000,
    });
    let gpu = rig.gpu(0);
    eventually("the draw meets the limit", || {
        gpu.power_usage().unwrap() == 450_000
    });
    assert_eq!(gpu.enforced_power_limit().unwrap(), 450_000);
    assert_eq!(
        gpu.current_throttle_reasons().unwrap(),
        ThrottleReasons::SW_POWER_CAP
    );
    assert!(rig.gpu(0).set_power_management_limit(199_999).is_err());
}

#[test]
fn processes_are_listed_by_kind_with_their_memory() {
    let mut rig = Rig::new();
    assert!(rig.gpu(0).running_compute_processes().unwrap().is_empty());
    let free = rig.gpu(0).memory_info().unwrap().free;
    for (pid, kind) in [
        (30, ProcessKind::Compute),
        (10, ProcessKind::Compute),
        (20, ProcessKind::Mps),
    ] {
        let memory = Bytes::from_gib(8);
        rig.happen(Change::StartProcess {
            gpu: FIRST,
            pid,
            kind,
            memory,
        });
    }
    let gpu = rig.gpu(0);
    let compute = gpu.running_compute_processes().unwrap();
    assert_eq!(
        compute
            .iter()
            .map(|process| process.pid)
            .collect::<Vec<_>>(),
        [10, 30]
    );
    assert_eq!(
        compute[0].used_gpu_memory,
        UsedGpuMemory::Used(Bytes::from_gib(8).0)
    );
    assert_eq!(gpu.mps_running_compute_processes().unwrap()[0].pid, 20);
    assert!(gpu.running_graphics_processes().unwrap().is_empty());

    let memory = gpu.memory_info().unwrap();
    assert_eq!(memory.total, Bytes::from_gib(141).0);
    assert_eq!(memory.used, Bytes::from_gib(24).0);
    assert_eq!(memory.free, free - Bytes::from_gib(24).0);
    assert_eq!(memory.total, memory.used + memory.free + memory.reserved);
}

#[test]
fn memory_errors_are_counted() {
    let mut rig = Rig::new();
    assert!(rig.gpu(0).is_ecc_enabled().unwrap().currently_enabled);
    for (severity, count) in [(EccSeverity::Corrected, 40), (EccSeverity::Uncorrected, 2)] {
        rig.happen(Change::InjectEcc {
            gpu: FIRST,
            severity,
            count,
        });
    }
    let gpu = rig.gpu(0);
    let total = |error, counter| gpu.total_ecc_errors(error, counter).unwrap();
    assert_eq!(total(MemoryError::Corrected, EccCounter::Volatile), 40);
    assert_eq!(total(MemoryError::Uncorrected, EccCounter::Aggregate), 2);
    let in_memory = |location| {
        let (error, counter) = (MemoryError::Uncorrected, EccCounter::Volatile);
        gpu.memory_error_counter(error, counter, location).unwrap()
    };
    assert_eq!(in_memory(MemoryLocation::Device), 2);
    assert_eq!(in_memory(MemoryLocation::L2Cache), 0);
}

#[test]
fn replaced_rows_are_read_raw() {
    let mut rig = Rig::new();
    let rows = RemappedRows {
        corrected: 1,
        uncorrected: 2,
        pending: true,
        failure: false,
    };
    rig.happen(Change::SetRemappedRows { gpu: FIRST, rows });
    let gpu = rig.gpu(0);
    let call = rig.nvml.lib().nvmlDeviceGetRemappedRows.as_ref().unwrap();
    let (mut corrected, mut uncorrected, mut pending, mut failure) = (9, 9, 9, 9);
    #[expect(unsafe_code, reason = "the wrapper does not have this call")]
    // SAFETY: the handle belongs to the library, which outlives the call; the rest are locals.
    let code = unsafe {
        call(
            gpu.handle(),
            &mut corrected,
            &mut uncorrected,
            &mut pending,
            &mut failure,
        )
    };
    assert_eq!(
        (code, corrected, uncorrected, pending, failure),
        (0, 1, 2, 1, 0)
    );
}

#[test]
fn every_kind_of_node_can_be_read() {
    for (sku, gpus, watts) in [
        ("a100", 8, 400),
        ("h100", 8, 700),
        ("h200", 8, 700),
        ("b200", 8, 1000),
        ("gb200", 4, 1200),
    ] {
        let spec = NodeSpec::new("t01".parse().unwrap(), sku.parse().unwrap());
        let rig = Rig::of(Scenario::new(spec));
        assert_eq!(rig.nvml.device_count().unwrap(), gpus, "{sku}");
        let limit = MilliWatts(rig.gpu(0).enforced_power_limit().unwrap().into());
        assert_eq!(limit, MilliWatts::from_watts(watts), "{sku}");
        let uuids: BTreeSet<_> = (0..gpus).map(|i| rig.gpu(i).uuid().unwrap()).collect();
        assert_eq!(uuids.len(), gpus as usize, "{sku}");
    }
}
