//! Whether a request for a lease makes sense at all, before anybody plans it.

use crate::state::State;
use leasehold_common::account::Account;
use leasehold_common::api::{CreateLease, Problem, ProblemCode, WantedHost};
use leasehold_common::class::{Class, Side};
use leasehold_common::lease::{HostShare, LeaseSpec, Shape};
use leasehold_common::mig::{MigFamilies, MigProfile};
use leasehold_common::sku::Sku;
use leasehold_common::time::{Span, Timestamp};
use leasehold_common::topology::Locality;
use std::collections::BTreeMap;

/// The most nodes one lease may have: a whole cell of the largest kind.
const NODES_MAX: u32 = 125_000;

/// The shortest lease: shorter ones would be over before a node has its grant.
const LENGTH_MIN: Span = Span::from_secs(1);

/// The longest lease, and how far ahead it may start: ten years.
const LENGTH_MAX: Span = Span::from_hours(24 * 3653);

/// The longest hardware is held for somebody who has not taken it: long enough to ask whoever has to
/// be asked, short enough that an offer that was forgotten does not cost a day's rent.
const HOLD_MAX: Span = Span::from_hours(24);

/// How far in the past a start may lie and still mean "now": what it takes to type it.
const START_SLACK: Span = Span::from_mins(1);

/// The longest name a holder may give a lease.
const NAME_MAX: usize = 128;

impl State {
    /// Checks a wish; gives what a decision needs, and who asks.
    pub(super) fn check_wish(
        &self,
        wish: CreateLease,
        now: Timestamp,
    ) -> Result<(LeaseSpec, &Account), Problem> {
        let account = self.accounts.get(&wish.account).ok_or_else(|| {
            Problem::new(
                ProblemCode::UnknownAccount,
                format!("no account {}", wish.account),
            )
            .about("account", &wish.account, "the name of an account there is")
        })?;
        check_class(wish.class, account.side)?;
        let sku = self.settings.skus.get(&wish.sku).ok_or_else(|| {
            let known: Vec<&str> = self
                .settings
                .skus
                .iter()
                .map(|sku| sku.name.as_str())
                .collect();
            Problem::new(ProblemCode::UnknownSku, format!("no sku {}", wish.sku)).about(
                "sku",
                &wish.sku,
                known.join(", "),
            )
        })?;
        check_shape(&wish.shape, sku)?;
        check_within(&wish.shape, wish.within)?;
        self.check_place(&wish.shape)?;
        let host = host_of(wish.host, &wish.shape, sku)?;
        check_cap(wish.gpu_cap_watts, sku)?;
        let start = check_times(&wish, account.side, now)?;
        check_hold(wish.hold)?;
        check_name(wish.name.as_deref())?;
        let spec = LeaseSpec {
            account: wish.account,
            class: wish.class,
            shape: wish.shape,
            sku: wish.sku,
            within: wish.within,
            host,
            gpu_cap_watts: wish.gpu_cap_watts,
            start,
            length: wish.length,
            until: wish.until,
            name: wish.name,
        };
        Ok((spec, account))
    }
}

impl State {
    fn check_place(&self, shape: &Shape) -> Result<(), Problem> {
        match shape {
            Shape::Unit { prefix } if !self.is_place(prefix) => Err(Problem::field(
                "shape.prefix",
                prefix,
                "a place below which nodes are admitted, or the empty prefix for the whole cell",
            )),
            Shape::Unit { .. }
            | Shape::Nodes { .. }
            | Shape::Gpus { .. }
            | Shape::Slices { .. } => Ok(()),
        }
    }
}

fn check_class(class: Class, side: Side) -> Result<(), Problem> {
    if class.side() == side {
        return Ok(());
    }
    let allowed: Vec<&str> = Class::ALL
        .iter()
        .filter(|c| c.side() == side)
        .map(|c| c.as_str())
        .collect();
    Err(Problem::field(
        "class",
        class,
        format!("{} for a {side} account", allowed.join(", ")),
    ))
}

