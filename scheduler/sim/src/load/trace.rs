//! A list of jobs, replayed on a listed fleet: how much of it is used, who waits how long, and how
//! scattered what is free becomes.
//!
//! A job that does not fit waits. Whenever hardware comes back, those that wait are asked again in
//! the order in which they arrived; one that wants the same as another that has just been refused is
//! passed over. No booking is held for those that wait: how queues are kept is not the engine's
//! business.

use super::cell::Site;
use super::driver::{BIRTH, Driver, Placed};
use super::fleet::Job;
use super::report::{Figures, percent};
use super::terms::Terms;
use leasehold_common::ids::{LeaseId, NodeIndex};
use leasehold_common::lease::Shape;
use leasehold_common::time::{Span, Timestamp};
use leasehold_placement::{End, NodeSpec, Request};
use serde::Serialize;
use std::collections::{BTreeMap, VecDeque};
use std::fmt;

/// How long the hardware of a job that has ended takes to be clean.
const CLEANING: Span = Span::from_mins(6);
/// How many moments are told of up to the last arrival.
const MOMENTS: u64 = 100;
/// As many again are told of after the last arrival, while those that wait have their turn.
const MOST_MOMENTS: usize = 200;
/// How many that wait are asked again when hardware comes back.
const ASKED_AGAIN: usize = 1000;

/// What became of the jobs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Replayed {
    /// Jobs of the list.
    pub jobs: usize,
    /// Jobs that ran.
    pub ran: usize,
    /// Jobs that this fleet can never hold.
    pub never: usize,
    /// GPU-hours used of those there were, from the first arrival to the last end, in percent.
    pub utilisation_pct: f64,
    /// How long jobs that ran waited, in whole seconds: the median, and of a hundred the longest but
    /// one.
    pub wait_p50_s: u64,
    /// See above.
    pub wait_p99_s: u64,
    /// The fleet at a hundred moments up to the last arrival, and as many after it.
    pub moments: Vec<Moment>,
    /// What the decisions cost.
    pub figures: Figures,
}

/// The fleet at one moment.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Moment {
    /// Seconds since the first arrival.
    pub at_s: u64,
    /// GPUs that jobs have, in percent.
    pub used_pct: f64,
    /// Of the free GPUs, those on nodes of which others are used, in percent.
    pub scattered_pct: f64,
    /// Jobs that wait.
    pub waiting: usize,
}

/// Something that will happen.
#[derive(Debug)]
enum Event {
    Arrives(Job),
    Ends(LeaseId),
    Returns(LeaseId),
}

struct Replay {
    site: Site,
    driver: Driver,
    events: BTreeMap<(Timestamp, u64), Event>,
    scheduled: u64,
    waiting: VecDeque<(Timestamp, Request)>,
    running: BTreeMap<LeaseId, (Request, Placed)>,
    waits: Vec<u64>,
    never: usize,
    gpu_millis: u128,
}

/// Replays jobs.
pub fn run(nodes: Vec<NodeSpec>, jobs: Vec<Job>) -> Replayed {
    let site = Site::Listed(nodes.into());
    let mut replay = Replay {
        driver: Driver::new(site.clone(), Terms::free()),
        site,
        events: BTreeMap::new(),
        scheduled: 0,
        waiting: VecDeque::new(),
        running: BTreeMap::new(),
        waits: Vec::new(),
        never: 0,
        gpu_millis: 0,
    };
    let count = jobs.len();
    let span = jobs.iter().map(|job| job.arrives).max().unwrap_or_default();
    for job in jobs {
        replay.schedule(BIRTH + job.arrives, Event::Arrives(job));
    }
    let step = Span::from_millis((span.millis() / MOMENTS).max(1));
    let mut moments = Vec::new();
    let mut next_moment = BIRTH + step;
    while let Some(((at, _), event)) = replay.events.pop_first() {
        while next_moment <= at && moments.len() < MOST_MOMENTS {
            moments.push(replay.moment(next_moment));
            next_moment = next_moment + step;
        }
        replay.pass(at);
        replay.happen(event);
    }
    replay.told(count, moments)
}

impl Replay {
    fn schedule(&mut self, at: Timestamp, event: Event) {
        self.scheduled += 1;
        self.events.insert((at, self.scheduled), event);
    }

