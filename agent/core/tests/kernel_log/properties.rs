//! The kernel's log under anything that may arrive.

use leasehold_agent_core::kernel_log::{
    GpuMessage, KernelModule, KernelRecord, MigInstance, PciAddress, RecordStream, SXid, Severity,
    WINDOW, Witness, Xid, XidIncident, XidIncidents, XidSighting,
};
use leasehold_common::time::{Span, Timestamp};
use proptest::prelude::*;
use std::collections::BTreeMap;

fn any_pci() -> impl Strategy<Value = PciAddress> {
    (any::<u32>(), any::<u8>(), 0..32_u8)
        .prop_map(|(domain, bus, device)| PciAddress::new(domain, bus, device).unwrap())
}

fn any_mig() -> impl Strategy<Value = MigInstance> {
    (any::<u32>(), prop::option::of(any::<u32>())).prop_map(|(gpu_instance, compute_instance)| {
        MigInstance {
            gpu_instance,
            compute_instance,
        }
    })
}

/// Words with commas in them. No word is one that the driver puts before the text.
fn any_text() -> impl Strategy<Value = String> {
    "([A-Z(][a-z0-9_@.)]{0,8},? ){0,6}[A-Z(][a-z0-9.)]{0,8}".prop_filter("a severity", |text| {
        !text.starts_with("Fatal") && !text.starts_with("Nonfatal")
    })
}

fn any_xid() -> impl Strategy<Value = Xid> {
    (
        any_pci(),
        prop::option::of(any_mig()),
        any::<u32>(),
        prop::option::of(any::<u32>()),
        prop::option::of("[a-zA-Z0-9_./:<> é-]{0,14}[a-z]"),
        any_text(),
    )
        .prop_map(|(pci, mig, code, pid, name, text)| Xid {
            pci,
            mig,
            code,
            pid,
            name: name.map(|name| name.trim().to_owned()),
            text,
        })
}

fn any_sxid() -> impl Strategy<Value = SXid> {
    let severity = prop_oneof![Just(Severity::Fatal), Just(Severity::NonFatal)];
    (
        any::<u32>(),
        any_pci(),
        any::<u32>(),
        prop::option::of(severity),
        any_text(),
    )
        .prop_map(|(switch, pci, code, severity, text)| SXid {
            switch,
            pci,
            code,
            severity,
            text,
        })
}

fn any_message() -> impl Strategy<Value = GpuMessage> {
    let module = prop_oneof![Just(KernelModule::Open), Just(KernelModule::Proprietary)];
    prop_oneof![
        any_xid().prop_map(GpuMessage::Xid),
        any_sxid().prop_map(GpuMessage::SXid),
        (any_pci(), "GPU-[0-9a-f]{8}-[0-9a-f]{4}").prop_map(|(pci, uuid)| GpuMessage::Identity {
            pci,
            uuid: uuid.parse().unwrap(),
        }),
        any_pci().prop_map(|pci| GpuMessage::OffBus { pci }),
        ("[0-9]{3}\\.[0-9]{2,3}(\\.[0-9]{2})?", module)
            .prop_map(|(version, module)| GpuMessage::DriverLoading { version, module }),
        Just(GpuMessage::DriverUnloaded),
        ("nv_[a-z_]{1,20}", any::<u32>())
            .prop_map(|(by, lines)| GpuMessage::Suppressed { by, lines }),
    ]
}

fn any_record() -> impl Strategy<Value = KernelRecord> {
    let properties = prop::collection::btree_map("[A-Z]{1,8}", any::<String>(), 0..3);
    (
        any::<u32>(),
        0..8_u8,
        any::<u64>(),
        any::<u64>(),
        any::<String>(),
        properties,
    )
        .prop_map(
            |(facility, level, seq, since_boot_us, text, properties)| KernelRecord {
                facility,
                level,
                seq,
                since_boot_us,
                text,
                properties,
            },
        )
}

