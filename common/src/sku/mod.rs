//! Kinds of node as data: what a node of a SKU has, and how many watts it may draw.

use crate::ids::SkuName;
use crate::lease::{HostShare, Slice};
use crate::mig::{MigFamilies, MigProfile};
use crate::units::{Bytes, MilliWatts};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The catalogue that is built in.
const BUILT_IN: &str = include_str!("catalogue.toml");

/// One kind of node. The fields are those of the catalogue file, units last in their names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sku {
    /// How it is asked for.
    pub name: SkuName,
    /// Text that occurs in the GPU's name as NVML gives it (`nvmlDeviceGetName`).
    pub model: String,
    /// GPUs on one node.
    pub gpus: u8,
    /// Nodes that share NVLink memory; 1 where the node is its own domain.
    pub nodes_per_domain: u16,
    /// Memory of one GPU as sold, in MiB.
    pub gpu_memory_mib: u64,
    /// Geometry family for MIG; absent where the GPU has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mig: Option<String>,
    /// Hardware threads of one node, shared out with its GPUs; 0 where they are not counted.
    #[serde(default)]
    pub cpus: u32,
    /// Memory of one node in MiB, shared out with its GPUs; 0 where it is not counted.
    #[serde(default)]
    pub memory_mib: u64,
    /// Smallest power limit one GPU can be set to, in watts.
    #[serde(default = "one")]
    pub gpu_watts_min: u32,
    /// Default power limit of one GPU, in watts.
    pub gpu_watts: u32,
    /// Largest power limit of one GPU, in watts.
    pub gpu_watts_max: u32,
    /// What the node draws besides its GPUs at full load, in watts.
    pub overhead_watts: u32,
}

const fn one() -> u32 {
    1
}

impl Sku {
    /// Whether NVML's name for a GPU is that of this SKU's model: the model stands in it as a word of
    /// its own, so that `GB200` is no `B200`.
    pub fn is_model(&self, name: &str) -> bool {
        name.split([' ', '-', '_']).any(|word| word == self.model)
    }

    /// Memory of one GPU as sold.
    pub const fn gpu_memory(&self) -> Bytes {
        Bytes::from_mib(self.gpu_memory_mib)
    }

    /// The CPU and memory that go with `gpus` GPUs of a node: their share of it, rounded down.
    pub fn host_share(&self, gpus: u8) -> HostShare {
        self.host_sevenths(u32::from(gpus) * 7)
    }

    /// The same for slices, by their compute slices, of which a GPU has seven.
    pub fn host_sevenths(&self, sevenths: u32) -> HostShare {
        let share = |all: u64| all * u64::from(sevenths) / (u64::from(self.gpus.max(1)) * 7);
        HostShare {
            cpu_milli: share(u64::from(self.cpus) * 1000),
            memory_mib: share(self.memory_mib),
        }
    }

    /// The most `gpus` GPUs of a node may draw at their default limit.
    pub fn envelope(&self, gpus: u8) -> MilliWatts {
        self.envelope_capped(gpus, None)
    }

    /// The most `gpus` GPUs of a node may draw with each held to `cap` watts, or to its default
    /// limit: with the whole node's overhead where all of them are taken, and the GPUs' share of it
    /// otherwise, rounded up, so that shares never sum to less than the whole.
    pub fn envelope_capped(&self, gpus: u8, cap: Option<u32>) -> MilliWatts {
        let taken = u64::from(gpus);
        let overhead = u64::from(self.overhead_watts) * taken * 1000;
        let watts = u64::from(cap.unwrap_or(self.gpu_watts)) * taken;
        MilliWatts::from_watts(watts) + MilliWatts(overhead.div_ceil(u64::from(self.gpus.max(1))))
    }

    /// The parts of a GPU, of [`PARTS`], that an instance of a profile may draw: those of its compute or of
    /// its memory slices, whichever are more. Four instances that have all memory leave no compute for
    /// anybody else, and the GPU may draw all it can. Of a profile that its GPUs do not have only the
    /// compute slices are known.
    pub fn parts_of(&self, profile: &MigProfile) -> u32 {
        let family = self
            .mig
            .as_deref()
            .map(|name| MigFamilies::built_in().get(name));
        let kind = family
            .and_then(Result::ok)
            .map(|family| family.kind(profile));
        let of_compute = u32::from(profile.sevenths()) * (PARTS / 7);
        match kind {
            Some(Ok(kind)) => of_compute.max(u32::from(kind.memory) * (PARTS / 8)),
            Some(Err(_)) | None => of_compute,
        }
    }

    /// The most so many parts of GPUs may draw: of what a GPU and its share of the overhead may, rounded
    /// up, so that the slices of a full GPU never sum to less than the GPU.
    pub fn envelope_parts(&self, parts: u32, cap: Option<u32>) -> MilliWatts {
        let MilliWatts(gpu) = self.envelope_capped(1, cap);
        MilliWatts((gpu * u64::from(parts)).div_ceil(u64::from(PARTS)))
    }

