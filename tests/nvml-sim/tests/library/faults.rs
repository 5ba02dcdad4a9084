//! Errors, buffers that are too small, GPUs that are lost or hang: the codes NVML gives.

use crate::support::{Rig, h200};
use leasehold_gpu_sim::{Call, Change, Fault, NodeSpec, RecoveryAction, Scenario, Slot};
use nvml_wrapper::Device;
use nvml_wrapper::enum_wrappers::device::TemperatureSensor;
use nvml_wrapper::enums::device::SampleValue;
use nvml_wrapper::error::NvmlError;
use nvml_wrapper::structs::device::FieldId;
use nvml_wrapper::sys_exports::field_id as id;
use std::ffi::{CStr, c_char};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

const THIRD: Slot = Slot(2);

fn uint(gpu: &Device<'_>, field: u32) -> Result<u64, NvmlError> {
    let sample = gpu.field_values_for(&[FieldId(field)])?.remove(0)?;
    match sample.value? {
        SampleValue::U32(value) => Ok(value.into()),
        SampleValue::U64(value) => Ok(value),
        other => panic!("field {field} is {other:?}"),
    }
}

#[test]
fn a_lost_gpu_says_so_in_every_call_and_its_neighbours_go_on() {
    let mut rig = Rig::new();
    rig.happen(Change::LoseGpu { gpu: THIRD });
    assert_eq!(rig.nvml.device_count().unwrap(), 8, "it is still counted");
    assert!(matches!(
        rig.nvml.device_by_index(2),
        Err(NvmlError::GpuLost)
    ));
    assert!(rig.gpu(3).power_usage().is_ok());
    rig.happen(Change::RestoreGpu { gpu: THIRD });
    assert!(rig.gpu(2).power_usage().is_ok());
}

#[test]
fn a_handle_outlives_the_gpu_it_names() {
    let mut rig = Rig::new();
    let uuid = rig.gpu(2).uuid().unwrap();
    rig.happen(Change::SetRecoveryAction {
        gpu: THIRD,
        action: RecoveryAction::NodeReboot,
    });
    {
        let gpu = rig.gpu(2);
        assert_eq!(
            uint(&gpu, id::NVML_FI_DEV_GET_GPU_RECOVERY_ACTION).unwrap(),
            2
        );
    }
    #[expect(
        unsafe_code,
        reason = "a second handle, so that the rig can change under the first"
    )]
    // SAFETY: the handle was just given by this library and is used with this library only.
    let handle = unsafe { rig.gpu(2).handle() };
    rig.happen(Change::LoseGpu { gpu: THIRD });
    #[expect(unsafe_code, reason = "see above")]
    // SAFETY: see above.
    let gpu = unsafe { Device::new(handle, &rig.nvml) };
    assert!(matches!(gpu.power_usage(), Err(NvmlError::GpuLost)));
    assert!(matches!(gpu.uuid(), Err(NvmlError::GpuLost)));
    let fields = gpu.field_values_for(&[FieldId(id::NVML_FI_DEV_GET_GPU_RECOVERY_ACTION)]);
    assert!(matches!(fields, Err(NvmlError::GpuLost)));
    assert!(matches!(
        rig.nvml.device_by_uuid(uuid),
        Err(NvmlError::GpuLost)
    ));
}

#[test]
fn a_gpu_that_is_not_found_moves_the_others_up() {
    let mut rig = Rig::new();
    let fourth = rig.gpu(3).uuid().unwrap();
    rig.happen(Change::RemoveGpu { gpu: THIRD });
    assert_eq!(rig.nvml.device_count().unwrap(), 7);
    assert_eq!(rig.gpu(2).uuid().unwrap(), fourth);
    assert_eq!(rig.gpu(2).index().unwrap(), 2);
    assert!(matches!(
        rig.nvml.device_by_index(7),
        Err(NvmlError::InvalidArg)
    ));
}

#[test]
fn one_failing_call_costs_that_reading() {
    let mut rig = Rig::new();
    rig.happen(Change::FailCall {
        gpu: THIRD,
        call: Call::PowerDraw,
        fault: Fault::Unknown,
    });
    let call = Call::EccErrors;
    rig.happen(Change::FailCall {
        gpu: THIRD,
        call,
        fault: Fault::NotSupported,
    });
    let gpu = rig.gpu(2);
    assert!(matches!(gpu.power_usage(), Err(NvmlError::Unknown)));
    assert!(gpu.temperature(TemperatureSensor::Gpu).is_ok());
    assert!(gpu.memory_info().is_ok());

    let asked = [
        id::NVML_FI_DEV_ECC_DBE_VOL_TOTAL,
        id::NVML_FI_DEV_GET_GPU_RECOVERY_ACTION,
        id::NVML_FI_DEV_POWER_INSTANT,
        id::NVML_FI_DEV_TOTAL_ENERGY_CONSUMPTION,
    ];
    let fields = gpu.field_values_for(&asked.map(FieldId)).unwrap();
    let read: Vec<bool> = fields
        .into_iter()
        .map(|field| field.unwrap().value.is_ok())
        .collect();
    assert_eq!(
        read,
        [false, true, false, true],
        "each field has its own code"
    );
}

