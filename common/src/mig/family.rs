//! Geometry families: the profiles of GPUs that are partitioned alike.

use super::MigProfile;
use crate::units::Bytes;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// The families that are built in.
const BUILT_IN: &str = include_str!("families.toml");

/// Memory slices of one GPU.
const SLICES: u8 = 8;

/// One kind of instance. The fields are those of the file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MigKind {
    /// How it is asked for.
    pub name: MigProfile,
    /// The driver's number of it (`nvmlGpuInstanceProfileInfo_t.id`).
    pub id: u32,
    /// Compute slices of one instance, of 7.
    pub compute: u8,
    /// Memory slices of one instance, of 8.
    pub memory: u8,
    /// Memory of one instance, in MiB; absent where no source is certain.
    #[serde(default)]
    pub memory_mib: Option<u64>,
    /// The memory slices an instance may begin at, ascending.
    pub starts: Vec<u8>,
    /// Instances of it on one GPU.
    pub most: u8,
}

impl MigKind {
    /// Memory of one instance; absent where no source is certain.
    pub fn memory_bytes(&self) -> Option<Bytes> {
        self.memory_mib.map(Bytes::from_mib)
    }

    /// Whether a GPU has one of it only, though more would find a place: the media engines.
    pub fn is_single(&self) -> bool {
        self.most == 1 && self.disjoint() > 1
    }

    /// How many instances find a place side by side on an empty GPU.
    fn disjoint(&self) -> u8 {
        let (mut count, mut free_from) = (0, 0);
        for start in &self.starts {
            if *start >= free_from {
                count += 1;
                free_from = start + self.memory;
            }
        }
        count
    }
}

/// GPUs that are partitioned alike.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MigFamily {
    /// Its name, as SKUs give it: `H200-141GB`.
    pub name: String,
    /// Its kinds of instance, smallest first; between 1 and 8 of them.
    #[serde(rename = "profiles")]
    pub kinds: Vec<MigKind>,
}

/// Every family a cell knows, by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MigFamilies(BTreeMap<String, MigFamily>);

/// A file of families that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MigError {
    /// Not the form of the file.
    #[error("mig families do not parse: {0}")]
    Form(String),
    /// A family with no profiles, too many, or two that cannot be told apart or counted.
    #[error(
        "mig family {family}: profiles are {given}, allowed are 1 to 8, each name and id once, and one \
         at most of which a gpu has a single one"
    )]
    Profiles {
        /// The family.
        family: String,
        /// How many profiles it has.
        given: usize,
    },
    /// A field outside its bounds.
    #[error("mig family {family}, profile {profile}: {field} is {value}, allowed is {allowed}")]
    Bounds {
        /// The family.
        family: String,
        /// The profile.
        profile: MigProfile,
        /// The field.
        field: &'static str,
        /// Its value.
        value: String,
        /// What is allowed.
        allowed: &'static str,
    },
}

/// A family nobody has described.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("mig family {given:?} is not known: one of {}", known.join(", "))]
pub struct UnknownFamily {
    /// The name given.
    pub given: String,
    /// Those there are.
    pub known: Vec<String>,
}

/// A profile that GPUs of a family do not have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{family} gpus have no mig profile {given}: they have {}", list(known))]
pub struct UnknownProfile {
    /// The profile asked for.
    pub given: MigProfile,
    /// The family.
    pub family: String,
    /// The profiles it has, smallest first.
    pub known: Vec<MigProfile>,
}

fn list(known: &[MigProfile]) -> String {
    let names: Vec<&str> = known.iter().map(MigProfile::as_str).collect();
    names.join(", ")
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    family: Vec<MigFamily>,
}

impl MigFamilies {
    /// The built-in families: A100 to GB200.
    pub fn built_in() -> &'static Self {
        static READ: LazyLock<MigFamilies> = LazyLock::new(|| {
            MigFamilies::from_toml(BUILT_IN).expect("the built-in families are tested")
        });
        &READ
    }

    /// From TOML of the file's form. Of two families of one name, the last counts.
    ///
    /// # Errors
    /// Text of another form, or a field outside its bounds.
    pub fn from_toml(text: &str) -> Result<Self, MigError> {
        let file: File = toml::from_str(text).map_err(|e| MigError::Form(e.to_string()))?;
        file.family.iter().try_for_each(check)?;
        let named = file.family.into_iter().map(|one| (one.name.clone(), one));
        Ok(Self(named.collect()))
    }

    /// The family of that name.
    ///
    /// # Errors
    /// There is none; the error names those there are.
    pub fn get(&self, name: &str) -> Result<&MigFamily, UnknownFamily> {
        self.0.get(name).ok_or_else(|| UnknownFamily {
            given: name.chars().take(80).collect(),
            known: self.0.keys().cloned().collect(),
        })
    }

    /// All families, by name.
    pub fn iter(&self) -> impl Iterator<Item = &MigFamily> {
        self.0.values()
    }
}

impl MigFamily {
    /// The kind of that name.
    ///
    /// # Errors
    /// The family has none; the error names those it has.
    pub fn kind(&self, profile: &MigProfile) -> Result<&MigKind, UnknownProfile> {
        self.kinds
            .iter()
            .find(|kind| kind.name == *profile)
            .ok_or_else(|| self.unknown(profile))
    }