    /// The most slices of GPUs may draw.
    pub fn envelope_slices(&self, slices: &[Slice], cap: Option<u32>) -> MilliWatts {
        let parts = slices.iter().map(|slice| self.parts_of(&slice.profile));
        self.envelope_parts(parts.sum(), cap)
    }
}

/// Parts of one GPU by which watts of slices are counted: 7 compute and 8 memory slices are both whole
/// numbers of them.
pub const PARTS: u32 = 56;

/// Every SKU a cell knows, by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SkuCatalogue(BTreeMap<SkuName, Sku>);

/// A catalogue that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SkuError {
    /// Not the form of the catalogue file.
    #[error("sku catalogue does not parse: {0}")]
    Form(String),
    /// A field outside its bounds.
    #[error("sku {sku}: {field} is {value}, allowed is {allowed}")]
    Bounds {
        /// The entry.
        sku: SkuName,
        /// The field.
        field: &'static str,
        /// Its value.
        value: u64,
        /// What is allowed.
        allowed: &'static str,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    sku: Vec<Sku>,
}

impl SkuCatalogue {
    /// The built-in kinds: A100, H100, H200, B200, GB200.
    pub fn built_in() -> Self {
        let mut catalogue = Self(BTreeMap::new());
        catalogue
            .extend_toml(BUILT_IN)
            .expect("the built-in catalogue is tested");
        catalogue
    }

    /// Adds or replaces entries from TOML of the catalogue's form.
    ///
    /// # Errors
    /// Text of another form, or a field outside its bounds; nothing is added then.
    pub fn extend_toml(&mut self, text: &str) -> Result<(), SkuError> {
        let file: File = toml::from_str(text).map_err(|e| SkuError::Form(e.to_string()))?;
        self.extend(file.sku)
    }

    /// Adds or replaces entries.
    ///
    /// # Errors
    /// A field outside its bounds; nothing is added then.
    pub fn extend(&mut self, skus: Vec<Sku>) -> Result<(), SkuError> {
        skus.iter().try_for_each(check)?;
        self.0
            .extend(skus.into_iter().map(|sku| (sku.name.clone(), sku)));
        Ok(())
    }

    /// The SKU of that name.
    pub fn get(&self, name: &SkuName) -> Option<&Sku> {
        self.0.get(name)
    }

    /// All SKUs, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Sku> {
        self.0.values()
    }
}

fn check(sku: &Sku) -> Result<(), SkuError> {
    let bounds = [
        ("gpus", u64::from(sku.gpus), 1..=16, "1 to 16"),
        (
            "nodes_per_domain",
            u64::from(sku.nodes_per_domain),
            1..=576,
            "1 to 576",
        ),
        (
            "gpu_memory_mib",
            sku.gpu_memory_mib,
            1..=16 << 20,
            "1 to 16777216",
        ),
        (
            "gpu_watts",
            u64::from(sku.gpu_watts),
            1..=10_000,
            "1 to 10000",
        ),
        (
            "gpu_watts_min",
            u64::from(sku.gpu_watts_min),
            1..=u64::from(sku.gpu_watts),
            "1 to gpu_watts",
        ),
        ("cpus", u64::from(sku.cpus), 0..=10_000, "0 to 10000"),
        ("memory_mib", sku.memory_mib, 0..=1 << 30, "0 to 1073741824"),
        (
            "gpu_watts_max",
            u64::from(sku.gpu_watts_max),
            u64::from(sku.gpu_watts)..=10_000,
            "gpu_watts to 10000",
        ),
        (
            "overhead_watts",
            u64::from(sku.overhead_watts),
            0..=100_000,
            "0 to 100000",
        ),
    ];
    for (field, value, range, allowed) in bounds {
        if !range.contains(&value) {
            return Err(SkuError::Bounds {
                sku: sku.name.clone(),
                field,
                value,
                allowed,
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_kinds_are_there() {
        let all = SkuCatalogue::built_in();
        let names: Vec<_> = all.iter().map(|s| s.name.as_str()).collect();
        assert_eq!(names, ["a100", "b200", "gb200", "h100", "h200"]);
        let h200 = all.get(&"h200".parse().unwrap()).unwrap();
        assert_eq!(h200.envelope(8), MilliWatts::from_watts(10_200));
        assert_eq!(h200.envelope(2), MilliWatts::from_watts(2_550));
    }

    #[test]
    fn a_gb200_is_no_b200() {
        let all = SkuCatalogue::built_in();
        let is = |sku: &str, name| all.get(&sku.parse().unwrap()).unwrap().is_model(name);
        assert!(is("h200", "NVIDIA H200"));
        assert!(is("a100", "NVIDIA A100-SXM4-80GB"));
        assert!(!is("b200", "NVIDIA GB200"));
    }

    #[test]
    fn a_bad_entry_adds_nothing() {
        let mut all = SkuCatalogue::built_in();
        let entry = BUILT_IN.replace("gpus = 8", "gpus = 80");
        let refused = all.extend_toml(&entry).unwrap_err().to_string();
        assert_eq!(refused, "sku a100: gpus is 80, allowed is 1 to 16");
        assert_eq!(all, SkuCatalogue::built_in());
    }
}
