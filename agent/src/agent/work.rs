//! Steps that wait to be carried out.
//!
//! A step says what to look at, not what to write: it is carried out from the book as it is by then,
//! so that steps which a failure held up cannot bring anything old back.

use crate::disk::{DiskError, EnvFiles, GrantFiles};
use leasehold_agent_core::environment;
use leasehold_agent_core::grants::{Entry, GrantBook, Step};
use leasehold_common::ids::GpuUuid;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The steps that are not done yet, and where they are done.
#[derive(Debug)]
pub struct Work {
    places: Arc<Places>,
    waiting: Vec<Step>,
}

#[derive(Debug)]
struct Places {
    files: GrantFiles,
    env: EnvFiles,
}

impl Work {
    /// Nothing to do yet.
    pub fn new(files: GrantFiles, env: EnvFiles) -> Self {
        Self {
            places: Arc::new(Places { files, env }),
            waiting: Vec::new(),
        }
    }

    /// Every environment file is as the book says: those of a boot ago are gone, and those that
    /// should be there are written again.
    pub fn restore(&mut self, book: &GrantBook) {
        let serving = book.serving().map(|(lease, _)| Step::WriteEnv(lease));
        self.add(&serving.collect::<Vec<_>>());
        match self.places.env.list() {
            Ok(files) => {
                let stray = files
                    .into_iter()
                    .filter(|lease| !book.entry(*lease).is_some_and(Entry::is_serving))
                    .map(Step::RemoveEnv);
                self.add(&stray.collect::<Vec<_>>());
            }
            Err(e) => tracing::warn!(error = %e, "environment files cannot be listed"),
        }
    }

    /// Adds steps. One that waits already is not added again, so this is bounded by the leases.
    pub fn add(&mut self, steps: &[Step]) {
        for step in steps {
            if !self.waiting.contains(step) {
                self.waiting.push(*step);
            }
        }
    }

    /// Whether nothing waits.
    pub fn is_done(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Does what waits, in order, until something fails; the rest is tried again next time.
    ///
    /// # Errors
    /// The first step that failed.
    pub async fn carry_out(
        &mut self,
        book: &GrantBook,
        indexes: BTreeMap<GpuUuid, u32>,
    ) -> Result<(), DiskError> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let (places, steps, book) = (
            Arc::clone(&self.places),
            std::mem::take(&mut self.waiting),
            book.clone(),
        );
        // Syncing a disk takes milliseconds, and on a bad day seconds.
        let work = tokio::task::spawn_blocking(move || places.carry_out(steps, &book, &indexes));
        let (left, outcome) = work.await.expect("writing files does not panic");
        self.waiting = left;
        outcome
    }
}

impl Places {
    fn carry_out(
        &self,
        mut steps: Vec<Step>,
        book: &GrantBook,
        indexes: &BTreeMap<GpuUuid, u32>,
    ) -> (Vec<Step>, Result<(), DiskError>) {
        for (done, step) in steps.iter().enumerate() {
            if let Err(e) = self.step(*step, book, indexes) {
                return (steps.split_off(done), Err(e));
            }
        }
        (Vec::new(), Ok(()))
    }

    fn step(
        &self,
        step: Step,
        book: &GrantBook,
        indexes: &BTreeMap<GpuUuid, u32>,
    ) -> Result<(), DiskError> {
        match step {
            Step::Keep(lease) => match book.entry(lease) {
                Some(entry) => self.files.keep(lease, entry),
                None => Ok(()),
            },
            Step::WriteEnv(lease) => match book.entry(lease).filter(|entry| entry.is_serving()) {
                Some(entry) => {
                    let text = environment::text(entry.grant(), indexes);
                    self.env.write(lease, &text)
                }
                None => Ok(()),
            },
            Step::RemoveEnv(lease) => match book.entry(lease).filter(|entry| entry.is_serving()) {
                Some(_) => Ok(()),
                None => self.env.remove(lease),
            },
            Step::Retire(lease) => match book.entry(lease) {
                Some(_) => Ok(()),
                None => self.files.retire(lease, book.ended()),
            },
        }
    }
}
