//! NVIDIA's devices on the PCI bus, whether or not a driver has them.

use std::fs;
use std::path::Path;

/// NVIDIA (PCI ID repository).
const NVIDIA: &str = "0x10de";

/// What of the driver's there is on the bus.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OnTheBus {
    /// GPUs: display and 3D controllers (PCI class codes 03 00 and 03 02).
    pub gpus: u32,
    /// NVSwitches: bridges of another kind (06 80).
    pub switches: u32,
}

/// Counts them below `/sys/bus/pci/devices`, or a tree of that form; nothing where that cannot be read.
pub fn count(devices: &Path) -> Option<OnTheBus> {
    let mut found = OnTheBus::default();
    for device in fs::read_dir(devices).ok()? {
        let device = device.ok()?.path();
        let word = |name| fs::read_to_string(device.join(name)).unwrap_or_default();
        if word("vendor").trim() != NVIDIA {
            continue;
        }
        // Class, subclass and programming interface in one number.
        match word("class").trim().get(..6) {
            Some("0x0300" | "0x0302") => found.gpus += 1,
            Some("0x0680") => found.switches += 1,
            Some(_) | None => {}
        }
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gpus_and_switches_are_told_from_the_rest() {
        let folder = tempfile::tempdir().unwrap();
        let devices = [
            ("0000:1b:00.0", "0x10de", "0x030200"),
            ("0000:1c:00.0", "0x10de", "0x030000"),
            // Its audio function, and a card of another maker.
            ("0000:1c:00.1", "0x10de", "0x040300"),
            ("0000:05:00.0", "0x1a03", "0x030000"),
            ("0000:c1:00.0", "0x10de", "0x068000"),
        ];
        for (at, vendor, class) in devices {
            let device = folder.path().join(at);
            fs::create_dir(&device).unwrap();
            fs::write(device.join("vendor"), format!("{vendor}\n")).unwrap();
            fs::write(device.join("class"), format!("{class}\n")).unwrap();
        }
        let found = OnTheBus {
            gpus: 2,
            switches: 1,
        };
        assert_eq!(count(folder.path()), Some(found));
        assert_eq!(count(&folder.path().join("no-bus")), None);
    }
}
