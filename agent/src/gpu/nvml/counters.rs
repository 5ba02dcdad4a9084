//! Counters of errors that are told field by field. What a GPU or driver does not count is absent, and
//! unsupported where it counts none of a kind.

use super::raw;
use super::sample::NVLINKS;
use leasehold_agent_core::sample::{NvLinkErrors, RetiredPages};
use nvml_wrapper::enum_wrappers::device::RetirementCause;
use nvml_wrapper::error::NvmlError;
use nvml_wrapper::{Device, Nvml};

/// `NVML_FI_DEV_NVLINK_CRC_FLIT_ERROR_COUNT_TOTAL`.
const CRC_FLITS: u32 = 38;
/// `NVML_FI_DEV_NVLINK_CRC_DATA_ERROR_COUNT_TOTAL`.
const CRC_DATA: u32 = 45;
/// `NVML_FI_DEV_NVLINK_REPLAY_ERROR_COUNT_TOTAL`.
const REPLAYS: u32 = 52;
/// `NVML_FI_DEV_NVLINK_RECOVERY_ERROR_COUNT_TOTAL`.
const RECOVERIES: u32 = 59;
/// `NVML_FI_DEV_PCIE_COUNT_FATAL_ERROR`.
const PCIE_FATAL: u32 = 180;
/// `NVML_FI_DEV_NVLINK_COUNT_LINK_RECOVERY_FAILED_EVENTS`, of each link.
const FAILED_RECOVERIES: u32 = 214;
/// `NVML_FI_DEV_C2C_LINK_ERROR_INTR`.
const C2C_ERRORS: u32 = 231;

/// Over all links, in one call.
pub(super) fn nvlink_errors(nvml: &Nvml, gpu: &Device<'_>) -> Result<NvLinkErrors, NvmlError> {
    let totals = [CRC_FLITS, CRC_DATA, REPLAYS, RECOVERIES].map(|field| (field, 0));
    let links = (0..NVLINKS).map(|link| (FAILED_RECOVERIES, link));
    let asked: Vec<(u32, u32)> = totals.into_iter().chain(links).collect();
    let mut told = Vec::with_capacity(asked.len());
    for answer in raw::fields(nvml, gpu, &asked)? {
        told.push(counted(answer)?);
    }
    let (totals, links) = told.split_at(totals.len());
    let errors = NvLinkErrors {
        crc: sum(&totals[..2]),
        replays: totals[2],
        recoveries: totals[3],
        failed_recoveries: sum(links),
    };
    if errors.are_counted() {
        Ok(errors)
    } else {
        Err(NvmlError::NotSupported)
    }
}

/// Of the link between GPU and CPU.
pub(super) fn c2c_errors(nvml: &Nvml, gpu: &Device<'_>) -> Result<u64, NvmlError> {
    one(nvml, gpu, C2C_ERRORS)
}

/// Of PCIe, those after which the link is set up again.
pub(super) fn pcie_fatal(nvml: &Nvml, gpu: &Device<'_>) -> Result<u64, NvmlError> {
    one(nvml, gpu, PCIE_FATAL)
}

/// Of both causes. GPUs from Ampere on have none: they replace rows.
pub(super) fn retired_pages(gpu: &Device<'_>) -> Result<RetiredPages, NvmlError> {
    let single = gpu.retired_pages(RetirementCause::MultipleSingleBitEccErrors)?;
    let double = gpu.retired_pages(RetirementCause::DoubleBitEccError)?;
    Ok(RetiredPages {
        count: u32::try_from(single.len() + double.len()).unwrap_or(u32::MAX),
        pending: gpu.are_pages_pending_retired()?,
    })
}

fn one(nvml: &Nvml, gpu: &Device<'_>, field: u32) -> Result<u64, NvmlError> {
    let mut told = raw::fields(nvml, gpu, &[(field, 0)])?;
    told.pop().ok_or(NvmlError::NotFound)?
}

/// Nothing where a GPU or driver does not count it, or has no such link.
fn counted(answer: Result<u64, NvmlError>) -> Result<Option<u64>, NvmlError> {
    match answer {
        Ok(count) => Ok(Some(count)),
        Err(NvmlError::NotSupported | NvmlError::InvalidArg) => Ok(None),
        Err(e) => Err(e),
    }
}

/// Of what is counted at all.
fn sum(counts: &[Option<u64>]) -> Option<u64> {
    counts.iter().flatten().copied().reduce(u64::saturating_add)
}