/// Pieces of real lines.
const PIECES: [&[u8]; 28] = [
    b"NVRM: Xid (PCI:",
    b"0000:9b:00",
    b"00000000:9B:00.0",
    b"): 79, ",
    b"): 154, ",
    b"): 145, ",
    b"pid='<unknown>', ",
    b"name=\\x0a",
    b"changed from 0x0 (None) to 0x",
    b"RLW_CTRL Nonfatal XC0 i0 Link ",
    b"Fatal Link (0x1 0x",
    b"nvidia-nvswitch0: SXid (PCI:",
    b"NVRM: GPU at PCI:",
    b"NVRM: The NVIDIA GPU ",
    b"NVRM: loading NVIDIA UNIX Kernel Module",
    b": 99999999999999999999 callbacks suppressed",
    b"4,1,1,-;",
    b"18446744073709551616,",
    b"\n",
    b"\n DEVICE=",
    b"\\x",
    b"\\",
    b"\xff\xfe",
    b"\xe2\x80",
    b" GPU-I:",
    b")",
    b", ",
    b"\0",
];

/// Pieces of real lines in any order: nearer to what breaks a parser than random bytes are.
fn hostile_bytes() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        8 => prop::sample::select(&PIECES[..]).prop_map(<[u8]>::to_vec),
        1 => prop::collection::vec(any::<u8>(), 0..8),
    ];
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

fn read_everything(bytes: &[u8]) {
    let mut stream = RecordStream::default();
    let mut cuts = stream.take(bytes);
    cuts.extend(stream.take(b"\n"));
    cuts.extend(stream.flush());
    for record in cuts.into_iter().flatten() {
        record.at(Timestamp::EPOCH);
        read_message(&record.text);
    }
    read_message(&String::from_utf8_lossy(bytes));
}

fn read_message(text: &str) {
    if let Some(message) = GpuMessage::read(text) {
        let shown = message.to_string();
        assert!(!shown.contains(char::is_control), "{shown:?}");
        if let GpuMessage::Xid(xid) = &message {
            let _ = (xid.recovery(), xid.nvlink());
        }
    }
}

/// Two GPUs, two XIDs, a minute and a half: near enough to one another to meet.
fn any_sighting() -> impl Strategy<Value = XidSighting> {
    let mig = prop::option::of(0..3_u32);
    (0..2_u8, mig, 0..2_u32, 0..90_000_i64, any::<bool>()).prop_map(
        |(bus, gpu_instance, code, ms, nvml)| XidSighting {
            pci: PciAddress::new(0, bus, 0).unwrap(),
            mig: gpu_instance.map(|gpu_instance| MigInstance {
                gpu_instance,
                compute_instance: None,
            }),
            code,
            at: Timestamp::from_unix_ms(1_000_000_000_000 + ms),
            by: if nvml {
                Witness::Nvml
            } else {
                Witness::KernelLog
            },
        },
    )
}

fn told(sightings: &[XidSighting], window: Span) -> Vec<XidIncident> {
    let mut incidents = XidIncidents::new(window);
    for sighting in sightings {
        incidents.see(*sighting);
    }
    incidents.iter().cloned().collect()
}

