//! Lines as drivers of many versions print them, and what is read in each.

use leasehold_agent_core::kernel_log::{
    GpuMessage, KernelModule, KernelRecord, MigInstance, PciAddress, SXid, Severity, Xid,
};

fn pci(text: &str) -> PciAddress {
    text.parse().unwrap()
}

fn xid(line: &str) -> Xid {
    match GpuMessage::read(line) {
        Some(GpuMessage::Xid(xid)) => xid,
        other => panic!("{line:?} is {other:?}"),
    }
}

fn sxid(line: &str) -> SXid {
    match GpuMessage::read(line) {
        Some(GpuMessage::SXid(sxid)) => sxid,
        other => panic!("{line:?} is {other:?}"),
    }
}

/// Line, address, XID, pid, name, beginning of the text.
type Row = (
    &'static str,
    &'static str,
    u32,
    Option<u32>,
    Option<&'static str>,
    &'static str,
);

const XIDS: &[Row] = &[
    (
        "NVRM: Xid (PCI:0000:9b:00): 79, pid=1234, name=python, GPU has fallen off the bus.",
        "0000:9b:00",
        79,
        Some(1234),
        Some("python"),
        "GPU has fallen off the bus.",
    ),
    (
        "NVRM: Xid (PCI:0000:01:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus.",
        "0000:01:00",
        79,
        None,
        None,
        "GPU has fallen off",
    ),
    (
        "NVRM: Xid (PCI:0000:01:00): 79, pid=1122, GPU has fallen off the bus.",
        "0000:01:00",
        79,
        Some(1122),
        None,
        "GPU has fallen off",
    ),
    (
        "NVRM: Xid (PCI:0000:23:00): 79, GPU has fallen off the bus.",
        "0000:23:00",
        79,
        None,
        None,
        "GPU has fallen off",
    ),
    (
        "NVRM: Xid (PCI:0000:35:00): 31, pid=3634001, name=vectorAdd, channel 0x01000020, intr 00000000. MMU Fault: ENGINE CE2 HUBCLIENT_CE0 faulted @ 0x792c_58000000. Fault is of type FAULT_PDE ACCESS_TYPE_VIRT_WRITE",
        "0000:35:00",
        31,
        Some(3_634_001),
        Some("vectorAdd"),
        "channel 0x01000020, intr 00000000. MMU Fault",
    ),
    (
        "NVRM: Xid (PCI:0000:1a:00): 31, pid=79749, name=pt_main_thread, Ch 0000000a, intr 00000000. MMU Fault",
        "0000:1a:00",
        31,
        Some(79_749),
        Some("pt_main_thread"),
        "Ch 0000000a",
    ),
    (
        "NVRM: Xid (PCI:0000:1b:00): 43, pid=3885519, name=gpu-burner, channel 0x00000010",
        "0000:1b:00",
        43,
        Some(3_885_519),
        Some("gpu-burner"),
        "channel 0x00000010",
    ),
    (
        "NVRM: Xid (PCI:0000:34:00): 45, Ch 00000010",
        "0000:34:00",
        45,
        None,
        None,
        "Ch 00000010",
    ),
    (
        "NVRM: Xid (PCI:0000:01:00): 62, 023f0f30 00000000 00000000 202c0ffe",
        "0000:01:00",
        62,
        None,
        None,
        "023f0f30",
    ),
    (
        "NVRM: Xid (PCI:0000:00:06): 119, pid='<unknown>', name=<unknown>, Timeout waiting for RPC from GSP! Expected function FREE (0x0 0x0).",
        "0000:00:06",
        119,
        None,
        None,
        "Timeout waiting for RPC",
    ),
    (
        "NVRM: Xid (PCI:0000:0d:00): 51, BAD_TSG encountered on runlist: 0 with error code: 4",
        "0000:0d:00",
        51,
        None,
        None,
        "BAD_TSG",
    ),
    (
        "NVRM: Xid (PCI:0000:01:00): 95, pid=7062, Uncontained: LTC TAG (0x2,0x1). RST: Yes, D-RST: No",
        "0000:01:00",
        95,
        Some(7062),
        None,
        "Uncontained: LTC TAG (0x2,0x1). RST: Yes, D-RST: No",
    ),
    (
        "NVRM: Xid (PCI:0000:00:1e): 160, Marking Channel 3 in FBPA 2 for repair; Node Reboot Required",
        "0000:00:1e",
        160,
        None,
        None,
        "Marking Channel 3",
    ),
    (
        "NVRM: Xid (0000:03:00): 14, Channel 00000001",
        "0000:03:00",
        14,
        None,
        None,
        "Channel",
    ),
    (
        "NVRM: Xid (PCI:0000:17:00.0): 94, Contained",
        "0000:17:00",
        94,
        None,
        None,
        "Contained",
    ),
    (
        "NVRM: Xid (PCI:0000:83:00): 48",
        "0000:83:00",
        48,
        None,
        None,
        "",
    ),
    (
        "NVRM: Xid (PCI:0000:83:00): 48, pid=1, name=a, ",
        "0000:83:00",
        48,
        Some(1),
        Some("a"),
        "",
    ),
    (
        "NVRM: Xid (PCI:0018:01:00): 4294967295, new",
        "0018:01:00",
        u32::MAX,
        None,
        None,
        "new",
    ),
    (
        "NVRM: Xid (PCI:0000:9b:00): 13, pid=99999999999, name=x, too large a pid is none",
        "0000:9b:00",
        13,
        None,
        Some("x"),
        "too large",
    ),
];

