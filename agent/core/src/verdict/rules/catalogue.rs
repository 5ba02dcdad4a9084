//! The XIDs that NVIDIA documents, and what a lessor of GPUs makes of each.
//!
//! `agent/core/rules/xid.json`: NVIDIA's XID catalogue of 2025-10-29 (172 codes) and 173. Names are NVIDIA's;
//! words, classes and actions are ours.

use serde::Deserialize;
use std::sync::OnceLock;

const CATALOGUE: &str = include_str!("../../../rules/xid.json");

/// One XID.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    pub xid: u32,
    pub name: String,
    pub words: String,
    pub class: Class,
    pub action: Policy,
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
        pub enum $name {
            $(#[serde(rename = $word)] $variant,)+
        }

        impl $name {
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }
        }
    };
}

words! {
    /// Whose fault it is.
    Class {
        AppFault = "app-fault",
        HardwareFault = "hardware-fault",
        Driver = "driver",
        Fabric = "fabric",
        ThermalPower = "thermal-power",
        Unused = "unused",
    }
}

words! {
    /// What is done about it.
    Policy {
        Ignore = "ignore",
        RestartApp = "restart-app",
        Check = "check",
        ResetGpu = "reset-gpu",
        RebootNode = "reboot-node",
        DrainRma = "drain-rma",
    }
}

/// Every XID, by number.
pub fn entries() -> &'static [Entry] {
    static ENTRIES: OnceLock<Vec<Entry>> = OnceLock::new();
    ENTRIES.get_or_init(|| serde_json::from_str(CATALOGUE).expect("the catalogue is tested"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_catalogue_has_every_code_once_and_in_order() {
        let codes: Vec<u32> = entries().iter().map(|entry| entry.xid).collect();
        assert!(codes.windows(2).all(|pair| pair[0] < pair[1]));
        assert_eq!((codes.len(), codes.last()), (173, Some(&173)));
        assert!(
            entries()
                .iter()
                .all(|e| !e.name.is_empty() && !e.words.is_empty())
        );
    }
}