/// The same by another way: sorted first, and parted where the gap is too long.
fn sorted_and_parted(sightings: &[XidSighting], window: Span) -> Vec<XidIncident> {
    let mut pairs: BTreeMap<_, Vec<XidSighting>> = BTreeMap::new();
    for sighting in sightings {
        pairs
            .entry((sighting.pci, sighting.code))
            .or_default()
            .push(*sighting);
    }
    let mut out = Vec::new();
    for ((pci, code), mut sightings) in pairs {
        sightings.sort_by_key(|sighting| sighting.at);
        for part in sightings.chunk_by(|a, b| b.at.since(a.at) <= window) {
            let by = |who| u64::try_from(part.iter().filter(|s| s.by == who).count()).unwrap();
            out.push(XidIncident {
                pci,
                code,
                first: part.first().unwrap().at,
                last: part.last().unwrap().at,
                lines: by(Witness::KernelLog),
                events: by(Witness::Nvml),
                instances: part.iter().filter_map(|sighting| sighting.mig).collect(),
            });
        }
    }
    out
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn no_bytes_break_it(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        read_everything(&bytes);
    }

    #[test]
    fn no_pieces_of_real_lines_break_it(bytes in hostile_bytes()) {
        read_everything(&bytes);
    }

    #[test]
    fn a_real_line_with_one_wrong_byte_breaks_nothing(
        message in any_message(), place in any::<prop::sample::Index>(), byte in any::<u8>(),
    ) {
        let mut bytes = format!("4,1,1,-;{message}\n").into_bytes();
        let place = place.index(bytes.len());
        bytes[place] = byte;
        read_everything(&bytes);
        read_everything(&bytes[..place]);
    }

    #[test]
    fn what_is_written_is_read_back(message in any_message()) {
        let line = message.to_string();
        prop_assert_eq!(GpuMessage::read(&line), Some(message), "{}", line);
    }

    #[test]
    fn a_record_that_is_written_is_read_back(record in any_record()) {
        prop_assert_eq!(KernelRecord::parse(&record.to_bytes()), Ok(record));
    }

    #[test]
    fn records_are_cut_alike_wherever_the_bytes_are_parted(
        records in prop::collection::vec(any_record(), 0..5), parts in prop::collection::vec(1..64_usize, 1..20),
    ) {
        let bytes: Vec<u8> = records.iter().flat_map(KernelRecord::to_bytes).collect();
        let mut stream = RecordStream::default();
        let mut cuts = Vec::new();
        let mut rest = &bytes[..];
        for part in parts.iter().cycle() {
            let (now, later) = rest.split_at((*part).min(rest.len()));
            cuts.extend(stream.take(now));
            rest = later;
            if rest.is_empty() {
                break;
            }
        }
        cuts.extend(stream.flush());
        prop_assert_eq!(cuts.into_iter().collect::<Result<Vec<_>, _>>(), Ok(records));
    }

    #[test]
    fn an_address_is_one_however_it_is_written(pci in any_pci(), function in 0..8_u8) {
        let nvml = format!("{:08X}:{:02X}:{:02X}.{function}", pci.domain(), pci.bus(), pci.device());
        prop_assert_eq!(nvml.parse(), Ok(pci));
        prop_assert_eq!(pci.to_string().parse(), Ok(pci));
    }

    /// Up to 15 of one pair, so that none is forgotten.
    #[test]
    fn the_order_of_sightings_does_not_matter(
        (sightings, shuffled) in prop::collection::vec(any_sighting(), 0..16)
            .prop_flat_map(|sightings| (Just(sightings.clone()), Just(sightings).prop_shuffle())),
        window in 0..8_000_u64,
    ) {
        let window = Span::from_millis(window);
        let incidents = told(&sightings, window);
        prop_assert_eq!(&told(&shuffled, window), &incidents);
        prop_assert_eq!(&sorted_and_parted(&sightings, window), &incidents);
    }

    #[test]
    fn what_nvml_tells_again_adds_no_incident(sightings in prop::collection::vec(any_sighting(), 0..16)) {
        let other = |sighting: &XidSighting| XidSighting {
            by: match sighting.by {
                Witness::KernelLog => Witness::Nvml,
                Witness::Nvml => Witness::KernelLog,
            },
            at: sighting.at + Span::from_millis(20),
            ..*sighting
        };
        let twice: Vec<_> = sightings.iter().flat_map(|s| [*s, other(s)]).collect();
        let ends = |incidents: Vec<XidIncident>| -> Vec<_> {
            incidents.into_iter().map(|i| (i.pci, i.code, i.first)).collect()
        };
        let once = ends(told(&sightings, WINDOW));
        let twice = ends(told(&twice, WINDOW));
        // Two that were just too far apart may have been brought together, never the reverse.
        prop_assert!(twice.iter().all(|incident| once.contains(incident)));
    }
}