#[test]
fn xids_of_every_form_are_read() {
    for (line, address, code, pid, name, text) in XIDS {
        let xid = xid(line);
        assert_eq!(xid.pci, pci(address), "{line}");
        assert_eq!((xid.code, xid.pid), (*code, *pid), "{line}");
        assert_eq!(xid.name.as_deref(), *name, "{line}");
        assert!(xid.text.starts_with(text), "{line}: {:?}", xid.text);
        assert_eq!(xid.text.is_empty(), text.is_empty(), "{line}");
        assert_eq!(xid.mig, None, "{line}");
    }
}

#[test]
fn the_instance_that_is_hit_is_read() {
    for (place, gpu_instance, compute_instance) in [
        ("PCI:0000:01:00 GPU-I:05", 5, None),
        ("PCI:0000:01:00 GPU-I:01 GPU-CI:02", 1, Some(2)),
        ("PCI:0000:01:00, GPU-I:05", 5, None),
        ("PCI:0000:01:00 GPU-I:13 SOMETHING:7", 13, None),
    ] {
        let line = format!(
            "NVRM: Xid ({place}): 94, pid=7194, name=train, Contained: CE User Channel (0x9). RST: No, D-RST: No"
        );
        let xid = xid(&line);
        let expected = MigInstance {
            gpu_instance,
            compute_instance,
        };
        assert_eq!(
            (xid.pci, xid.mig),
            (pci("0000:01:00"), Some(expected)),
            "{line}"
        );
        assert_eq!((xid.code, xid.pid), (94, Some(7194)), "{line}");
    }
}

#[test]
fn what_the_driver_wants_done_is_read_from_xid_154_and_from_no_other() {
    for (words, code) in [
        ("0x1 (GPU Reset Required)", 1),
        ("0x1 (PF FLR)", 1),
        ("0x2 (Node Reboot Required)", 2),
        ("0x2 (OS Reboot)", 2),
        ("0x3 (Drain P2P)", 3),
        ("0x4 (Drain and Reset)", 4),
    ] {
        let text = format!("GPU recovery action changed from 0x0 (None) to {words}");
        let bare = xid(&format!("NVRM: Xid (PCI:0000:9b:00): 154, {text}"));
        assert_eq!(bare.recovery().unwrap().to.code, code, "{words}");
        let with_process = xid(&format!(
            "NVRM: Xid (PCI:0000:9b:00): 154, pid='<unknown>', name=<unknown>, {text}"
        ));
        assert_eq!(with_process.recovery(), bare.recovery());
        let named_so = xid(&format!(
            "NVRM: Xid (PCI:0000:9b:00): 13, pid=1, name=a, {text}"
        ));
        assert_eq!(
            named_so.recovery(),
            None,
            "the name of a process is no wish of the driver's"
        );
    }
}