    /// What to say of a profile it does not have.
    pub fn unknown(&self, profile: &MigProfile) -> UnknownProfile {
        UnknownProfile {
            given: profile.clone(),
            family: self.name.clone(),
            known: self.kinds.iter().map(|kind| kind.name.clone()).collect(),
        }
    }
}

fn check(family: &MigFamily) -> Result<(), MigError> {
    let kinds = &family.kinds;
    let twice = (1..kinds.len()).any(|at| {
        let same = |other: &MigKind| other.name == kinds[at].name || other.id == kinds[at].id;
        kinds[..at].iter().any(same)
    });
    kinds.iter().try_for_each(|kind| check_kind(family, kind))?;
    let single = kinds.iter().filter(|kind| kind.is_single()).count();
    if twice || single > 1 || !(1..=8).contains(&kinds.len()) {
        return Err(MigError::Profiles {
            family: family.name.clone(),
            given: kinds.len(),
        });
    }
    Ok(())
}

fn check_kind(family: &MigFamily, kind: &MigKind) -> Result<(), MigError> {
    let fault = if !(1..=SLICES).contains(&kind.memory) {
        Some(("memory", kind.memory.to_string(), "1 to 8"))
    } else if !(1..=7).contains(&kind.compute) {
        Some(("compute", kind.compute.to_string(), "1 to 7"))
    } else if kind.starts.is_empty()
        || !kind.starts.is_sorted_by(|a, b| a < b)
        || kind
            .starts
            .iter()
            .any(|start| *start > SLICES - kind.memory)
    {
        Some((
            "starts",
            format!("{:?}", kind.starts),
            "ascending slices from which the memory slices end by the eighth",
        ))
    } else if kind.most != 1 && kind.most != kind.disjoint() {
        Some((
            "most",
            kind.most.to_string(),
            "1, or as many as stand side by side on an empty gpu",
        ))
    } else {
        None
    };
    fault.map_or(Ok(()), |(field, value, allowed)| {
        Err(MigError::Bounds {
            family: family.name.clone(),
            profile: kind.name.clone(),
            field,
            value,
            allowed,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sku::SkuCatalogue;

    #[test]
    fn every_family_a_sku_names_is_described() {
        for sku in SkuCatalogue::built_in().iter() {
            let family = MigFamilies::built_in()
                .get(sku.mig.as_ref().unwrap())
                .unwrap();
            for kind in &family.kinds {
                let of_the_gpu = sku.gpu_memory_mib * u64::from(kind.memory) / 8;
                assert!(
                    kind.memory_mib.is_none_or(|mib| mib <= of_the_gpu),
                    "{kind:?}"
                );
            }
        }
    }

    #[test]
    fn all_families_have_one_geometry_under_different_names() {
        let shape = |family: &MigFamily| -> Vec<_> {
            let of = |kind: &MigKind| (kind.id, kind.compute, kind.memory, kind.starts.clone());
            family.kinds.iter().map(of).collect()
        };
        let families = MigFamilies::built_in();
        let first = shape(families.get("A100-40GB").unwrap());
        for family in families.iter() {
            assert_eq!(shape(family), first, "{}", family.name);
            let single: Vec<_> = family
                .kinds
                .iter()
                .filter(|kind| kind.is_single())
                .collect();
            assert_eq!(single.len(), 1);
            assert!(single[0].name.as_str().ends_with("+me"));
        }
    }

    #[test]
    fn what_is_not_there_is_answered_with_what_is() {
        let families = MigFamilies::built_in();
        let h200 = families.get("H200-141GB").unwrap();
        let asked = "1g.10gb".parse().unwrap();
        assert_eq!(
            h200.kind(&asked).unwrap_err().to_string(),
            "H200-141GB gpus have no mig profile 1g.10gb: they have 1g.18gb, 1g.18gb+me, 1g.35gb, \
             2g.35gb, 3g.71gb, 4g.71gb, 7g.141gb"
        );
        assert_eq!(
            families.get("H300").unwrap_err().to_string(),
            "mig family \"H300\" is not known: one of A100-40GB, A100-80GB, B200-180GB, \
             GB200-186GB, H100-80GB, H100-NVL-94GB, H200-141GB"
        );
    }

    #[test]
    fn geometry_that_cannot_be_is_refused_by_field() {
        let family = |profile: &str| {
            MigFamilies::from_toml(&format!("[[family]]\nname = \"X\"\nprofiles = [{profile}]"))
        };
        let kind = |memory: u8, starts: &str, most: u8| {
            format!(
                "{{ name = \"2g.10gb\", id = 14, compute = 2, memory = {memory}, \
                 starts = {starts}, most = {most} }}"
            )
        };
        assert!(family(&kind(2, "[0, 2, 4]", 3)).is_ok());
        for (fault, field) in [
            (kind(9, "[0]", 1), "memory"),
            (kind(2, "[0, 7]", 2), "starts"),
            (kind(2, "[2, 0]", 2), "starts"),
            (kind(2, "[0, 1]", 2), "most"),
        ] {
            let refused = family(&fault).unwrap_err().to_string();
            assert!(
                refused.contains(&format!("profile 2g.10gb: {field} is")),
                "{refused}"
            );
        }
        let twice = format!("{0}, {0}", kind(2, "[0]", 1));
        assert!(matches!(
            family(&twice),
            Err(MigError::Profiles { given: 2, .. })
        ));
        assert!(matches!(family("1"), Err(MigError::Form(_))));
    }
}
