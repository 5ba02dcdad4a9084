//! This host's own GPUs as a kind of node: what the catalogue says of them, and where it knows no such node,
//! what the driver says.
//!
//! The catalogue has nodes as they are sold, with eight GPUs or four. A workstation, a virtual machine with one
//! GPU, or a model that came after this version is a node all the same: it can be let under a name of its own.

use leasehold_common::ids::SkuName;
use leasehold_common::node::GpuInfo;
use leasehold_common::sku::{Sku, SkuCatalogue};
use leasehold_common::units::Bytes;

/// What a GPU is taken to draw where its driver does not say: the most that a PCIe slot and two
/// eight-pin cables give it.
const WATTS_UNSAID: u32 = 375;

/// What is known of the host besides its GPUs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostSize {
    /// Hardware threads.
    pub cpus: u32,
    /// Memory.
    pub memory: Bytes,
}

/// GPUs that are no node.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotOneKind {
    /// There are none.
    #[error("this host has no GPU")]
    None,
    /// A node's GPUs are of one model.
    #[error("this host has a {0:?} and a {1:?}: the GPUs of a node are of one model")]
    Mixed(String, String),
    /// A node has at most 16.
    #[error("this host has {0} GPUs: a node has 1 to 16")]
    TooMany(usize),
}

/// The kind of node that these GPUs are.
///
/// # Errors
/// None, too many, or of several models.
pub fn kind(gpus: &[GpuInfo], host: HostSize, catalogue: &SkuCatalogue) -> Result<Sku, NotOneKind> {
    let first = gpus.first().ok_or(NotOneKind::None)?;
    if let Some(other) = gpus.iter().find(|gpu| gpu.name != first.name) {
        return Err(NotOneKind::Mixed(first.name.clone(), other.name.clone()));
    }
    let count = u8::try_from(gpus.len())
        .ok()
        .filter(|count| *count <= 16)
        .ok_or(NotOneKind::TooMany(gpus.len()))?;
    let of_model = || catalogue.iter().filter(|sku| sku.is_model(&first.name));
    if let Some(sku) = of_model().find(|sku| sku.gpus == count) {
        return Ok(sku.clone());
    }
    let memory_mib = host.memory.mib().min(1 << 30);
    let cpus = host.cpus.min(10_000);
    if let Some(sku) = of_model().next() {
        let overhead = u64::from(sku.overhead_watts) * u64::from(count) / u64::from(sku.gpus);
        return Ok(Sku {
            name: named(&format!("{}-{count}", sku.name)),
            gpus: count,
            nodes_per_domain: 1,
            cpus,
            memory_mib,
            overhead_watts: u32::try_from(overhead).unwrap_or(sku.overhead_watts),
            ..sku.clone()
        });
    }
    let watts = first
        .default_limit_mw
        .and_then(|limit| u32::try_from(limit.watts()).ok())
        .filter(|watts| (1..=10_000).contains(watts))
        .unwrap_or(WATTS_UNSAID);
    let memory = first.memory.map_or(1, Bytes::mib).clamp(1, 16 << 20);
    Ok(Sku {
        name: named(&format!("{}-{count}", first.name)),
        model: model(&first.name),
        gpus: count,
        nodes_per_domain: 1,
        gpu_memory_mib: memory,
        mig: None,
        cpus,
        memory_mib,
        gpu_watts_min: 1,
        gpu_watts: watts,
        gpu_watts_max: watts,
        overhead_watts: 0,
    })
}

/// A name for what has none in the catalogue: the driver's, in the letters that a SKU may have.
fn named(words: &str) -> SkuName {
    let plain: String = words
        .strip_prefix("NVIDIA ")
        .unwrap_or(words)
        .to_ascii_lowercase()
        .chars()
        .map(|c| match c {
            'a'..='z' | '0'..='9' | '.' => c,
            _ => '-',
        })
        .collect();
    let kept = plain.trim_start_matches(['-', '.']);
    // The count at the end says more than the middle of a long name.
    let cut = kept.len().saturating_sub(31);
    let kept = kept[cut..].trim_start_matches(['-', '.']);
    kept.parse()
        .unwrap_or_else(|_| "gpu".parse().expect("a name"))
}

/// The word of the driver's name that is the model's: the first with a digit in it.
fn model(name: &str) -> String {
    name.split([' ', '-', '_'])
        .find(|word| word.contains(|c: char| c.is_ascii_digit()))
        .unwrap_or(name)
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use leasehold_common::units::MilliWatts;

    const HOST: HostSize = HostSize {
        cpus: 16,
        memory: Bytes::from_gib(128),
    };

    fn gpus(name: &str, count: u32) -> Vec<GpuInfo> {
        (0..count)
            .map(|index| GpuInfo {
                uuid: format!("GPU-00000000-0000-0000-0000-{index:012}")
                    .parse()
                    .unwrap(),
                name: name.to_owned(),
                index,
                minor: None,
                pci: None,
                serial: None,
                memory: Some(Bytes::from_gib(24)),
                default_limit_mw: Some(MilliWatts::from_watts(450)),
                vbios: None,
                numa: None,
            })
            .collect()
    }

    fn kind_of(name: &str, count: u32) -> Result<Sku, NotOneKind> {
        kind(&gpus(name, count), HOST, &SkuCatalogue::built_in())
    }

    #[test]
    fn eight_h200_are_what_the_catalogue_says() {
        let sku = kind_of("NVIDIA H200", 8).unwrap();
        assert_eq!(Some(&sku), SkuCatalogue::built_in().get(&sku.name));
    }

    #[test]
    fn a_virtual_machine_with_one_h200_is_a_node_of_one_gpu() {
        let whole = kind_of("NVIDIA H200", 8).unwrap();
        let sku = kind_of("NVIDIA H200", 1).unwrap();
        assert_eq!((sku.name.as_str(), sku.gpus), ("h200-1", 1));
        assert_eq!((sku.cpus, sku.memory_mib), (16, 128 << 10));
        assert_eq!(sku.overhead_watts, whole.overhead_watts / 8);
        assert_eq!((sku.gpu_watts, sku.mig), (whole.gpu_watts, whole.mig));
    }

    #[test]
    fn a_model_that_nobody_knows_is_described_by_its_driver() {
        let sku = kind_of("NVIDIA GeForce RTX 4090", 2).unwrap();
        assert_eq!(sku.name.as_str(), "geforce-rtx-4090-2");
        assert!(sku.is_model("NVIDIA GeForce RTX 4090"));
        assert_eq!((sku.gpu_watts, sku.gpu_memory_mib), (450, 24 << 10));
        let long = kind_of("NVIDIA RTX PRO 6000 Blackwell Max-Q Workstation Edition", 4).unwrap();
        assert!(long.name.as_str().ends_with("workstation-edition-4"));
        for sku in [sku, long] {
            let mut catalogue = SkuCatalogue::built_in();
            catalogue.extend(vec![sku]).expect("it is a kind of node");
        }
    }

    #[test]
    fn what_is_no_node_is_said() {
        let mut mixed = gpus("NVIDIA H200", 1);
        mixed.extend(gpus("NVIDIA L4", 1));
        let mixed = kind(&mixed, HOST, &SkuCatalogue::built_in());
        let both = NotOneKind::Mixed("NVIDIA H200".into(), "NVIDIA L4".into());
        assert_eq!(mixed, Err(both));
        assert_eq!(kind_of("NVIDIA H200", 0), Err(NotOneKind::None));
        assert_eq!(kind_of("NVIDIA H200", 17), Err(NotOneKind::TooMany(17)));
    }
}