fn check_shape(shape: &Shape, sku: &Sku) -> Result<(), Problem> {
    let between = |field, value: u32, least: u32, most: u32, of: String| {
        if (least..=most).contains(&value) {
            return Ok(());
        }
        let allowed = format!("{least} to {most} {of}");
        Err(Problem::field(field, value, allowed))
    };
    match shape {
        Shape::Nodes {
            count,
            at_least,
            spares,
            whole,
        } => {
            between("shape.count", *count, 1, NODES_MAX, "nodes".to_owned())?;
            if let Some(least) = at_least {
                let of = "nodes, the count asked for".to_owned();
                between("shape.at_least", *least, 1, *count, of)?;
            }
            let most = u32::from(sku.nodes_per_domain) - 1;
            let of = format!("nodes of each domain of {}", sku.name);
            between("shape.spares", *spares, 0, most, of)?;
            whole.map_or(Ok(()), |level| check_whole(shape, level, sku))
        }
        Shape::Gpus { count } => {
            let of = format!("GPUs of one {}", sku.name);
            between("shape.count", *count, 1, u32::from(sku.gpus), of)
        }
        Shape::Slices { profiles } => check_slices(profiles, sku),
        Shape::Unit { .. } => Ok(()),
    }
}

/// Whether whole units can be as close together as asked.
fn check_within(shape: &Shape, within: Locality) -> Result<(), Problem> {
    match shape.whole_units() {
        Some(level) if level > within => {
            let allowed = format!("{level} or larger, as whole {level}s are asked for");
            Err(Problem::field("within", within, allowed))
        }
        Some(_) | None => Ok(()),
    }
}

/// Whether a gang can be made of whole units.
fn check_whole(shape: &Shape, level: Locality, sku: &Sku) -> Result<(), Problem> {
    let field = "shape.whole";
    let Shape::Nodes {
        count,
        at_least,
        spares,
        ..
    } = shape
    else {
        return Ok(());
    };
    let of_domain = u32::from(sku.nodes_per_domain);
    if level == Locality::Cell {
        let allowed = "domain, rack, row or hall; for all of the cell ask for the unit `cell`";
        return Err(Problem::field(field, level, allowed));
    }
    if at_least.is_some() || *spares > 0 {
        let allowed = "a count without at_least and spares: whole units have no node to leave out";
        return Err(Problem::field(field, level, allowed));
    }
    if level == Locality::Domain && count % of_domain != 0 {
        let allowed = format!(
            "a multiple of {of_domain}, the nodes of a domain of {}",
            sku.name
        );
        return Err(Problem::field("shape.count", count, allowed));
    }
    Ok(())
}

/// Whether GPUs of the SKU have such slices, and a node as many.
fn check_slices(profiles: &BTreeMap<MigProfile, u32>, sku: &Sku) -> Result<(), Problem> {
    let field = "shape.profiles";
    let family = sku
        .mig
        .as_deref()
        .map(|name| MigFamilies::built_in().get(name));
    let Some(Ok(family)) = family else {
        let shown: Vec<&str> = profiles.keys().map(MigProfile::as_str).collect();
        let allowed = format!("nothing: GPUs of {} are not partitioned", sku.name);
        return Err(Problem::field(field, shown.join(", "), allowed));
    };
    if profiles.is_empty() {
        return Err(Problem::field(field, "empty", "one profile at least"));
    }
    let mut eighths = 0;
    for (profile, count) in profiles {
        let field = format!("{field}.{profile}");
        let Ok(kind) = family.kind(profile) else {
            let names: Vec<&str> = family.kinds.iter().map(|kind| kind.name.as_str()).collect();
            let allowed = format!(
                "a profile that GPUs of {} have: {}",
                sku.name,
                names.join(", ")
            );
            return Err(Problem::field("shape.profiles", profile, allowed));
        };
        let most = u32::from(kind.most) * u32::from(sku.gpus);
        if !(1..=most).contains(count) {
            let allowed = format!(
                "1 to {most}, what the GPUs of one {} have room for",
                sku.name
            );
            return Err(Problem::field(&field, count, allowed));
        }
        eighths += u32::from(kind.memory) * count;
    }
    let most = 8 * u32::from(sku.gpus);
    if eighths > most {
        let allowed = format!(
            "up to {most} memory slices, what the GPUs of one {} have",
            sku.name
        );
        return Err(Problem::field(
            field,
            format!("{eighths} memory slices"),
            allowed,
        ));
    }
    Ok(())
}