#[test]
fn errors_of_links_keep_their_unit_and_words() {
    let bits = |line: &str| {
        xid(line)
            .nvlink()
            .map(|error| (error.unit.clone(), error.error_status()))
    };
    for (line, unit, status) in [
        (
            "NVRM: Xid (PCI:0000:04:00): 144, SAW_MVB Fatal XC0 i0 Link 00 (0x00000001 0x00000002 0x00000000 0x00000000)",
            "SAW_MVB",
            Some(2),
        ),
        (
            "NVRM: Xid (PCI:0000:00:1e): 145, pid=4, name=<unknown>, RLW_SRC_TRACK Fatal XC0 i1 Link 00 (0x00000001 0x00000002)",
            "RLW_SRC_TRACK",
            Some(2),
        ),
        (
            "NVRM: Xid (PCI:0000:5f:00): 145, RLW_REMAP Nonfatal XC0 i0 Link 02",
            "RLW_REMAP",
            None,
        ),
        (
            "NVRM: Xid (PCI:0018:01:00): 149, NETIR_LINK_EVT  Fatal   XC0 i0 Link 09 (0x025525c6 0x00000000 0x00000000 0x00000000 0x00000000 0x00000000)",
            "NETIR_LINK_EVT",
            Some(0),
        ),
        (
            "NVRM: Xid (PCI:0000:5b:00): 150, MSE Degraded Fatal XC0 i0 Link -1 (0x00000000 0x00000000 0x00000000)",
            "MSE Degraded",
            Some(0),
        ),
    ] {
        assert_eq!(bits(line), Some((unit.to_owned(), status)), "{line}");
    }
    assert_eq!(
        bits("NVRM: Xid (PCI:0000:00:1e): 145, driver-specific detail"),
        None
    );
    assert_eq!(
        bits("NVRM: Xid (PCI:0000:00:1e): 13, TREX Fatal XC0 i0 Link 0 (0x1 0x2)"),
        None
    );
}

#[test]
fn errors_of_switches_are_read() {
    for (line, code, severity, link) in [
        (
            "nvidia-nvswitch0: SXid (PCI:0000:05:00.0): 20034, Fatal, Link 30 LTSSM Fault Up",
            20034,
            Some(Severity::Fatal),
            Some(30),
        ),
        (
            "nvidia-nvswitch3: SXid (PCI:0000:05:00.0): 12028, Non-fatal, Link 32 egress non-posted PRIV error (First)",
            12028,
            Some(Severity::NonFatal),
            Some(32),
        ),
        (
            "nvidia-nvswitch0: SXid (PCI:0000:05:00.0): 11001, Fatal, ingress invalid command",
            11001,
            Some(Severity::Fatal),
            None,
        ),
        (
            "nvidia-nvswitch1 SXid (PCI:0000:05:00.0): 20009, Non-fatal, Link 04",
            20009,
            Some(Severity::NonFatal),
            Some(4),
        ),
        (
            "nvidia-nvswitch3: SXid (PCI:0000:05:00.0): 28006, Severity 0 Engine instance 46 Sub-engine instance 00",
            28006,
            None,
            None,
        ),
        (
            "nvidia-nvswitch3: SXid (PCI:0000:05:00.0): 28006, Data {0x00140004, 0x00100000, 0x00140004}",
            28006,
            None,
            None,
        ),
        (
            "nvidia-nvswitch3: SXid (PCI:0000:05:00.0): 00042",
            42,
            None,
            None,
        ),
    ] {
        let sxid = sxid(line);
        assert_eq!(sxid.pci, pci("0000:05:00"), "{line}");
        assert_eq!(
            (sxid.code, sxid.severity, sxid.link()),
            (code, severity, link),
            "{line}"
        );
    }
    assert_eq!(
        sxid("nvidia-nvswitch11: SXid (PCI:0000:05:00.0): 1, Fatal").switch,
        11
    );
}

#[test]
fn other_lines_that_matter_are_read() {
    let off_bus = GpuMessage::OffBus {
        pci: pci("0000:b3:00"),
    };
    let loading = |version: &str, module| GpuMessage::DriverLoading {
        version: version.to_owned(),
        module,
    };
    for (line, message) in [
        (
            "NVRM: GPU at PCI:0000:34:00: GPU-c43f0536-e751-7211-d7a7-78c95249ee7d",
            GpuMessage::Identity {
                pci: pci("0000:34:00"),
                uuid: "GPU-c43f0536-e751-7211-d7a7-78c95249ee7d".parse().unwrap(),
            },
        ),
        (
            "NVRM: GPU 0000:b3:00.0: GPU has fallen off the bus.",
            off_bus.clone(),
        ),
        (
            "NVRM: The NVIDIA GPU 0000:b3:00.0\nNVRM: (PCI ID: 10de:26b5) installed in this system has\nNVRM: fallen off the bus and is not responding to commands.",
            off_bus.clone(),
        ),
        (
            "NVRM: The NVIDIA GPU 0000:b3:00.0 (PCI ID: 10de:1e07) installed in this\nNVRM: system has fallen off the bus and is not responding to commands.",
            off_bus,
        ),
        (
            "NVRM: loading NVIDIA UNIX x86_64 Kernel Module  580.95.05  Tue Sep 23 10:11:16 UTC 2025",
            loading("580.95.05", KernelModule::Proprietary),
        ),
        (
            "NVRM: loading NVIDIA UNIX Open Kernel Module for x86_64  580.95.05  Release Build  (dvs-builder@U22-I3-AF08-18-2)  Tue Sep 23 09:55:41 UTC 2025",
            loading("580.95.05", KernelModule::Open),
        ),
        (
            "NVRM: loading NVIDIA UNIX Open Kernel Module for aarch64  570.133.20",
            loading("570.133.20", KernelModule::Open),
        ),
        (
            "nvidia-nvlink: Unregistered Nvlink Core, major device number 508",
            GpuMessage::DriverUnloaded,
        ),
        (
            "nvidia-nvlink: Unregistered the Nvlink Core, major device number 246",
            GpuMessage::DriverUnloaded,
        ),
        (
            "nvidia_isr: 23807 callbacks suppressed",
            GpuMessage::Suppressed {
                by: "nvidia_isr".to_owned(),
                lines: 23_807,
            },
        ),
    ] {
        assert_eq!(GpuMessage::read(line), Some(message), "{line}");
    }
}

