//! Maintenance that is booked and ended.

use super::{Answer, Asked, check_why};
use crate::command::{View, Written};
use crate::conflicts::booked;
use crate::draft::Entry;
use crate::state::State;
use leasehold_common::api::{CreateMaintenance, Problem, ProblemCode};
use leasehold_common::hostlist;
use leasehold_common::ids::MaintenanceId;
use leasehold_common::keys::Key;
use leasehold_common::log::{Actor, Attributes, EventName, Subject};
use leasehold_common::maintenance::{MaintenanceRecord, MaintenanceState};
use leasehold_common::node_set::NodeSet;
use leasehold_common::policy::Finding;
use leasehold_common::record::{Unknown, Version};
use leasehold_common::time::{Span, Timestamp};

/// The most maintenances that are not over.
const OPEN_MAX: usize = 10_000;

/// How far in the past a start may lie and still mean "now": what it takes to type it.
const FROM_SLACK: Span = Span::from_mins(1);

/// How far ahead a maintenance may end: ten years.
const AHEAD_MAX: Span = Span::from_hours(24 * 3653);

/// The most names that are told one by one, if they are of no node.
const UNKNOWN_NAMED: usize = 256;

/// How long one that is over stays in the store; afterwards the log has it.
const ENDED_KEPT: Span = Span::from_hours(7 * 24);

impl State {
    pub(super) fn create_maintenance(
        &mut self,
        wish: &CreateMaintenance,
        asked: Asked<'_>,
    ) -> Answer {
        if let Some(blank) = wish.reason.as_ref().filter(|why| why.trim().is_empty()) {
            let allowed = "some words, for whoever meets it, or none at all";
            return Err(Problem::field("reason", blank, allowed));
        }
        check_why("reason", wish.reason.as_deref())?;
        let nodes = self.listed_nodes(&wish.nodes)?;
        let (from, to) = check_times(wish, asked.now)?;
        self.lift_on(&nodes);
        if self.maintenance_ends.len() >= OPEN_MAX {
            let detail = format!("{OPEN_MAX} maintenances are booked already");
            return Err(Problem::new(ProblemCode::TooManyPending, detail));
        }
        let conflicts = self.on_nodes(&nodes, from, to);
        if !conflicts.is_empty() {
            let what = format!("{} are not free from {from} to {to}", self.fold(&nodes));
            return Err(booked(&what, conflicts).about(
                "nodes",
                &wish.nodes,
                "nodes that are free",
            ));
        }
        let id = self.head.next_maintenance;
        let record = MaintenanceRecord {
            version: Version::CURRENT,
            id,
            nodes,
            from,
            to,
            by: asked.actor.uid,
            why: wish.reason.clone().unwrap_or_default(),
            created: asked.now,
            state: MaintenanceState::Booked,
            since: asked.now,
            idempotency: asked.remembered(201).into_iter().collect(),
            unknown: Unknown::default(),
        };
        if asked.dry_run {
            return Ok(self.maintained(&record, 200, asked.now));
        }
        self.head.next_maintenance = id.next();
        let attributes = Attributes {
            to: Some(format!("{from} to {to}")),
            reason: wish.reason.clone(),
            actor: Some(asked.actor.clone()),
            ..Attributes::default()
        };
        self.log_maintenance(&record, EventName::MaintenanceBooked, attributes);
        self.insert_maintenance(record)
            .expect("nothing was found in the way");
        Ok(self.maintained(&self.maintenance[&id], 201, asked.now))
    }

    pub(super) fn end_maintenance(&mut self, id: MaintenanceId, asked: Asked<'_>) -> Answer {
        let record = self.known_maintenance(id)?;
        if record.state == MaintenanceState::Ended {
            let detail = format!("maintenance {id} ended at {}", record.to);
            return Err(Problem::new(ProblemCode::IllegalState, detail).about(
                "id",
                id,
                "the number of a maintenance that is not over",
            ));
        }
        if asked.dry_run {
            return Ok(self.maintained(record, 200, asked.now));
        }
        let remembered = asked.remembered(200);
        self.finish_maintenance(id, "ended by request", Some(asked.actor.clone()), asked.now);
        if let Some(known) = remembered {
            let target = crate::state::Changed::Maintenance(id);
            self.by_key.insert((known.uid, known.key.clone()), target);
            let record = self.maintenance.get_mut(&id);
            record.expect("it was ended above").idempotency.push(known);
        }
        Ok(self.maintained(&self.maintenance[&id], 200, asked.now))
    }

    /// A maintenance there is.
    pub(crate) fn known_maintenance(
        &self,
        id: MaintenanceId,
    ) -> Result<&MaintenanceRecord, Problem> {
        self.maintenance.get(&id).ok_or_else(|| {
            let detail = format!("no maintenance {id}");
            Problem::new(ProblemCode::UnknownMaintenance, detail).about(
                "id",
                id,
                "the number of a maintenance there is",
            )
        })
    }

