//! Readings by field number, several in one call, each with a return code of its own.

use crate::abi::{Code, Out, export};
use crate::simulator::{self, Device, gpu};
use leasehold_gpu_sim::{EccSince, Fault, Gpu, NvlinkErrors};
use nvml_wrapper_sys::bindings::field_id as id;
use nvml_wrapper_sys::bindings::{
    nvmlFieldValue_t, nvmlValue_t, nvmlValueType_enum_NVML_VALUE_TYPE_UNSIGNED_INT as UNSIGNED_INT,
    nvmlValueType_enum_NVML_VALUE_TYPE_UNSIGNED_LONG_LONG as UNSIGNED_LONG_LONG,
};
use std::ffi::c_int;

/// What a field holds.
enum Value {
    Int(u32),
    Long(u64),
}

/// Reads one field. What is not listed is not supported, the numbers 251 to 273 among it, whose
/// meaning depends on the driver's version.
fn read(gpu: &Gpu, field: u32, scope: u32) -> Result<Value, Fault> {
    let is_of_a_link = matches!(
        field,
        id::NVML_FI_DEV_NVLINK_GET_STATE | id::NVML_FI_DEV_NVLINK_COUNT_LINK_RECOVERY_FAILED_EVENTS
    );
    if scope != 0 && !is_of_a_link {
        return Err(Fault::NotSupported);
    }
    let ecc = |since| gpu.ecc_errors(since);
    Ok(match field {
        id::NVML_FI_DEV_ECC_CURRENT => Value::Int(gpu.ecc_mode()?.current.into()),
        id::NVML_FI_DEV_ECC_PENDING => Value::Int(gpu.ecc_mode()?.pending.into()),
        id::NVML_FI_DEV_ECC_SBE_VOL_TOTAL => Value::Long(ecc(EccSince::Volatile)?.corrected),
        id::NVML_FI_DEV_ECC_DBE_VOL_TOTAL => Value::Long(ecc(EccSince::Volatile)?.uncorrected),
        id::NVML_FI_DEV_ECC_SBE_AGG_TOTAL => Value::Long(ecc(EccSince::Aggregate)?.corrected),
        id::NVML_FI_DEV_ECC_DBE_AGG_TOTAL => Value::Long(ecc(EccSince::Aggregate)?.uncorrected),
        id::NVML_FI_DEV_TOTAL_ENERGY_CONSUMPTION => Value::Long(gpu.energy()?.0),
        id::NVML_FI_DEV_NVLINK_LINK_COUNT => Value::Int(gpu.nvlink_count()?),
        id::NVML_FI_DEV_NVLINK_GET_STATE => Value::Int(gpu.nvlink(scope)?.active.into()),
        id::NVML_FI_DEV_NVLINK_CRC_FLIT_ERROR_COUNT_TOTAL => older(gpu, |errors| errors.crc)?,
        id::NVML_FI_DEV_NVLINK_CRC_DATA_ERROR_COUNT_TOTAL => older(gpu, |_| 0)?,
        id::NVML_FI_DEV_NVLINK_REPLAY_ERROR_COUNT_TOTAL => older(gpu, |errors| errors.replays)?,
        id::NVML_FI_DEV_NVLINK_RECOVERY_ERROR_COUNT_TOTAL => {
            older(gpu, |errors| errors.recoveries)?
        }
        id::NVML_FI_DEV_NVLINK_COUNT_LINK_RECOVERY_FAILED_EVENTS => newer(gpu, scope)?,
        id::NVML_FI_DEV_PCIE_COUNT_FATAL_ERROR => Value::Int(gpu.pcie_fatal()?),
        id::NVML_FI_DEV_MEMORY_TEMP => {
            Value::Int(u32::try_from(gpu.memory_temperature()?.0).unwrap_or_default())
        }
        id::NVML_FI_DEV_PCIE_REPLAY_COUNTER => Value::Int(gpu.pcie_replays()?),
        id::NVML_FI_DEV_REMAPPED_COR => Value::Int(gpu.remapped_rows()?.corrected),
        id::NVML_FI_DEV_REMAPPED_UNC => Value::Int(gpu.remapped_rows()?.uncorrected),
        id::NVML_FI_DEV_REMAPPED_PENDING => Value::Int(gpu.remapped_rows()?.pending.into()),
        id::NVML_FI_DEV_REMAPPED_FAILURE => Value::Int(gpu.remapped_rows()?.failure.into()),
        id::NVML_FI_DEV_POWER_INSTANT => watts(gpu.power_draw()?),
        id::NVML_FI_DEV_POWER_MIN_LIMIT => watts(gpu.power_limits()?.min),
        id::NVML_FI_DEV_POWER_MAX_LIMIT => watts(gpu.power_limits()?.max),
        id::NVML_FI_DEV_POWER_DEFAULT_LIMIT => watts(gpu.power_limits()?.default),
        id::NVML_FI_DEV_POWER_CURRENT_LIMIT => watts(gpu.power_limits()?.enforced),
        id::NVML_FI_DEV_POWER_REQUESTED_LIMIT => watts(gpu.power_limits()?.requested),
        id::NVML_FI_DEV_GET_GPU_RECOVERY_ACTION => Value::Int(gpu.recovery_action()?.code()),
        _ => return Err(Fault::NotSupported),
    })
}

/// What links of generation 4 and before count, all of a GPU's together.
fn older(gpu: &Gpu, count: impl FnOnce(NvlinkErrors) -> u64) -> Result<Value, Fault> {
    match gpu.nvlink_errors()? {
        (errors, ..=4) => Ok(Value::Long(count(errors))),
        _ => Err(Fault::NotSupported),
    }
}

/// What links of generation 5 and after count, each for itself. All of the model's are the first link's.
fn newer(gpu: &Gpu, link: u32) -> Result<Value, Fault> {
    match gpu.nvlink_errors()? {
        (_, ..=4) => Err(Fault::NotSupported),
        (errors, _) if link == 0 => Ok(Value::Long(errors.failed_recoveries)),
        _ if link < gpu.nvlink_count()? => Ok(Value::Long(0)),
        _ => Err(Fault::InvalidArgument),
    }
}

fn watts(power: leasehold_common::units::MilliWatts) -> Value {
    Value::Int(crate::power::milliwatts(power))
}

fn answer(gpu: &Gpu, field: &mut nvmlFieldValue_t) {
    field.timestamp = simulator::now().unix_ms() * 1000;
    field.latencyUsec = 0;
    match read(gpu, field.fieldId, field.scopeId) {
        Ok(Value::Int(value)) => {
            field.nvmlReturn = 0;
            field.valueType = UNSIGNED_INT;
            // All eight bytes are set, for callers that read more of the union than they should.
            field.value = nvmlValue_t {
                ullVal: value.into(),
            };
        }
        Ok(Value::Long(value)) => {
            field.nvmlReturn = 0;
            field.valueType = UNSIGNED_LONG_LONG;
            field.value = nvmlValue_t { ullVal: value };
        }
        Err(fault) => field.nvmlReturn = fault.code(),
    }
}

export! {
    /// Reads fields. One that fails says so in its own place; only a GPU that is gone fails the
    /// call.
    fn nvmlDeviceGetFieldValues(device: Device, count: c_int, values: Out<nvmlFieldValue_t>) {
        let count = usize::try_from(count).ok().filter(|count| *count > 0);
        let count = count.ok_or(Code::INVALID_ARGUMENT)?;
        gpu(device, |gpu| {
            gpu.on_bus()?;
            values.each(count, |field| answer(gpu, field)).map_err(|_| Fault::InvalidArgument)
        })
    }
}
