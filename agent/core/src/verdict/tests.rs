//! Stories of verdicts: what is injected, what comes of it, and how it ends.

mod operator;
mod properties;
mod repeats;
mod rows;
mod rules;
mod xids;

use super::{Event, GpuState, Observation, Rules, Word, Xid};
use crate::sample::GpuSample;
use crate::sample::samples::idle;
use leasehold_common::node::{Action, Finding, HealthReason, Reading, Verdict};
use leasehold_common::time::{Span, Timestamp};

/// A full minute, so that minutes are easily counted.
const MORNING: Timestamp = Timestamp::from_unix_ms(1_800_000_000_000);

/// A GPU that is looked at once a second.
struct Gpu {
    state: GpuState,
    now: Timestamp,
}

impl Gpu {
    /// One in order, running under a boot that is known.
    fn new() -> Self {
        let mut gpu = Self {
            state: GpuState::default(),
            now: MORNING - Span::from_secs(60),
        };
        gpu.tell(&[Event::Boot {
            at: MORNING - Span::from_hours(24),
            id: "boot-1".into(),
        }]);
        gpu.stays(&idle(), 60);
        assert_eq!(gpu.state.verdict(), Verdict::Healthy);
        gpu
    }

    /// It reads like this now.
    fn reads(&mut self, sample: &GpuSample) {
        let seen = Observation {
            sample: Some(sample),
            events: &[],
        };
        self.state.observe(&seen, self.now, Rules::built_in());
    }

    /// It reads like this for so many seconds more.
    fn stays(&mut self, sample: &GpuSample, seconds: u64) {
        for _ in 0..seconds {
            self.now = self.now + Span::from_secs(1);
            self.reads(sample);
        }
    }

    /// These things happened.
    fn tell(&mut self, events: &[Event]) {
        let seen = Observation {
            sample: None,
            events,
        };
        self.state.observe(&seen, self.now, Rules::built_in());
    }

    /// An XID, a second later, with the kernel's words.
    fn xid(&mut self, code: u32, words: &str) {
        self.now = self.now + Span::from_secs(1);
        self.tell(&[xid(code, self.now, words)]);
    }

    /// It is reset, a second later, and in order then.
    fn reset(&mut self) {
        self.now = self.now + Span::from_secs(1);
        self.tell(&[Event::Reset { at: self.now }]);
        self.stays(&idle(), 1);
    }

    /// Its node is started again, a second later, and it is in order then.
    fn reboot(&mut self) {
        self.now = self.now + Span::from_secs(1);
        let id = format!("boot at {}", self.now);
        self.tell(&[Event::Boot { at: self.now, id }]);
        self.stays(&idle(), 1);
    }

    /// An operator says that it was dealt with.
    fn acknowledge(&mut self) {
        self.tell(&[Event::Acknowledge {
            word: word(self.now, Span::from_hours(1)),
            reason: None,
        }]);
    }

    fn shown(&self) -> (Verdict, Vec<HealthReason>, Action) {
        let state = &self.state;
        (state.verdict(), state.reasons(), state.action())
    }

    fn finding(&self, reason: &HealthReason) -> Finding {
        let found = self.state.findings();
        let found = found.into_iter().find(|finding| finding.reason == *reason);
        found.unwrap_or_else(|| panic!("{reason} is not among the findings"))
    }

    #[track_caller]
    fn is_healthy(&self, when: &str) {
        assert_eq!(
            self.shown(),
            (Verdict::Healthy, vec![], Action::None),
            "{when}"
        );
    }
}

fn xid(code: u32, at: Timestamp, words: &str) -> Event {
    Event::Xid(Xid {
        at,
        code,
        gpu: "GPU-1".parse().expect("a UUID"),
        instance: None,
        tenant: None,
        words: words.into(),
    })
}

fn word(at: Timestamp, length: Span) -> Word {
    Word {
        at,
        owner: "ada".into(),
        why: "seen to".into(),
        expires: at + length,
    }
}

/// What ends a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ends {
    /// By itself, so many seconds after its signal is gone.
    After(u64),
    /// By a reset, and by a reboot; not before.
    ByReset,
    /// By a reboot; by no reset.
    ByReboot,
    /// By an operator's word, and by nothing else.
    ByWord,
}

impl Ends {
    /// Lets it end, from a GPU that reads in order again but for what stands.
    fn happens_to(self, gpu: &mut Gpu, story: &str) {
        let before = gpu.shown();
        match self {
            Self::After(0) => gpu.stays(&idle(), 1),
            Self::After(seconds) => {
                gpu.stays(&idle(), seconds);
                assert_eq!(gpu.shown(), before, "{story}: not before {seconds} s");
                gpu.stays(&idle(), 1);
            }
            Self::ByReset | Self::ByReboot | Self::ByWord => {
                gpu.stays(&idle(), 3600);
                assert_eq!(gpu.shown(), before, "{story}: time heals nothing");
                gpu.tell(&[Event::DriverReload { at: gpu.now }]);
                gpu.stays(&idle(), 1);
                assert_eq!(
                    gpu.shown(),
                    before,
                    "{story}: nor does a reload of the driver"
                );
                self.is_dealt_with(gpu, story);
            }
        }
        gpu.is_healthy(story);
    }

    fn is_dealt_with(self, gpu: &mut Gpu, story: &str) {
        let before = gpu.shown();
        if self == Self::ByReset {
            // The driver does not want nothing yet.
            let wanting = GpuSample {
                recovery_action: Reading::Failed("timeout".into()),
                ..idle()
            };
            gpu.tell(&[Event::Reset { at: gpu.now }]);
            gpu.stays(&wanting, 5);
            assert_eq!(
                gpu.shown(),
                before,
                "{story}: the driver has not said that all is well"
            );
            return gpu.stays(&idle(), 1);
        }
        gpu.reset();
        assert_eq!(gpu.shown(), before, "{story}: a reset is not enough");
        gpu.reboot();
        if self == Self::ByWord {
            assert_eq!(gpu.shown(), before, "{story}: a reboot is not enough");
            gpu.acknowledge();
        }
    }
}