    fn pass(&mut self, at: Timestamp) {
        let passed = at.since(self.driver.now).millis();
        self.gpu_millis += u128::from(self.driver.used) * u128::from(passed);
        self.driver.advance(at);
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Arrives(job) => {
                let request = Request {
                    account: job.account,
                    class: job.class,
                    shape: job.shape,
                    sku: job.sku,
                    within: job.within,
                    start: None,
                    end: End::After(job.length),
                    host: None,
                    gpu_cap_watts: None,
                };
                if !self.start(self.driver.now, &request) {
                    if self.driver.was_never() {
                        self.never += 1;
                    } else {
                        self.waiting.push_back((self.driver.now, request));
                    }
                }
            }
            Event::Ends(lease) => {
                self.driver.end(lease);
                self.schedule(self.driver.now + CLEANING, Event::Returns(lease));
            }
            Event::Returns(lease) => {
                let (request, placed) = self.running.remove(&lease).expect("it ran");
                self.driver.give_back(&placed, request.side());
                self.ask_again();
            }
        }
    }

    /// Starts a job if there is room.
    fn start(&mut self, arrived: Timestamp, request: &Request) -> bool {
        let Some(placed) = self.driver.ask(request) else {
            return false;
        };
        self.waits
            .push(self.driver.now.since(arrived).millis() / 1000);
        let end = placed.plan.end.expect("every job has a length");
        self.schedule(end, Event::Ends(placed.lease));
        self.running.insert(placed.lease, (request.clone(), placed));
        true
    }

    fn ask_again(&mut self) {
        let mut refused: Vec<Request> = Vec::new();
        let mut at = 0;
        for _ in 0..self.waiting.len().min(ASKED_AGAIN) {
            let (arrived, request) = self.waiting[at].clone();
            if !refused.iter().any(|other| wants_no_less(&request, other)) {
                if self.start(arrived, &request) {
                    self.waiting.remove(at);
                    continue;
                }
                refused.push(request);
            }
            at += 1;
        }
    }

    fn moment(&self, at: Timestamp) -> Moment {
        let cell = self.driver.cell();
        let (mut free, mut scattered) = (0, 0);
        for node in (0..self.site.nodes()).map(NodeIndex) {
            let held = cell.held_gpus(node, at);
            let open = u64::from(cell.free_gpus(node, at).len());
            free += open;
            if !held.is_empty() {
                scattered += open;
            }
        }
        Moment {
            at_s: at.since(BIRTH).millis() / 1000,
            used_pct: percent(self.driver.used, self.site.all_gpus()),
            scattered_pct: percent(scattered, free),
            waiting: self.waiting.len(),
        }
    }

    fn told(mut self, jobs: usize, moments: Vec<Moment>) -> Replayed {
        self.waits.sort_unstable();
        let wait = |permille: usize| {
            let at = self.waits.len().saturating_sub(1) * permille / 1000;
            self.waits.get(at).copied().unwrap_or(0)
        };
        let lasted = self.driver.now.since(BIRTH).millis();
        let all = u128::from(lasted) * u128::from(self.site.all_gpus());
        let part = |n: u128| u64::try_from(n / 1000).unwrap_or(u64::MAX);
        Replayed {
            jobs,
            ran: self.waits.len(),
            never: self.never,
            utilisation_pct: percent(part(self.gpu_millis), part(all)),
            wait_p50_s: wait(500),
            wait_p99_s: wait(990),
            moments,
            figures: self.driver.figures(),
        }
    }
}

/// Whether a request cannot fit where another, of the same account and kind and for no longer, did
/// not.
fn wants_no_less(request: &Request, refused: &Request) -> bool {
    let is_as_much = match (&request.shape, &refused.shape) {
        (Shape::Gpus { count }, Shape::Gpus { count: other }) => count >= other,
        (mine, other) => mine == other,
    };
    let length = |request: &Request| request.end.if_started(BIRTH);
    is_as_much
        && (
            &request.account,
            request.class,
            &request.sku,
            request.within,
        ) == (
            &refused.account,
            refused.class,
            &refused.sku,
            refused.within,
        )
        && length(request) >= length(refused)
}

impl fmt::Display for Replayed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "jobs, ran, never          {}, {}, {}",
            self.jobs, self.ran, self.never
        )?;
        writeln!(f, "GPU-hours used, in %      {:.1}", self.utilisation_pct)?;
        writeln!(
            f,
            "waited, p50 and p99       {} s, {} s",
            self.wait_p50_s, self.wait_p99_s
        )?;
        writeln!(f, "at s      used %  scattered %  waiting")?;
        for moment in self.moments.iter().step_by(10) {
            writeln!(
                f,
                "{:<9} {:>6.1}  {:>11.1}  {:>7}",
                moment.at_s, moment.used_pct, moment.scattered_pct, moment.waiting
            )?;
        }
        write!(f, "{}", self.figures)
    }
}
