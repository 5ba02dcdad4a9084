//! How much each model is wanted by requests that have little choice.
//!
//! A request that takes any model should leave alone what the picky need. The pressure on a model is
//! the sum, over the groups of acceptable models that contain it, of the group's share of the demand
//! times the fleet's free GPUs over the free GPUs of the group's models: 1 where all is in balance,
//! more where a group's models run short.

use super::mix::Mix;
use super::node::Live;
use super::request::{ModelId, ModelSet};

/// One, in the unit of pressures.
pub(super) const ONE: i64 = 1_000_000;

/// A group's pressure where nothing of it is left: it could not grow further anyway.
const MOST: i64 = 1000 * ONE;

/// The pressures, kept up to date by small changes.
#[derive(Debug, Clone)]
pub(super) struct Pressure {
    groups: Vec<Group>,
    free_milli: i64,
    by_model: [i64; ModelId::COUNT_MAX],
}

#[derive(Debug, Clone)]
struct Group {
    models: ModelSet,
    share_ppm: i64,
    free_milli: i64,
}

impl Pressure {
    /// Of a mix on these nodes.
    pub(super) fn new(mix: &Mix, nodes: &[Live]) -> Self {
        let free = |models: ModelSet| {
            let those = nodes
                .iter()
                .filter(|node| node.up && models.accepts(node.shape.model));
            those.map(|node| i64::from(node.gpu_sum)).sum()
        };
        let group = |(models, share_ppm): &(ModelSet, u32)| Group {
            models: *models,
            share_ppm: i64::from(*share_ppm),
            free_milli: free(*models),
        };
        let mut this = Self {
            groups: mix.groups.iter().map(group).collect(),
            free_milli: free(ModelSet::ANY),
            by_model: [0; ModelId::COUNT_MAX],
        };
        this.work_out();
        this
    }

    /// The pressure on a model, in millionths.
    pub(super) const fn on(&self, model: ModelId) -> i64 {
        self.by_model[model.index()]
    }

    /// Enters that a model has more or less free.
    pub(super) fn change(&mut self, model: ModelId, milli: i64) {
        if milli == 0 {
            return;
        }
        self.free_milli += milli;
        for group in &mut self.groups {
            if group.models.accepts(model) {
                group.free_milli += milli;
            }
        }
        self.work_out();
    }

    fn work_out(&mut self) {
        let mut anyones = 0;
        self.by_model = [0; ModelId::COUNT_MAX];
        for group in &self.groups {
            // Less than one GPU left counts as one.
            let free = group.free_milli.max(1000);
            let pressure = (group.share_ppm * self.free_milli / free).min(MOST);
            if group.models.is_any() {
                anyones += pressure;
            } else {
                group
                    .models
                    .iter()
                    .for_each(|model| self.by_model[model.index()] += pressure);
            }
        }
        self.by_model.iter_mut().for_each(|on| *on += anyones);
    }
}