#[test]
fn a_hung_gpu_keeps_its_caller_and_nobody_else() {
    let rig = Rig::new();
    let mut hand = rig.hand();
    let stuck = rig.gpu(2);
    hand.happen(Change::SetHung {
        gpu: THIRD,
        hung: true,
    });
    let (answered, answer) = mpsc::channel();
    thread::scope(|scope| {
        scope.spawn(move || answered.send(stuck.power_usage().is_ok()));
        for other in [0, 1, 3, 4, 5, 6, 7] {
            assert!(rig.gpu(other).power_usage().is_ok());
        }
        assert!(
            answer.recv_timeout(Duration::from_millis(100)).is_err(),
            "it does not return"
        );
        hand.happen(Change::SetHung {
            gpu: THIRD,
            hung: false,
        });
        assert_eq!(answer.recv_timeout(Duration::from_secs(20)), Ok(true));
    });
}

#[test]
fn a_driver_that_does_not_match_fails_the_initialisation() {
    let scenario = Scenario::new(h200());
    let mut rig = Rig::of(scenario);
    rig.happen(Change::FailDriver {
        fault: Fault::LibRmVersionMismatch,
    });
    assert!(matches!(
        rig.try_second_client(),
        Err(NvmlError::LibRmVersionMismatch)
    ));
    assert!(matches!(
        rig.nvml.device_count(),
        Err(NvmlError::LibRmVersionMismatch)
    ));
    rig.happen(Change::HealDriver);
    assert_eq!(rig.second_client().device_count().unwrap(), 8);
}

#[test]
fn what_does_not_exist_is_not_found() {
    let rig = Rig::new();
    assert!(matches!(
        rig.nvml.device_by_index(8),
        Err(NvmlError::InvalidArg)
    ));
    assert!(matches!(
        rig.nvml.device_by_uuid("GPU-nobody"),
        Err(NvmlError::NotFound)
    ));
    assert!(matches!(
        rig.nvml.device_by_pci_bus_id("0000:aa:00.0"),
        Err(NvmlError::NotFound)
    ));
    assert!(matches!(
        rig.nvml.device_by_pci_bus_id("nonsense"),
        Err(NvmlError::InvalidArg)
    ));
    // NVML_FI_DEV_C2C_LINK_ERROR_INTR: there is no CPU of NVIDIA's beside it.
    let absent = uint(&rig.gpu(0), 231);
    assert!(
        matches!(absent, Err(NvmlError::NotSupported)),
        "C2C has no model"
    );
}

#[test]
fn a_structure_of_another_version_is_refused_and_an_older_one_is_filled_as_far_as_it_goes() {
    let rig = Rig::new();
    let gpu = rig.gpu(0);
    let call = rig.nvml.lib().nvmlDeviceGetGpuFabricInfoV.as_ref().unwrap();
    let filled = |version: u32| {
        // One more word than version 2 has, which must stay as it is.
        let mut words = [0xAAAA_AAAA_u32; 10];
        words[0] = version;
        let pointer: *mut [u32; 10] = &raw mut words;
        #[expect(unsafe_code, reason = "the wrapper has no call for this")]
        // SAFETY: the handle is of a library that outlives the call; the structure is as large as the
        // largest version, whatever its first word says.
        let code = unsafe { call(gpu.handle(), pointer.cast()) };
        (code, words[9])
    };
    assert_eq!(filled(40 | 3 << 24).0, 0);
    assert_eq!(filled(36 | 2 << 24), (0, 0xAAAA_AAAA));
    assert_eq!(filled(36 | 4 << 24).0, 25);
    assert_eq!(filled(0).0, 25);
}

#[test]
fn a_handle_that_was_never_given_is_refused() {
    let rig = Rig::new();
    for handle in [0, 8, 0x10_0001, 0x10_0900, 0x20_0100, usize::MAX] {
        #[expect(unsafe_code, reason = "a handle nobody gave")]
        // SAFETY: unsound with NVIDIA's library; this one promises never to follow a handle, and
        // that promise is what is tested.
        let gpu = unsafe { Device::new(std::ptr::without_provenance_mut(handle), &rig.nvml) };
        assert!(
            matches!(gpu.power_usage(), Err(NvmlError::InvalidArg)),
            "{handle:#x}"
        );
    }
}

