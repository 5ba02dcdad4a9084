//! What operators say.

use super::*;
use crate::sample::Contact;
use leasehold_common::units::Celsius;

fn says(gpu: &Gpu, verdict: Verdict, length: Span) -> Event {
    Event::Override {
        word: word(gpu.now, length),
        verdict,
    }
}

#[test]
fn an_override_holds_until_it_expires_and_what_is_beneath_goes_on() {
    let mut gpu = Gpu::new();
    gpu.xid(95, "");
    gpu.tell(&[says(&gpu, Verdict::Healthy, Span::from_mins(10))]);
    assert_eq!(gpu.state.verdict(), Verdict::Healthy);
    let finding = gpu.finding(&HealthReason::OperatorOverride);
    assert!(finding.evidence.starts_with("ada says healthy until 2027-"));
    assert!(finding.evidence.ends_with(": seen to"));
    assert_eq!(
        gpu.state.action(),
        Action::ResetGpu,
        "what is to be done is still told"
    );
    gpu.stays(&idle(), 599);
    assert_eq!(gpu.state.verdict(), Verdict::Healthy);
    gpu.stays(&idle(), 1);
    assert_eq!(gpu.state.verdict(), Verdict::Unhealthy);
    assert_eq!(gpu.state.reasons(), [HealthReason::MemoryFault]);
}

#[test]
fn a_gpu_can_be_taken_out_by_word_and_put_back() {
    let mut gpu = Gpu::new();
    gpu.tell(&[says(&gpu, Verdict::Unhealthy, Span::from_hours(1))]);
    assert_eq!(gpu.state.reasons(), [HealthReason::OperatorOverride]);
    gpu.stays(&idle(), 60);
    gpu.tell(&[Event::Withdraw { at: gpu.now }]);
    gpu.is_healthy("withdrawn");
}

#[test]
fn nobodys_word_makes_a_gpu_answer() {
    for contact in [Contact::Lost, Contact::Missing, Contact::Unresponsive] {
        let mut gpu = Gpu::new();
        gpu.tell(&[says(&gpu, Verdict::Healthy, Span::from_hours(1))]);
        gpu.stays(&GpuSample::silent(contact, "gone"), 1);
        assert!(!gpu.state.verdict().can_be_let(), "{contact:?}");
    }
}

#[test]
fn an_acknowledgement_is_of_what_it_names_and_of_what_was_before_it() {
    let mut gpu = Gpu::new();
    gpu.xid(157, "");
    gpu.xid(54, "");
    gpu.stays(&idle(), 1);
    gpu.tell(&[Event::Acknowledge {
        word: word(gpu.now, Span::from_hours(1)),
        reason: Some(HealthReason::PowerXid),
    }]);
    assert_eq!(gpu.state.reasons(), [HealthReason::HardwareXid]);
    gpu.acknowledge();
    gpu.is_healthy("all of it");
    gpu.xid(157, "");
    assert_eq!(gpu.state.action(), Action::Rma, "it has come again since");
}

#[test]
fn an_acknowledgement_does_not_outlive_its_time_and_hides_no_signal() {
    let off = GpuSample {
        recovery_action: Reading::Value(1),
        ..idle()
    };
    let mut gpu = Gpu::new();
    gpu.stays(&off, 1);
    gpu.acknowledge();
    assert_eq!(
        gpu.state.verdict(),
        Verdict::Unhealthy,
        "the driver still wants it"
    );
    gpu.stays(&off, 3600);
    gpu.stays(&idle(), 60);
    assert_eq!(
        gpu.state.verdict(),
        Verdict::Unhealthy,
        "the word has expired"
    );
    gpu.acknowledge();
    gpu.is_healthy("acknowledged, and gone");
}

#[test]
fn a_single_reading_is_judged_as_if_it_had_been_so_for_long() {
    let sick = GpuSample {
        temperature: Reading::Value(Celsius(89)),
        ecc_uncorrected: Reading::Value(2),
        recovery_action: Reading::Value(1),
        slowdown: Reading::Value(Celsius(88)),
        shutdown: Reading::Value(Celsius(95)),
        ..idle()
    };
    let (verdict, reasons) = crate::verdict::judge(&sick, Rules::built_in());
    assert_eq!(verdict, Verdict::Unhealthy);
    let wanted = [
        HealthReason::UncorrectedEcc,
        HealthReason::RecoveryAction,
        HealthReason::TooHot,
    ];
    assert_eq!(reasons, wanted);
}