    /// Ends what is due and takes out what has been over for long.
    pub(crate) fn due_maintenance(&mut self, now: Timestamp) {
        while let Some((to, id)) = self.maintenance_ends.first().copied()
            && to <= now
            && !self.draft.is_full()
        {
            self.finish_maintenance(id, "its time is over", None, now);
        }
        while let Some((since, id)) = self.maintenance_ended.first().copied()
            && now.since(since) >= ENDED_KEPT
            && !self.draft.is_full()
        {
            let Some(record) = self.remove_maintenance(id) else {
                return;
            };
            let attributes = Attributes {
                to: Some("trimmed".into()),
                reason: Some("from here on only the log has it".into()),
                ..Attributes::default()
            };
            self.log_maintenance(&record, EventName::MaintenanceEnded, attributes);
        }
    }

    /// When there is something to do for a maintenance.
    pub(crate) fn next_maintenance_wake(&self) -> Option<Timestamp> {
        let due = self.maintenance_ends.first().map(|(to, _)| *to);
        let trim = self.maintenance_ended.first();
        let trim = trim.map(|(since, _)| *since + ENDED_KEPT);
        [due, trim].into_iter().flatten().min()
    }

    fn finish_maintenance(
        &mut self,
        id: MaintenanceId,
        reason: &str,
        actor: Option<Actor>,
        now: Timestamp,
    ) {
        let Some(mut record) = self.remove_maintenance(id) else {
            return;
        };
        record.state = MaintenanceState::Ended;
        record.since = now;
        record.to = record.to.min(now);
        record.from = record.from.min(record.to);
        let attributes = Attributes {
            reason: Some(reason.into()),
            actor,
            ..Attributes::default()
        };
        self.log_maintenance(&record, EventName::MaintenanceEnded, attributes);
        let nodes = record.nodes.clone();
        self.insert_maintenance(record)
            .expect("what has ended books nothing");
        self.stir_nodes(nodes.iter());
    }

    fn log_maintenance(
        &mut self,
        record: &MaintenanceRecord,
        event: EventName,
        attributes: Attributes,
    ) {
        let subject = Subject {
            maintenance: Some(record.id),
            nodes: Some(record.nodes.clone()),
            ..Subject::default()
        };
        let entry = Entry {
            subject,
            attributes,
            ..Entry::default()
        };
        self.draft.log(event, entry);
        self.draft.changed(Key::Maintenance(record.id));
    }

    fn maintained(&self, record: &MaintenanceRecord, status: u16, now: Timestamp) -> Written {
        Written {
            status,
            replayed: false,
            view: View::Maintenance(Box::new(self.maintenance_view(record, now))),
        }
    }

    /// The admitted nodes of a hostlist. Every name that is none is told.
    pub(super) fn listed_nodes(&self, list: &str) -> Result<NodeSet, Problem> {
        let names = hostlist::expand(list).map_err(|e| {
            Problem::field("nodes", list, format!("a hostlist such as h[001-016]: {e}"))
        })?;
        let index = |text: &str| self.by_name.get(&text.parse().ok()?).copied();
        let (mut nodes, mut unknown) = (NodeSet::default(), Vec::new());
        for text in &names {
            match index(text) {
                Some(index) => drop(nodes.insert(index)),
                None => unknown.push(text.as_str()),
            }
        }
        let allowed = "names of admitted nodes";
        match unknown[..] {
            [] => Ok(nodes),
            [name, ..] => {
                let all = hostlist::fold(unknown.iter().copied());
                let detail = match unknown.len() {
                    1 => format!("no node {name} is admitted"),
                    n => format!("{n} of these nodes are not admitted: {all}"),
                };
                let findings = unknown.iter().take(UNKNOWN_NAMED).map(|name| Finding {
                    field: "nodes".into(),
                    value: (*name).into(),
                    allowed: allowed.into(),
                });
                let mut problem =
                    Problem::new(ProblemCode::UnknownNode, detail).about("nodes", all, allowed);
                problem.findings = findings.collect();
                Err(problem)
            }
        }
    }
}

fn check_times(
    wish: &CreateMaintenance,
    now: Timestamp,
) -> Result<(Timestamp, Timestamp), Problem> {
    let from = match wish.from {
        Some(from) if from + FROM_SLACK < now => {
            return Err(Problem::field("from", from, format!("{now} or later")));
        }
        given => given.unwrap_or(now).max(now),
    };
    if wish.to <= from || wish.to > now + AHEAD_MAX {
        let allowed = format!("later than {from}, up to {}", now + AHEAD_MAX);
        return Err(Problem::field("to", wish.to, allowed));
    }
    Ok((from, wish.to))
}
