//! What happened last, for whoever has to understand a failure.

use leasehold_common::time::Timestamp;
use std::collections::VecDeque;

/// Actions that are kept.
const KEPT: usize = 60;

/// The last actions of a life. Nothing is kept unless it is asked for: most lives end well, and
/// words take time.
#[derive(Debug, Default)]
pub struct Trail {
    keeps: bool,
    last: VecDeque<String>,
}

impl Trail {
    /// One that keeps.
    pub fn kept() -> Self {
        Self {
            keeps: true,
            last: VecDeque::new(),
        }
    }

    /// Notes an action.
    pub fn note(&mut self, now: Timestamp, action: impl FnOnce() -> String) {
        if !self.keeps {
            return;
        }
        if self.last.len() == KEPT {
            self.last.pop_front();
        }
        self.last.push_back(format!("{now} {}", action()));
    }

    /// The actions, oldest first.
    pub fn into_lines(self) -> Vec<String> {
        self.last.into()
    }
}
