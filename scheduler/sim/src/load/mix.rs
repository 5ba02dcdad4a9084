//! Made-up requests: who asks, for what, until when.

use super::cell::Layout;
use crate::rng::Rng;
use leasehold_common::class::Class;
use leasehold_common::ids::{AccountName, SkuName};
use leasehold_common::lease::Shape;
use leasehold_common::time::{Span, Timestamp};
use leasehold_common::topology::Locality;
use leasehold_placement::{End, Request};

/// Accounts outside the house. Enough that most part-used nodes are somebody else's.
const TENANTS: usize = 48;
/// Accounts of the house.
const LABS: usize = 16;

/// One account and what it may hold.
#[derive(Debug, Clone)]
struct Account {
    name: AccountName,
    classes: &'static [Class],
}

/// Where requests come from.
#[derive(Debug, Clone)]
pub(super) struct Mix {
    pub(super) rng: Rng,
    layout: Layout,
    accounts: Vec<Account>,
    hgx: SkuName,
    nvl: SkuName,
}

impl Mix {
    pub(super) fn new(layout: Layout, seed: u64) -> Self {
        let tenant = |n| Account {
            name: named("tenant", n),
            classes: &[Class::Committed, Class::OnDemand, Class::Spot],
        };
        let lab = |n| Account {
            name: named("lab", n),
            classes: &[Class::InternalCritical, Class::InternalBatch],
        };
        Self {
            rng: Rng::new(seed),
            layout,
            accounts: (0..TENANTS).map(tenant).chain((0..LABS).map(lab)).collect(),
            hgx: Layout::sku(false),
            nvl: Layout::sku(true),
        }
    }

    /// A request of that shape, by anybody, from now on.
    pub(super) fn of_shape(&mut self, shape: Shape) -> Request {
        let account = self.rng.index(self.accounts.len());
        let account = &self.accounts[account];
        let class = *self.rng.pick(account.classes);
        Request {
            account: account.name.clone(),
            class,
            shape,
            sku: self.hgx.clone(),
            within: Locality::Cell,
            start: None,
            end: self.end(),
            host: None,
            gpu_cap_watts: None,
        }
    }

    /// The smallest slice of a GPU of the larger kind of node.
    pub(super) fn slice() -> Shape {
        Shape::slices([("1g.18gb".parse().expect("a valid profile"), 1)])
    }

    /// Slices of one lease, as they are asked for together.
    fn slices(&mut self) -> Shape {
        let wishes: [&[(&str, u32)]; 5] = [
            &[("1g.18gb", 1)],
            &[("1g.18gb", 3)],
            &[("2g.35gb", 1)],
            &[("3g.71gb", 1), ("1g.35gb", 1)],
            &[("4g.71gb", 1)],
        ];
        let wish = self.rng.pick(&wishes);
        let each = wish
            .iter()
            .map(|(name, count)| (name.parse().expect("valid"), *count));
        Shape::slices(each)
    }

    /// What a part-used cell can usually hold: mostly parts of nodes and single nodes, some gangs.
    pub(super) fn usual(&mut self) -> Request {
        let has_trays = self.layout.trays() > 0;
        let most = u64::from(self.layout.gpus());
        match self.rng.below(100) {
            0..34 => self.of_shape(Shape::gpus(1)),
            34..40 => {
                let slices = self.slices();
                self.of_shape(slices)
            }
            40..55 => self.of_shape(Shape::gpus(small(2.min(most)))),
            55..67 => self.of_shape(Shape::gpus(small(4.min(most)))),
            67..84 => self.of_shape(Shape::nodes(1)),
            84..94 => {
                let nodes = 2 + small(self.rng.below(7));
                self.of_shape(Shape::nodes(nodes))
            }
            94..97 => {
                let nodes = 9 + small(self.rng.below(24));
                let within = *self.rng.pick(&[Locality::Row, Locality::Hall]);
                Request {
                    within,
                    ..self.of_shape(Shape::nodes(nodes))
                }
            }
            97..98 => self.domain(),
            _ if has_trays => {
                let gpus = 1 + small(self.rng.below(4));
                Request {
                    sku: self.nvl.clone(),
                    ..self.of_shape(Shape::gpus(gpus))
                }
            }
            _ => self.of_shape(Shape::gpus(1)),
        }
    }

    /// What a cell in use often refuses: more of the scarce kind, whole domains and racks, and gangs
    /// larger than what is free.
    pub(super) fn hard(&mut self) -> Request {
        let has_trays = self.layout.trays() > 0;
        match self.rng.below(100) {
            0..80 if has_trays => {
                let shape = match self.rng.below(3) {
                    0 => Shape::gpus(1 + small(self.rng.below(4))),
                    _ => Shape::nodes(1),
                };
                Request {
                    sku: self.nvl.clone(),
                    ..self.of_shape(shape)
                }
            }
            0..94 => self.domain(),
            _ => {
                let nodes = (self.layout.nodes() / 5).max(2);
                let nodes = nodes + small(self.rng.below(u64::from(nodes)));
                self.of_shape(Shape::nodes(nodes.max(2)))
            }
        }
    }

    /// All of an NVLink domain, or of a rack where there is none.
    fn domain(&mut self) -> Request {
        if self.layout.trays() > 0 && self.rng.chance(500) {
            Request {
                sku: self.nvl.clone(),
                within: Locality::Domain,
                ..self.of_shape(Shape::nodes(18))
            }
        } else {
            Request {
                within: Locality::Rack,
                ..self.of_shape(Shape::nodes(8))
            }
        }
    }

    /// Some time to come: an advance booking's start.
    pub(super) fn later(&mut self, now: Timestamp) -> Timestamp {
        now + Span::from_mins(60 + self.rng.below(48 * 60))
    }

    /// How long something takes: most take hours, a few take days.
    pub(super) fn length(&mut self) -> Span {
        let hours = match self.rng.below(10) {
            0..6 => 1 + self.rng.below(8),
            6..9 => 8 + self.rng.below(40),
            _ => 48 + self.rng.below(240),
        };
        Span::from_mins(hours * 60 + self.rng.below(60))
    }

    fn end(&mut self) -> End {
        if self.rng.chance(30) {
            End::Open
        } else {
            End::After(self.length())
        }
    }
}

fn named(side: &str, n: usize) -> AccountName {
    format!("{side}-{n:02}")
        .parse()
        .expect("a valid account name")
}

fn small(n: u64) -> u32 {
    u32::try_from(n).expect("numbers of nodes are small")
}
