//! How full the filesystems are that the agent and the system's logs need.

use leasehold_agent_core::node_health::DiskFill;
use nix::sys::statvfs::statvfs;
use std::path::{Path, PathBuf};

/// Of those of these folders that are there.
pub fn look(folders: &[PathBuf]) -> Vec<DiskFill> {
    folders.iter().filter_map(|folder| fill(folder)).collect()
}

/// As `df` tells it: what is used of what may be used, blocks for root aside, rounded up.
fn fill(folder: &Path) -> Option<DiskFill> {
    let disk = statvfs(folder).ok()?;
    let used = disk.blocks().saturating_sub(disk.blocks_free());
    let usable = used.saturating_add(disk.blocks_available());
    let percent = used.saturating_mul(100).checked_div(usable)?;
    let above = percent.saturating_mul(usable) < used.saturating_mul(100);
    Some(DiskFill {
        of: folder.display().to_string(),
        percent: u8::try_from(percent + u64::from(above)).unwrap_or(100),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_is_there_has_a_fill_and_another_has_none() {
        let folders = [PathBuf::from("/"), PathBuf::from("/no/such/folder")];
        let found = look(&folders);
        assert_eq!(found.len(), 1);
        assert!(found[0].of == "/" && found[0].percent <= 100, "{found:?}");
    }
}
