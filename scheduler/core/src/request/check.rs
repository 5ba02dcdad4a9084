//! Whether a request for a lease makes sense at all, before anybody plans it.

use crate::state::State;
use leasehold_common::account::Account;
use leasehold_common::api::{CreateLease, Problem, ProblemCode};
use leasehold_common::class::{Class, Side};
use leasehold_common::lease::{LeaseSpec, Shape};
use leasehold_common::sku::Sku;
use leasehold_common::time::{Span, Timestamp};

/// The most nodes one lease may have: a whole cell of the largest kind.
const NODES_MAX: u32 = 125_000;

/// The shortest lease: shorter ones would be over before a node has its grant.
const LENGTH_MIN: Span = Span::from_secs(1);

/// The longest lease, and how far ahead it may start: ten years.
const LENGTH_MAX: Span = Span::from_hours(24 * 3653);

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
    ) -> Result<(LeaseSpec, &Account, &Sku), Problem> {
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
        check_shape(wish.shape, sku)?;
        let start = check_times(&wish, account.side, now)?;
        check_name(wish.name.as_deref())?;
        let spec = LeaseSpec {
            account: wish.account,
            class: wish.class,
            shape: wish.shape,
            sku: wish.sku,
            within: wish.within,
            start,
            length: wish.length,
            until: wish.until,
            name: wish.name,
        };
        Ok((spec, account, sku))
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

fn check_shape(shape: Shape, sku: &Sku) -> Result<(), Problem> {
    let (count, most, of) = match shape {
        Shape::Nodes { count } => (count, NODES_MAX, String::from("nodes")),
        Shape::Gpus { count } => (
            count,
            u32::from(sku.gpus),
            format!("GPUs of one {}", sku.name),
        ),
    };
    if (1..=most).contains(&count) {
        return Ok(());
    }
    Err(Problem::field(
        "shape.count",
        count,
        format!("1 to {most} {of}"),
    ))
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
