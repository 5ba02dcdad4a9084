//! Events reach those who wait for them, the way NVML's do.

use crate::support::Rig;
use leasehold_gpu_sim::{Call, Change, EccSeverity, Fault, RecoveryAction, Slot};
use nvml_wrapper::bitmasks::event::EventTypes;
use nvml_wrapper::enums::event::XidError;
use nvml_wrapper::error::NvmlError;

const FIRST: Slot = Slot(0);
/// Long enough for the library to look at its file, whatever the machine is doing.
const PATIENT_MS: u32 = 20_000;
const ALL_BITS: u64 = 0x1 | 0x2 | 0x8 | 0x4000 | 0x8000;

fn raise(xid: u32) -> Change {
    Change::RaiseXid { gpu: FIRST, xid }
}

#[test]
fn an_xid_wakes_its_waiter() {
    let mut rig = Rig::new();
    rig.happen(raise(13));
    let uuid = rig.gpu(0).uuid().unwrap();
    let mask = rig.gpu(0).supported_event_types().unwrap();
    assert_eq!(mask, EventTypes::from_bits_truncate(ALL_BITS));

    // The set borrows the rig's library, so the file is written by a second hand.
    let mut hand = rig.hand();
    let set = rig.nvml.create_event_set().unwrap();
    let set = rig
        .gpu(0)
        .register_events(mask, set)
        .map_err(|failed| failed.error)
        .unwrap();
    assert!(
        matches!(set.wait(0), Err(NvmlError::Timeout)),
        "what was before is not delivered"
    );

    hand.happen(raise(79));
    let event = set.wait(PATIENT_MS).unwrap();
    assert_eq!(event.event_type, EventTypes::CRITICAL_XID_ERROR);
    assert_eq!(event.device.uuid().unwrap(), uuid);
    assert_eq!(event.event_data, Some(XidError::Value(79)));
    assert!(
        matches!(set.wait(20), Err(NvmlError::Timeout)),
        "delivered once"
    );
}

#[test]
fn of_several_xids_between_two_waits_the_last_survives() {
    let rig = Rig::new();
    let mut hand = rig.hand();
    let set = rig.nvml.create_event_set().unwrap();
    let mask = EventTypes::CRITICAL_XID_ERROR | EventTypes::DOUBLE_BIT_ECC_ERROR;
    let set = rig
        .gpu(0)
        .register_events(mask, set)
        .map_err(|failed| failed.error)
        .unwrap();
    hand.happen(raise(48));
    hand.happen(Change::InjectEcc {
        gpu: FIRST,
        severity: EccSeverity::Uncorrected,
        count: 1,
    });
    hand.happen(raise(95));

    let first = set.wait(PATIENT_MS).unwrap();
    assert_eq!(first.event_data, Some(XidError::Value(95)), "48 is lost");
    let second = set.wait(PATIENT_MS).unwrap();
    assert_eq!(second.event_type, EventTypes::DOUBLE_BIT_ECC_ERROR);
    assert!(matches!(set.wait(20), Err(NvmlError::Timeout)));
}

#[test]
fn only_what_was_registered_for_is_delivered() {
    let rig = Rig::new();
    let mut hand = rig.hand();
    let set = rig.nvml.create_event_set().unwrap();
    let mask = EventTypes::DOUBLE_BIT_ECC_ERROR;
    let set = rig
        .gpu(0)
        .register_events(mask, set)
        .map_err(|failed| failed.error)
        .unwrap();
    hand.happen(raise(79));
    hand.happen(Change::InjectEcc {
        gpu: Slot(1),
        severity: EccSeverity::Uncorrected,
        count: 1,
    });
    hand.happen(Change::InjectEcc {
        gpu: FIRST,
        severity: EccSeverity::Uncorrected,
        count: 1,
    });
    let event = set.wait(PATIENT_MS).unwrap();
    assert_eq!(event.device.index().unwrap(), 0);
    assert!(matches!(set.wait(20), Err(NvmlError::Timeout)));
}

#[test]
fn a_gpu_that_goes_and_a_driver_that_wants_something_are_told_raw() {
    let rig = Rig::new();
    let mut hand = rig.hand();
    let set = rig.nvml.create_event_set().unwrap();
    let mask = EventTypes::from_bits_retain(0x4000 | 0x8000);
    let set = rig
        .gpu(0)
        .register_events(mask, set)
        .map_err(|failed| failed.error)
        .unwrap();
    hand.happen(Change::SetRecoveryAction {
        gpu: FIRST,
        action: RecoveryAction::GpuReset,
    });
    hand.happen(Change::LoseGpu { gpu: FIRST });

    let wait = rig.nvml.lib().nvmlEventSetWait_v2.as_ref().unwrap();
    let told: Vec<(u64, u64)> = (0..2)
        .map(|_| {
            #[expect(unsafe_code, reason = "the wrapper drops event bits it does not know")]
            // SAFETY: the struct is plain numbers and a pointer, for which zeros are valid; the set
            // is alive during the call.
            let (code, data) = unsafe {
                let mut data = std::mem::zeroed::<nvml_wrapper_sys::bindings::nvmlEventData_t>();
                (wait(set.handle(), &mut data, PATIENT_MS), data)
            };
            assert_eq!(code, 0);
            (data.eventType, data.eventData)
        })
        .collect();
    assert_eq!(told, [(0x8000, 1), (0x4000, 0)]);
}

#[test]
fn a_type_that_no_gpu_has_is_refused_and_so_is_a_call_made_to_fail() {
    let mut rig = Rig::new();
    let refused = |rig: &Rig, mask| {
        let set = rig.nvml.create_event_set().unwrap();
        rig.gpu(0)
            .register_events(mask, set)
            .map(|_| ())
            .unwrap_err()
            .error
    };
    assert!(matches!(
        refused(&rig, EventTypes::CLOCK_CHANGE),
        NvmlError::NotSupported
    ));
    rig.happen(Change::FailCall {
        gpu: FIRST,
        call: Call::Events,
        fault: Fault::NoPermission,
    });
    assert!(matches!(
        refused(&rig, EventTypes::CRITICAL_XID_ERROR),
        NvmlError::NoPermission
    ));
}

#[test]
fn a_set_that_was_freed_is_unknown() {
    let rig = Rig::new();
    let set = rig.nvml.create_event_set().unwrap();
    #[expect(unsafe_code, reason = "the wrapper cannot use a set it has freed")]
    // SAFETY: this library knows its sets by number and follows no handle.
    let handle = unsafe { set.handle() };
    set.release_events().unwrap();
    let free = rig.nvml.lib().nvmlEventSetFree.as_ref().unwrap();
    #[expect(unsafe_code, reason = "see above")]
    // SAFETY: see above.
    let code = unsafe { free(handle) };
    assert_eq!(code, 2);
}
