//! An SXid: the driver reports an error of one NVSwitch.

use super::pci::PciAddress;
use super::severity::Severity;
use super::text::{decimal, plain};
use std::fmt;

/// What the name of a switch begins with.
const NAME: &str = "nvidia-nvswitch";

/// What follows the name.
const MARK: &str = "SXid (PCI:";

/// An error that the driver reports of a switch (Fabric Manager User Guide, "Runtime NVSwitch and
/// GPU Errors").
///
/// `nvidia-nvswitch3: SXid (PCI:0000:c1:00.0): 28006, Non-fatal, Link 46 MC TS crumbstore MCTO (First)`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SXid {
    /// The number that the driver gave the switch. It changes with the order in which they are found.
    pub switch: u32,
    /// Where the switch is.
    pub pci: PciAddress,
    /// Which error.
    pub code: u32,
    /// Whether it is fatal. Nothing where this is a line of detail that belongs to the line before
    /// it (`Severity 0 Engine instance 46 …`, `Data {0x00140004, …}`): no error of its own.
    pub severity: Option<Severity>,
    /// What the driver says of it, without control characters and cut to 512.
    pub text: String,
}

impl SXid {
    /// Reads the message of one record; nothing where it is no SXid.
    pub fn read(message: &str) -> Option<Self> {
        let (switch, rest) = message.strip_prefix(NAME)?.split_once(' ')?;
        let switch = decimal(switch.strip_suffix(':').unwrap_or(switch))?;
        let (pci, rest) = rest.trim_start().strip_prefix(MARK)?.split_once(')')?;
        let rest = rest.strip_prefix(':')?.trim_start();
        let (code, rest) = rest.split_once(',').unwrap_or((rest.trim_end(), ""));
        let (first, after) = rest.split_once(',').unwrap_or((rest, ""));
        let severity = Severity::read(first.trim());
        let text = if severity.is_some() { after } else { rest };
        Some(Self {
            switch,
            pci: pci.parse().ok()?,
            code: decimal(code)?,
            severity,
            text: plain(text),
        })
    }

    /// The link of the switch that is concerned, where the line names one.
    pub fn link(&self) -> Option<u32> {
        decimal(self.text.strip_prefix("Link ")?.split(' ').next()?)
    }
}

/// As the driver writes it.
impl fmt::Display for SXid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            switch,
            pci,
            code,
            severity,
            text,
        } = self;
        write!(f, "{NAME}{switch}: {MARK}{pci}.0): {code:05}, ")?;
        if let Some(severity) = severity {
            write!(f, "{severity}, ")?;
        }
        f.write_str(text)
    }
}