#[test]
fn buffers_that_are_null_or_too_small_are_refused() {
    let rig = Rig::new();
    let gpu = rig.gpu(0);
    let name = rig.nvml.lib().nvmlDeviceGetName.as_ref().unwrap();
    let power = rig.nvml.lib().nvmlDeviceGetPowerUsage.as_ref().unwrap();
    let mut buffer: [c_char; 12] = [0; 12];
    #[expect(unsafe_code, reason = "the wrapper never gives such buffers")]
    // SAFETY: the handle belongs to the library, which outlives the calls; each length given is at
    // most that of the buffer; null is what the library promises to refuse.
    let codes = unsafe {
        [
            name(gpu.handle(), buffer.as_mut_ptr(), 11),
            name(gpu.handle(), std::ptr::null_mut(), 12),
            power(gpu.handle(), std::ptr::null_mut()),
            name(gpu.handle(), buffer.as_mut_ptr(), 12),
        ]
    };
    assert_eq!(
        codes,
        [7, 2, 2, 0],
        "\"NVIDIA H200\" is eleven letters and a zero"
    );
}

#[test]
fn nothing_works_after_the_last_shutdown_and_everything_after_the_next_start() {
    let rig = Rig::new();
    rig.gpu(0).set_power_management_limit(500_000).unwrap();
    let shutdown = rig.nvml.lib().nvmlShutdown.as_ref().unwrap();
    let init = rig.nvml.lib().nvmlInit_v2.as_ref().unwrap();
    #[expect(unsafe_code, reason = "the wrapper shuts down only when it is dropped")]
    // SAFETY: no arguments.
    let (first, second) = unsafe { (shutdown(), shutdown()) };
    assert_eq!((first, second), (0, 1), "uninitialized");
    assert!(matches!(
        rig.nvml.device_count(),
        Err(NvmlError::Uninitialized)
    ));
    #[expect(unsafe_code, reason = "see above")]
    // SAFETY: no arguments.
    let code = unsafe { init() };
    assert_eq!(code, 0);
    let kept = rig.gpu(0).enforced_power_limit().unwrap();
    assert_eq!(kept, 500_000, "the driver was not unloaded");
}

#[test]
fn a_struct_of_the_wrong_version_is_refused() {
    let rig = Rig::new();
    let gpu = rig.gpu(0);
    let memory = rig.nvml.lib().nvmlDeviceGetMemoryInfo_v2.as_ref().unwrap();
    let mut info = nvml_wrapper_sys::bindings::nvmlMemory_v2_t {
        version: 0x0300_0028,
        total: 0,
        reserved: 0,
        free: 0,
        used: 0,
    };
    #[expect(unsafe_code, reason = "the wrapper always gives the right version")]
    // SAFETY: the handle belongs to the library, which outlives the call; the struct is a local.
    let code = unsafe { memory(gpu.handle(), &mut info) };
    assert_eq!((code, info.total), (25, 0));
}

#[test]
fn codes_have_words() {
    let rig = Rig::new();
    let words = rig.nvml.lib().nvmlErrorString.as_ref().unwrap();
    let say = |code| {
        #[expect(unsafe_code, reason = "raw call")]
        // SAFETY: the library returns a static string for every number.
        let text = unsafe { CStr::from_ptr(words(code)) };
        text.to_str().unwrap().to_owned()
    };
    assert_eq!(
        (say(0), say(15), say(12_345)),
        (
            "Success".into(),
            "GPU is lost".into(),
            "Unknown Error".into()
        )
    );
}

#[test]
fn the_fields_are_found_whichever_numbering_the_driver_has() {
    for driver in ["575.57.08", "580.95.05"] {
        let spec = NodeSpec {
            driver: driver.to_owned(),
            ..h200()
        };
        let rig = Rig::of(Scenario::new(spec));
        assert_eq!(rig.nvml.sys_driver_version().unwrap(), driver);
        let gpu = rig.gpu(0);
        assert_eq!(
            uint(&gpu, id::NVML_FI_DEV_GET_GPU_RECOVERY_ACTION).unwrap(),
            0
        );
        assert_eq!(uint(&gpu, id::NVML_FI_DEV_NVLINK_LINK_COUNT).unwrap(), 18);
        assert!(matches!(uint(&gpu, 252), Err(NvmlError::NotSupported)));
    }
}
