//! Lists that nobody published: a given one with another mix.
//!
//! A policy can be fitted to the lists it is shown. So it is shown lists that were drawn after it was
//! settled: the requests of a public list, drawn again with replacement, in other proportions.

use super::trace::{Pod, Trace};
use crate::rng::Rng;
use leasehold_placement::fine::{FineRequest, Gpus, ModelId, ModelSet};
use std::str::FromStr;

/// What is different. What is not named stays as it is in the list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Variation {
    /// Requests for CPU alone, in percent of all requests.
    pub cpu_only_pct: Option<u32>,
    /// Requests for a part of a GPU, in percent of those for GPUs.
    pub share_pct: Option<u32>,
    /// Requests that name one or two models, in percent of those for GPUs.
    pub picky_pct: Option<u32>,
}

impl FromStr for Variation {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut variation = Self::default();
        for part in text.split(',') {
            let wrong = || {
                format!("{part:?} is none of cpu:PERCENT (to 95), share:PERCENT and picky:PERCENT")
            };
            let (word, percent) = part.split_once(':').ok_or_else(wrong)?;
            let percent: u32 = percent.parse().map_err(|_| wrong())?;
            let (field, most) = match word {
                "cpu" => (&mut variation.cpu_only_pct, 95),
                "share" => (&mut variation.share_pct, 100),
                "picky" => (&mut variation.picky_pct, 100),
                _ => return Err(wrong()),
            };
            if percent > most || field.replace(percent).is_some() {
                return Err(wrong());
            }
        }
        Ok(variation)
    }
}

impl Trace {
    /// The same fleet, and requests drawn for a seed from this list's in other proportions: as many
    /// for GPUs as it has, and as many without as the proportion wants.
    #[must_use]
    pub fn varied(self, variation: Variation, seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let asks = |wanted: fn(Gpus) -> bool| -> Vec<FineRequest> {
            let asks = self.pods.iter().map(|pod| pod.ask);
            asks.filter(|ask| wanted(ask.gpus)).collect()
        };
        let idle = asks(|gpus| gpus == Gpus::None);
        let shares = asks(|gpus| matches!(gpus, Gpus::Share { .. }));
        let whole = asks(|gpus| matches!(gpus, Gpus::Whole { .. }));
        let gpus = shares.len() + whole.len();
        let part = |of: usize, percent: usize| of * percent / 100;
        let percent = |pct: u32| usize::try_from(pct).expect("a percentage");
        let of_shares = variation.share_pct.map(|pct| part(gpus, percent(pct)));
        let of_shares = of_shares.unwrap_or(shares.len());
        let of_idle = variation.cpu_only_pct.map(|pct| {
            let pct = percent(pct);
            gpus * pct / (100 - pct)
        });
        let of_idle = of_idle.unwrap_or(idle.len());
        let mut drawn = Vec::new();
        for (from, count) in [
            (&shares, of_shares),
            (&whole, gpus - of_shares),
            (&idle, of_idle),
        ] {
            let count = if from.is_empty() { 0 } else { count };
            drawn.extend((0..count).map(|_| *rng.pick(from)));
        }
        if let Some(pct) = variation.picky_pct {
            for ask in drawn.iter_mut().filter(|ask| ask.gpus != Gpus::None) {
                let picky = rng.below(100) < u64::from(pct);
                ask.models = if picky {
                    self.some_models(ask, &mut rng)
                } else {
                    ModelSet::ANY
                };
            }
        }
        let spec = |models: ModelSet| {
            let names = models
                .iter()
                .map(|model| self.models[model.index()].clone());
            names.collect::<Vec<_>>().join("|")
        };
        let pod = |(at, ask): (usize, FineRequest)| Pod {
            name: format!("drawn-{at:06}"),
            spec: spec(ask.models),
            ask,
        };
        Self {
            pods: drawn.into_iter().enumerate().map(pod).collect(),
            ..self
        }
    }

    /// One model or two that could serve a request, each as likely as it has nodes.
    fn some_models(&self, ask: &FineRequest, rng: &mut Rng) -> ModelSet {
        let fits = |node: &&super::trace::TraceNode| {
            usize::from(node.shape.gpus) >= ask.gpus.count()
                && node.shape.cpu_milli >= ask.cpu_milli
                && node.shape.mem_mib >= ask.mem_mib
        };
        let nodes = self.nodes.iter().filter(fits);
        let models: Vec<ModelId> = nodes.map(|node| node.shape.model).collect();
        if models.is_empty() {
            return ModelSet::ANY;
        }
        let count = 1 + rng.below(2);
        (0..count).map(|_| *rng.pick(&models)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::openb::Table;
    use std::path::Path;

    fn list() -> Trace {
        let nodes =
            "sn,cpu_milli,memory_mib,gpu,model\nbig,64000,1024,8,G2\nsmall,8000,1024,1,T4\n";
        let pods = "name,cpu_milli,memory_mib,num_gpu,gpu_milli\n\
                    a,9,9,1,250\nb,9,9,2,1000\nc,9,9,0,0\nd,9,9,1,1000\n";
        let table = |text| Table::parse(Path::new("x.csv"), text).unwrap();
        let mut trace = Trace::parse(&table(nodes), &table(pods)).unwrap();
        // Enough of each for percentages to be whole.
        trace.pods = vec![trace.pods; 100].concat();
        trace
    }

    fn count(trace: &Trace, wanted: impl Fn(&FineRequest) -> bool) -> usize {
        trace.pods.iter().filter(|pod| wanted(&pod.ask)).count()
    }

    #[test]
    fn proportions_are_as_asked_for_and_one_seed_is_one_list() {
        let variation = "cpu:50,share:80,picky:25".parse().unwrap();
        let drawn = list().varied(variation, 7);
        assert_eq!(drawn.pods, list().varied(variation, 7).pods);
        assert_ne!(drawn.pods, list().varied(variation, 8).pods);
        let idle = |ask: &FineRequest| ask.gpus == Gpus::None;
        assert_eq!(count(&drawn, idle), 300);
        assert_eq!(count(&drawn, |ask| !idle(ask)), 300);
        assert_eq!(
            count(&drawn, |ask| matches!(ask.gpus, Gpus::Share { .. })),
            240
        );
        let picky = count(&drawn, |ask| !ask.models.is_any());
        assert!((40..=110).contains(&picky), "{picky} of 300");
    }

    #[test]
    fn what_is_named_can_serve_it() {
        let drawn = list().varied("picky:100".parse().unwrap(), 1);
        let pairs = drawn.pods.iter().filter(|pod| pod.ask.gpus.count() == 2);
        assert!(pairs.clone().count() > 0);
        assert!(
            pairs
                .into_iter()
                .all(|pod| pod.spec.split('|').all(|model| model == "G2"))
        );
    }

    #[test]
    fn a_mix_that_cannot_be_is_refused_by_its_part() {
        for (text, part) in [
            ("cpu:96", "cpu:96"),
            ("share:80,much", "much"),
            ("share:101", "share:101"),
            ("cpu:5,cpu:6", "cpu:6"),
        ] {
            let error = text.parse::<Variation>().unwrap_err();
            assert!(
                error.starts_with(&format!("{part:?} is none of")),
                "{error}"
            );
        }
    }
}
