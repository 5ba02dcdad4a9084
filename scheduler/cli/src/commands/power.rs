//! `leasectl power`: budgets, and what is booked and drawn below them.

use crate::args::{Power, SetBudget};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Show;
use crate::output::table::{Table, or_none};
use crate::output::time::{minute, second};
use crate::session::Session;
use leasehold_common::api::{self, List, PowerView, WantedStep};
use leasehold_common::power::PowerStep;
use leasehold_common::units::MilliWatts;

/// Carries out a verb of `power`.
///
/// # Errors
/// Those of the client.
pub async fn run(verb: &Power, session: &mut Session<'_>) -> Result<Exit, Failure> {
    match verb {
        Power::Show(args) => {
            let path = match &args.prefix {
                // The whole cell is the empty prefix, and `/` in a query.
                Some(prefix) if prefix.as_str().is_empty() => "/v1/power?prefix=/".to_owned(),
                Some(prefix) => format!("/v1/power?prefix={}", prefix.as_str()),
                None => "/v1/power".to_owned(),
            };
            session.show::<List<PowerView>>(&path, &()).await
        }
        Power::SetBudget(args) => set_budget(args, session).await,
    }
}

async fn set_budget(args: &SetBudget, session: &mut Session<'_>) -> Result<Exit, Failure> {
    let first = WantedStep {
        from: args.from,
        watts: args.watts.0,
    };
    let then = args.then.iter().map(|(from, watts)| WantedStep {
        from: Some(*from),
        watts: watts.0,
    });
    let body = api::SetPowerBudget {
        prefix: args.prefix.clone(),
        steps: [first].into_iter().chain(then).collect(),
        why: args.why.clone(),
    };
    let query = if args.dry_run { "?dry_run=true" } else { "" };
    let path = format!("/v1/power{query}");
    let answer = session.post(&path, &body, &args.write).await?;
    if args.dry_run {
        session.note("dry run: nothing was changed; this is how it would be")?;
    }
    let view: PowerView = answer.read()?;
    let exit = session.write::<PowerView>(&answer, &())?;
    if let Some(warning) = over(&view) {
        session.note(&warning)?;
    }
    Ok(exit)
}

fn watts(watts: u64) -> String {
    MilliWatts::from_watts(watts).to_string()
}

fn limit(watts_or_none: Option<u64>) -> String {
    watts_or_none.map_or_else(|| "unlimited".to_owned(), watts)
}

/// `300.0 kW from 2026-12-01T22:00Z`
fn step(step: PowerStep) -> String {
    format!("{} from {}", limit(step.watts), minute(step.from))
}

/// Where a budget is below what is booked, said so that nobody can miss it.
fn over(view: &PowerView) -> Option<String> {
    let over = view.over.as_ref()?;
    let from = second(over.from);
    let (excess, worst) = (watts(over.watts), second(over.worst));
    let place = &view.prefix;
    Some(format!(
        "{place} has up to {excess} more booked than its budget, from {from} on, worst at {worst}; \
         booked leases stay"
    ))
}

/// What is drawn, with `*` where some of it is old: agents are silent, as in `nodes ls`.
fn drawn(view: &PowerView) -> String {
    let stale = if view.stale_watts > 0 { "*" } else { "" };
    format!("{}{stale}", watts(view.drawn_watts))
}

/// What is drawn of the budget, or of all that is installed where there is none, in percent.
fn share(view: &PowerView) -> String {
    let of = match view.budget_watts {
        Some(budget) => budget,
        None => view.installed_watts,
    };
    match of {
        0 => String::new(),
        of => format!("{}%", view.drawn_watts.saturating_mul(100) / of),
    }
}

/// How much of what is drawn is old, and of how many nodes nothing is known.
fn unsure(view: &PowerView) -> Option<String> {
    let unknown = view.nodes.saturating_sub(view.nodes_reporting);
    let stale = (view.stale_watts > 0).then(|| {
        format!(
            "{} of it said by agents that are silent",
            watts(view.stale_watts)
        )
    });
    let unknown = (unknown > 0).then(|| format!("{unknown} nodes have not said what they draw"));
    let said: Vec<String> = stale.into_iter().chain(unknown).collect();
    (!said.is_empty()).then(|| format!("{}: {}", view.prefix, said.join("; ")))
}

fn table<'a>(places: impl IntoIterator<Item = &'a PowerView>) -> Table {
    let mut table = Table::new([
        "PLACE",
        "BUDGET",
        "BOOKED",
        "PEAK",
        "AT",
        "INSTALLED",
        "DRAWN",
        "SHARE",
        "NODES",
        "NEXT",
    ]);
    for place in places {
        table.row([
            place.prefix.to_string(),
            limit(place.budget_watts),
            watts(place.booked_watts),
            watts(place.booked_max_watts),
            place.booked_max_at.map_or_else(|| "now".to_owned(), minute),
            watts(place.installed_watts),
            drawn(place),
            share(place),
            place.nodes.to_string(),
            or_none(place.next.map(step)),
        ]);
    }
    table
}

impl Show for PowerView {
    type With = ();

    fn text(&self, (): &(), _wide: bool, headings: bool) -> String {
        table([self]).text(headings)
    }

    fn names(&self) -> Vec<String> {
        vec![self.prefix.to_string()]
    }
}

impl Show for List<PowerView> {
    type With = ();

    fn text(&self, (): &(), _wide: bool, headings: bool) -> String {
        let mut text = table(&self.items).text(headings);
        for warning in self.items.iter().filter_map(over) {
            text.push_str(&format!("! {warning}\n"));
        }
        for note in self.items.iter().filter_map(unsure) {
            text.push_str(&format!("* {note}\n"));
        }
        text
    }

    fn names(&self) -> Vec<String> {
        self.items.iter().map(|p| p.prefix.to_string()).collect()
    }
}
