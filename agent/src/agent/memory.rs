//! What the agent remembers of its GPUs across its own restarts, and reboots of the node.

use super::desk::Desk;
use crate::disk::{HealthFile, Remembered};
use crate::kernel_log::booted_at;
use leasehold_agent_core::verdict::{Event, GpuState, Observation};
use leasehold_common::ids::GpuUuid;
use leasehold_common::record::Version;
use leasehold_common::time::Timestamp;
use std::collections::BTreeMap;

/// The states as they lie on disk.
#[derive(Debug)]
pub(super) struct Memory {
    file: HealthFile,
    kept: BTreeMap<GpuUuid, GpuState>,
}

impl Memory {
    pub(super) const fn new(file: HealthFile) -> Self {
        Self {
            file,
            kept: BTreeMap::new(),
        }
    }
}

impl Desk {
    /// Takes up what was known when an agent last ran here.
    pub(super) fn remember(&mut self, now: Timestamp) {
        match self.memory.file.load() {
            Ok(None) => {}
            Ok(Some(Remembered {
                boot_id,
                kernel_seq,
                gpus,
                ..
            })) => {
                if boot_id == self.facts.boot_id {
                    self.told.kernel_seq = kernel_seq;
                }
                self.memory.kept = gpus.clone();
                self.states = gpus;
            }
            Err(why) => {
                self.say_trouble("health", &format!("what was known of GPUs is lost: {why}"));
            }
        }
        self.tell_all(&self.boot(now), now);
    }

    /// The host's boot id may be another than before.
    pub(super) fn notice_boot(&mut self, before: &str, now: Timestamp) {
        if before != self.facts.boot_id {
            self.told.reboot();
            self.tell_all(&self.boot(now), now);
        }
    }

    fn boot(&self, now: Timestamp) -> Event {
        Event::Boot {
            at: booted_at(now),
            id: self.facts.boot_id.clone(),
        }
    }

    /// What is known of a GPU; of one that was never seen, in which boot it is.
    pub(super) fn state_of(&mut self, gpu: &GpuUuid, now: Timestamp) -> &mut GpuState {
        if !self.states.contains_key(gpu) {
            let seen = Observation {
                sample: None,
                events: &[self.boot(now)],
            };
            let mut state = GpuState::default();
            state.observe(&seen, now, &self.settings.rules);
            self.states.insert(gpu.clone(), state);
        }
        self.states.get_mut(gpu).expect("it was just put there")
    }

    /// Puts on disk what could not be told again, before anything is said of it.
    pub(super) async fn keep_health(&mut self) {
        let is_kept = self
            .states
            .iter()
            .all(|(gpu, state)| match self.memory.kept.get(gpu) {
                Some(kept) => state.is_kept_by(kept),
                None => !state.is_worth_keeping(),
            });
        if is_kept {
            return;
        }
        let remembered = Remembered {
            version: Version::CURRENT,
            boot_id: self.facts.boot_id.clone(),
            kernel_seq: self.told.kernel_seq,
            gpus: self.states.clone(),
        };
        let file = self.memory.file.clone();
        let kept = remembered.gpus.clone();
        let written = tokio::task::spawn_blocking(move || file.keep(&remembered));
        match written.await.expect("writing a file does not panic") {
            Ok(()) => {
                self.memory.kept = kept;
                self.troubles.remove("health");
            }
            Err(e) => {
                let source = std::error::Error::source(&e).map(ToString::to_string);
                let why = format!("{e}: {}", source.unwrap_or_default());
                self.say_trouble("health", &why);
            }
        }
    }
}
