//! `<state_dir>/health.json`: what is remembered of each GPU, so that no restart heals one.

use super::{DiskError, Durability, replace, versioned};
use leasehold_agent_core::verdict::GpuState;
use leasehold_common::ids::GpuUuid;
use leasehold_common::record::Version;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

/// The file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthFile(PathBuf);

/// What is in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remembered {
    /// Form of the record.
    pub version: Version,
    /// The boot in which it was written.
    pub boot_id: String,
    /// The last record of the kernel's log that was taken, by its number since that boot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernel_seq: Option<u64>,
    /// What is known of each GPU.
    #[serde(default)]
    pub gpus: BTreeMap<GpuUuid, GpuState>,
}

impl HealthFile {
    /// In this folder.
    pub fn new(state_dir: &Path) -> Self {
        Self(state_dir.join("health.json"))
    }

    /// What is there; nothing where there is no file.
    ///
    /// # Errors
    /// A file that cannot be read, in words. It is put aside, for whoever wants to know.
    pub fn load(&self) -> Result<Option<Remembered>, String> {
        match versioned(&self.0) {
            Ok(remembered) => Ok(Some(remembered)),
            Err(_) if !self.0.exists() => Ok(None),
            Err(why) => {
                let aside = self.0.with_extension("unreadable");
                let kept = match std::fs::rename(&self.0, &aside) {
                    Ok(()) => format!("put aside as {}", aside.display()),
                    Err(e) => said(&e),
                };
                Err(format!("{}: {why}; {kept}", self.0.display()))
            }
        }
    }

    /// Puts it on disk. When this returns it is there for good.
    ///
    /// # Errors
    /// A disk that does not take it; what was there before still is.
    pub fn keep(&self, remembered: &Remembered) -> Result<(), DiskError> {
        let text = serde_json::to_vec(remembered).expect("keys are strings and numbers");
        replace(&self.0, &text, Durability::Synced)
    }
}

fn said(e: &io::Error) -> String {
    format!("it could not be put aside: {e}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remembered() -> Remembered {
        let gpu = "GPU-00000000-0000-0000-0000-000000000001".parse().unwrap();
        Remembered {
            version: Version::CURRENT,
            boot_id: "b1".into(),
            kernel_seq: Some(1789),
            gpus: BTreeMap::from([(gpu, GpuState::default())]),
        }
    }

    #[test]
    fn what_is_kept_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let file = HealthFile::new(folder.path());
        assert_eq!(file.load(), Ok(None));
        file.keep(&remembered()).unwrap();
        assert_eq!(file.load(), Ok(Some(remembered())));
    }

    #[test]
    fn a_file_that_cannot_be_read_is_named_and_put_aside() {
        let folder = tempfile::tempdir().unwrap();
        let file = HealthFile::new(folder.path());
        std::fs::write(folder.path().join("health.json"), "{\"gpus\":").unwrap();
        let why = file.load().unwrap_err();
        assert!(
            why.contains("health.json") && why.contains("put aside"),
            "{why}"
        );
        assert!(folder.path().join("health.unreadable").exists());
        assert_eq!(file.load(), Ok(None), "the next start is not told again");
    }

    #[test]
    fn a_file_of_a_later_form_is_not_guessed_at() {
        let folder = tempfile::tempdir().unwrap();
        let file = HealthFile::new(folder.path());
        let later = r#"{"version":{"written":9,"min_reader":9},"boot_id":"b1"}"#;
        std::fs::write(folder.path().join("health.json"), later).unwrap();
        let why = file.load().unwrap_err();
        assert!(why.contains('9'), "{why}");
    }
}