#[test]
fn everything_else_is_nothing() {
    for line in [
        "",
        "NVRM",
        "NVRM: A GPU crash dump has been created. If possible, please run",
        "NVRM: nvidia-bug-report.sh as root to collect this data before",
        "NVRM: GPU Board Serial Number: 0323618040756",
        "NVRM: GPU0 nvAssertOkFailedNoLog: Assertion failed: Reset required [NV_ERR_RESET_REQUIRED]",
        "NVRM: os_schedule: Attempted to yield the CPU while in atomic or interrupt context",
        "NVRM: The NVIDIA GPU 0000:b3:00.0 (PCI ID: 10de:26b5)\nNVRM: installed in this system is not supported",
        "NVRM: GPU 0000:9b:00.0: RmInitAdapter failed! (0x62:0xffffffff:1089)",
        "NVRM: GPU at PCI:0000:17:00.0 has fallen off the bus.",
        "NVRM: GPU at PCI:0000:34:00: c43f0536",
        "NVRM: loading NVIDIA UNIX x86_64 Kernel Module",
        "NVRM: Xid : 32, pid=2280636",
        "NVRM: Xid (PCI:0000:66:00): abc, pid=2280636",
        "NVRM: Xid (PCI:0000:66:00)",
        "NVRM: Xid (PCI:0000:66:00): ",
        "NVRM: Xid (PCI:0000:66:00): 79x, gone",
        "NVRM: Xid (PCI:0000:66:00): -1, gone",
        "NVRM: Xid (PCI:0000:66:00): 4294967296, too large",
        "NVRM: Xid (PCI:0000:66:20): 79, no such device",
        "NVRM: Xid (): 79",
        "NVRM: Xid (PCI:0000:9",
        "nvidia-nvswitch3: SXid (PCI:0000:c1:00.0): garbled, Fatal",
        "nvidia-nvswitchx: SXid (PCI:0000:c1:00.0): 20034, Fatal, Link 30",
        "nvidia-nvswitch3: removing device 0000:06:00.0",
        "nvidia-nvlink: Nvlink Core is being initialized, major device number 508",
        "nvidia-modeset: Unloading",
        "nvme0: 8 callbacks suppressed",
        "net_ratelimit: 23807 callbacks suppressed",
        "nv_x: many callbacks suppressed",
        "mlx5_core 0000:9b:00.0: NVRM: Xid (PCI:0000:9b:00): 79, quoted by another",
    ] {
        assert_eq!(GpuMessage::read(line), None, "{line}");
    }
}

#[test]
fn a_process_cannot_report_a_neighbours_gpu_by_its_name() {
    // comm is set with prctl(PR_SET_NAME), any bytes; the kernel escapes them in its log.
    let record = KernelRecord::parse(
        b"4,99,1000,-;NVRM: Xid (PCI:0000:9b:00): 13, pid=7, name=a\\x0aNVRM: Xid (PCI:0000:1b:00): 79, gone, Graphics Exception\n",
    )
    .unwrap();
    let Some(GpuMessage::Xid(xid)) = GpuMessage::in_record(&record) else {
        panic!("{record:?}");
    };
    assert_eq!(
        (xid.pci, xid.code, xid.pid),
        (pci("0000:9b:00"), 13, Some(7))
    );
    assert!(!xid.name.unwrap().contains('\n'));
}

#[test]
fn a_program_cannot_report_a_gpu_by_writing_to_the_log() {
    let line = "NVRM: Xid (PCI:0000:9b:00): 79, pid=1, name=a, GPU has fallen off the bus.";
    let by = |priority: u32| {
        let record = KernelRecord::parse(format!("{priority},1,1,-;{line}\n").as_bytes()).unwrap();
        GpuMessage::in_record(&record)
    };
    assert!(by(4).is_some(), "the kernel's warning");
    assert_eq!(by(12), None, "a program's warning");
}
