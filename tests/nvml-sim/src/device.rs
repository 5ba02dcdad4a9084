//! Finding GPUs: how many there are, and the handle of one by index, UUID, serial or PCI address.

use crate::abi::{Code, Out, Text, export};
use crate::simulator::{self, Device, is_attached, node};
use leasehold_gpu_sim::{Gpu, Node, PciAddress};
use nvml_wrapper_sys::bindings::nvmlDevice_t;
use std::ffi::c_uint;

/// The handle of the counted GPU that `wanted` picks. A lost GPU has none to give.
fn find(
    node: &Node,
    to: Out<nvmlDevice_t>,
    missing: Code,
    wanted: impl FnMut(&(usize, &Gpu)) -> bool,
) -> Result<(), Code> {
    let (_, gpu) = node.counted()?.enumerate().find(wanted).ok_or(missing)?;
    gpu.on_bus()?;
    to.put(simulator::device(gpu.identity().slot).raw())
}

export! {
    /// The GPUs that the driver finds, lost ones included.
    fn nvmlDeviceGetCount_v2(count: Out<c_uint>) {
        if !is_attached()? {
            return count.put(0);
        }
        node(|node| count.put(c_uint::try_from(node.counted()?.count()).unwrap_or(c_uint::MAX)))
    }

    /// A GPU by its position among those that the driver finds.
    fn nvmlDeviceGetHandleByIndex_v2(index: c_uint, device: Out<nvmlDevice_t>) {
        if !is_attached()? {
            return Err(Code::INVALID_ARGUMENT);
        }
        node(|node| find(node, device, Code::INVALID_ARGUMENT, |(at, _)| *at == index as usize))
    }

    /// A GPU by its UUID.
    fn nvmlDeviceGetHandleByUUID(uuid: Text, device: Out<nvmlDevice_t>) {
        let uuid = uuid.read()?;
        if !is_attached()? {
            return Err(Code::NOT_FOUND);
        }
        node(|node| {
            find(node, device, Code::NOT_FOUND, |(_, gpu)| gpu.identity().uuid.as_str() == uuid)
        })
    }

    /// A GPU by its board's serial number.
    fn nvmlDeviceGetHandleBySerial(serial: Text, device: Out<nvmlDevice_t>) {
        let serial = serial.read()?;
        node(|node| find(node, device, Code::NOT_FOUND, |(_, gpu)| gpu.identity().serial == serial))
    }

    /// A GPU by its place on the PCI bus.
    fn nvmlDeviceGetHandleByPciBusId_v2(pci: Text, device: Out<nvmlDevice_t>) {
        let address = pci_address(&pci.read()?).ok_or(Code::INVALID_ARGUMENT)?;
        node(|node| find(node, device, Code::NOT_FOUND, |(_, gpu)| gpu.identity().pci == address))
    }

    /// A GPU's position among those that the driver finds.
    fn nvmlDeviceGetIndex(device: Device, index: Out<c_uint>) {
        let slot = simulator::gpu(device, |gpu| Ok(gpu.identity().slot))?;
        node(|node| {
            let position = node.counted()?.position(|gpu| gpu.identity().slot == slot);
            let position = position.ok_or(Code::NOT_FOUND)?;
            index.put(c_uint::try_from(position).unwrap_or(c_uint::MAX))
        })
    }
}

/// `domain:bus:device.function` in hexadecimal of any width and case; the domain and the function
/// are 0 where they are left out.
fn pci_address(text: &str) -> Option<PciAddress> {
    let hex = |digits: &str| u32::from_str_radix(digits, 16).ok();
    let (place, function) = text.split_once('.').unwrap_or((text, "0"));
    let mut parts = place.rsplit(':');
    let device = hex(parts.next()?)?;
    let bus = hex(parts.next()?)?;
    let domain = parts.next().map_or(Some(0), hex)?;
    let function = hex(function)?;
    parts.next().is_none().then_some(PciAddress {
        domain,
        bus,
        device,
        function,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pci_addresses_are_read_in_every_usual_way() {
        let wanted = PciAddress {
            domain: 0,
            bus: 0x1b,
            device: 0,
            function: 0,
        };
        for text in ["00000000:1B:00.0", "0000:1b:00.0", "1B:00.0", "1b:0"] {
            assert_eq!(pci_address(text), Some(wanted), "{text}");
        }
        for text in ["", "1b", "x:1b:00.0", "0:0:1b:00.0"] {
            assert_eq!(pci_address(text), None, "{text}");
        }
    }
}
