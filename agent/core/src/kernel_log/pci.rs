//! Where a GPU or a switch is on the PCI bus, however it is written.

use std::fmt;
use std::str::FromStr;

/// Domain, bus and device. The function is left out: the driver's lines have none
/// (`PCI:0000:9b:00`), other lines and NVML do (`0000:9b:00.0`, `00000000:9B:00.0`), and a GPU's is
/// always 0. Written as the driver writes it, in lower case with at least four digits of domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PciAddress {
    domain: u32,
    bus: u8,
    device: u8,
}

/// Text that is no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{given:?} is no PCI address such as 0000:9b:00 or 00000000:9B:00.0")]
pub struct InvalidPciAddress {
    /// The text as given, cut to 40 characters.
    pub given: String,
}

/// Devices on one bus: five bits (PCI Local Bus 3.0, 3.2.2.3.4).
const DEVICES: u8 = 32;

/// Functions of one device: three bits (the same place).
const FUNCTIONS: u8 = 8;

impl PciAddress {
    /// From its parts; nothing where there is no such device number.
    pub const fn new(domain: u32, bus: u8, device: u8) -> Option<Self> {
        if device < DEVICES {
            Some(Self {
                domain,
                bus,
                device,
            })
        } else {
            None
        }
    }

    /// The domain, or segment. Sixteen bits on most hosts; bridges that the kernel makes up itself
    /// (VMD, Hyper-V) have more.
    pub const fn domain(self) -> u32 {
        self.domain
    }

    /// The bus in the domain.
    pub const fn bus(self) -> u8 {
        self.bus
    }

    /// The device on the bus.
    pub const fn device(self) -> u8 {
        self.device
    }

    fn read(text: &str) -> Option<Self> {
        let (domain, rest) = text.split_once(':')?;
        let (bus, rest) = rest.split_once(':')?;
        let device = match rest.split_once('.') {
            Some((device, function)) => {
                let function = hex(function, 1)?;
                if function >= u32::from(FUNCTIONS) {
                    return None;
                }
                device
            }
            None => rest,
        };
        let byte = |text| u8::try_from(hex(text, 2)?).ok();
        Self::new(hex(domain, 8)?, byte(bus)?, byte(device)?)
    }
}

/// A hexadecimal number of 1 to `digits` digits and nothing else. The standard library also takes a
/// sign.
fn hex(text: &str, digits: usize) -> Option<u32> {
    let plain = (1..=digits).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit());
    if plain {
        u32::from_str_radix(text, 16).ok()
    } else {
        None
    }
}

impl FromStr for PciAddress {
    type Err = InvalidPciAddress;
    fn from_str(text: &str) -> Result<Self, InvalidPciAddress> {
        Self::read(text).ok_or_else(|| InvalidPciAddress {
            given: text.chars().take(40).collect(),
        })
    }
}

impl fmt::Display for PciAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            domain,
            bus,
            device,
        } = self;
        write!(f, "{domain:04x}:{bus:02x}:{device:02x}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> PciAddress {
        text.parse().unwrap()
    }

    #[test]
    fn one_gpu_has_one_address_whoever_writes_it() {
        let driver = at("0000:9b:00");
        assert_eq!(driver, at("0000:9b:00.0"), "other lines of the kernel");
        assert_eq!(driver, at("00000000:9B:00.0"), "NVML's busId");
        assert_eq!(driver, at("0000:9B:00.0"), "NVML's busIdLegacy");
        assert_eq!(driver.to_string(), "0000:9b:00");
    }

    #[test]
    fn domains_beyond_sixteen_bits_are_kept() {
        let vmd = at("00010000:01:00.0");
        assert_eq!((vmd.domain(), vmd.bus(), vmd.device()), (0x1_0000, 1, 0));
        assert_eq!(vmd.to_string(), "10000:01:00");
        assert_eq!(at("0018:01:1f").to_string(), "0018:01:1f");
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "",
            "0000",
            "9b:00.0",
            "0000:9b:20",
            "0000:9b:00.8",
            "0000:9b:00.",
            "0000:9b:00.0.0",
            "0000:+b:00",
            "000000000:9b:00",
            "0000:9b1:00",
            "PCI:0000:9b:00",
            " 0000:9b:00",
            "0000:9b:0\u{660}",
        ] {
            assert!(text.parse::<PciAddress>().is_err(), "{text:?}");
        }
    }
}