/// The CPU and memory that is asked for. Of what is not named, the share that goes with the GPUs is
/// meant.
fn host_of(
    wanted: Option<WantedHost>,
    shape: &Shape,
    sku: &Sku,
) -> Result<Option<HostShare>, Problem> {
    let Some(wanted) = wanted else {
        return Ok(None);
    };
    if wanted == WantedHost::default() {
        let allowed = "cpu_milli, memory_mib or both";
        return Err(Problem::field("host", "empty", allowed));
    }
    let share = share_of(shape, sku);
    let host = HostShare {
        cpu_milli: wanted.cpu_milli.unwrap_or(share.cpu_milli),
        memory_mib: wanted.memory_mib.unwrap_or(share.memory_mib),
    };
    check_host(host, sku)?;
    Ok(Some(host))
}

/// The CPU and memory of a node that goes with what is asked for.
fn share_of(shape: &Shape, sku: &Sku) -> HostShare {
    match shape {
        Shape::Nodes { .. } | Shape::Unit { .. } => sku.host_share(sku.gpus),
        Shape::Gpus { count } => sku.host_sevenths(count.saturating_mul(7)),
        Shape::Slices { .. } => {
            sku.host_sevenths(u32::try_from(shape.sevenths()).unwrap_or(u32::MAX))
        }
    }
}

fn check_host(host: HostShare, sku: &Sku) -> Result<(), Problem> {
    let has = [
        ("host.cpu_milli", host.cpu_milli, u64::from(sku.cpus) * 1000),
        ("host.memory_mib", host.memory_mib, sku.memory_mib),
    ];
    for (field, asked, there) in has {
        if asked > there {
            let allowed = format!("0 to {there}, what one {} has", sku.name);
            return Err(Problem::field(field, asked, allowed));
        }
    }
    Ok(())
}

fn check_cap(cap: Option<u32>, sku: &Sku) -> Result<(), Problem> {
    match cap {
        Some(cap) if !(sku.gpu_watts_min..=sku.gpu_watts_max).contains(&cap) => {
            let (least, most) = (sku.gpu_watts_min, sku.gpu_watts_max);
            let allowed = format!("{least} to {most} for {}", sku.name);
            Err(Problem::field("gpu_cap_watts", cap, allowed))
        }
        Some(_) | None => Ok(()),
    }
}

/// Gives the start, where it is to come.
fn check_times(
    wish: &CreateLease,
    side: Side,
    now: Timestamp,
) -> Result<Option<Timestamp>, Problem> {
    let start = match wish.start {
        None => None,
        Some(start) if start + START_SLACK < now => {
            return Err(Problem::field("start", start, format!("{now} or later")));
        }
        Some(start) if start > now + LENGTH_MAX => {
            return Err(Problem::field(
                "start",
                start,
                format!("{} or earlier", now + LENGTH_MAX),
            ));
        }
        Some(start) => Some(start).filter(|start| *start > now),
    };
    let from = start.unwrap_or(now);
    match (wish.length, wish.until, side) {
        (Some(length), None, _) if !(LENGTH_MIN..=LENGTH_MAX).contains(&length) => Err(
            Problem::field("for", length, format!("{LENGTH_MIN} to {LENGTH_MAX}")),
        ),
        (None, Some(until), _) if until < from + LENGTH_MIN || until > from + LENGTH_MAX => {
            let (first, last) = (from + LENGTH_MIN, from + LENGTH_MAX);
            Err(Problem::field("until", until, format!("{first} to {last}")))
        }
        (Some(length), Some(_), _) => {
            Err(Problem::field("for", length, "only one of for and until"))
        }
        (None, None, Side::Tenant) => Err(Problem::field(
            "for",
            "absent",
            "for or until: only leases of internal accounts may have an open end",
        )),
        (Some(_), None, _) | (None, Some(_), _) | (None, None, Side::Internal) => Ok(start),
    }
}

fn check_hold(hold: Option<Span>) -> Result<(), Problem> {
    match hold {
        Some(hold) if !(LENGTH_MIN..=HOLD_MAX).contains(&hold) => {
            let allowed = format!("{LENGTH_MIN} to {HOLD_MAX}");
            Err(Problem::field("hold", hold, allowed))
        }
        Some(_) | None => Ok(()),
    }
}

fn check_name(name: Option<&str>) -> Result<(), Problem> {
    match name {
        Some(name) if name.len() > NAME_MAX || name.chars().any(char::is_control) => {
            let shown: String = name.chars().filter(|c| !c.is_control()).take(80).collect();
            let allowed = format!("up to {NAME_MAX} bytes without control characters");
            Err(Problem::field("name", shown, allowed))
        }
        Some(_) | None => Ok(()),
    }
}
