//! Defaults, bounds, and what must be set.

use super::Settings;
use super::fragment::{ControlFragment, Fragment, LivenessFragment, RolesFragment};
use crate::control::{RoleRule, Roles};
use leasehold_common::ids::NodeName;
use leasehold_common::policy::Policy;
use leasehold_common::sku::SkuCatalogue;
use leasehold_common::time::Span;
use leasehold_core::{CoreSettings, Liveness};
use leasehold_daemon::logging;
use leasehold_daemon::settings::Findings;
use leasehold_daemon::socket::SocketSettings;
use nix::unistd::Group;
use std::path::{Path, PathBuf};

/// The settings, or findings that say why there are none. Everything is looked at before anything is
/// given up.
pub(super) fn check(
    fragment: Fragment,
    hostname: &str,
    findings: &mut Findings,
) -> Option<Settings> {
    let state_dir = or_path(fragment.state_dir, "/var/lib/leasehold/scheduler");
    let cell = findings.required("cell", fragment.cell);
    let host = host(fragment.host.as_deref().unwrap_or(hostname), findings);
    let skus = skus(&fragment.sku_files.unwrap_or_default(), findings);
    let control = control(fragment.control, findings);
    let store = fragment
        .store
        .settle("store", &state_dir.join("store.redb"), findings);
    // Shorter, and a leader loses its office to a busy disk; longer, and a dead one is waited for.
    let leader_ttl = findings.bounded(
        "leader.ttl",
        fragment.leader.ttl.unwrap_or(Span::from_secs(12)),
        Span::from_secs(5),
        Span::from_mins(5),
    );
    let liveness = liveness(&fragment.liveness, findings);
    let roles = roles(fragment.roles, findings);
    let turnaround = findings.bounded(
        "placement.turnaround",
        fragment.placement.turnaround.unwrap_or(Span::ZERO),
        Span::ZERO,
        Span::from_hours(24),
    );
    let prepare_lead = findings.bounded(
        "placement.prepare_lead",
        fragment
            .placement
            .prepare_lead
            .unwrap_or(Span::from_mins(1)),
        Span::ZERO,
        Span::from_hours(1),
    );
    let metrics = fragment.metrics.settle("metrics", findings);
    let log_level = fragment.log.level.unwrap_or_else(|| "info".into());
    if let Err(e) = logging::check_filter(&log_level) {
        findings.wrong("log.level", e);
    }
    // The current file is read and verified as a whole at every start: this bounds how long that
    // takes.
    let rotate_mib = findings.bounded(
        "log.rotate_mib",
        fragment.log.rotate_mib.unwrap_or(64),
        1,
        65_536,
    );
    Some(Settings {
        core: CoreSettings {
            cell: cell?,
            host: host?,
            skus,
            policy: Policy {
                turnaround: turnaround?,
                ..Policy::default()
            },
            liveness: liveness?,
            prepare_lead: prepare_lead?,
        },
        state_dir,
        log_dir: or_path(fragment.log_dir, "/var/log/leasehold"),
        log_rotate_bytes: u64::from(rotate_mib?) << 20,
        log_level,
        require_synchronised_clock: fragment.require_synchronised_clock.unwrap_or(false),
        control: control?,
        roles,
        store: store?,
        leader_ttl: leader_ttl?,
        metrics: metrics?,
    })
}

fn or_path(given: Option<PathBuf>, default: &str) -> PathBuf {
    given.unwrap_or_else(|| default.into())
}

/// Names of schedulers follow the rule for nodes' names: both are host names.
fn host(name: &str, findings: &mut Findings) -> Option<String> {
    match name.parse::<NodeName>() {
        Ok(name) => Some(name.into()),
        Err(e) => {
            findings.wrong("host", e);
            None
        }
    }
}

fn skus(files: &[PathBuf], findings: &mut Findings) -> SkuCatalogue {
    let mut skus = SkuCatalogue::built_in();
    let mut add = |path: &Path| -> Result<(), String> {
        let text = std::fs::read_to_string(path).map_err(|e| e.to_string())?;
        skus.extend_toml(&text).map_err(|e| e.to_string())
    };
    for path in files {
        if let Err(e) = add(path) {
            findings.wrong("sku_files", format!("{}: {e}", path.display()));
        }
    }
    skus
}

fn control(control: ControlFragment, findings: &mut Findings) -> Option<SocketSettings> {
    let text = control.mode.as_deref().unwrap_or("0660");
    let mode = u32::from_str_radix(text, 8)
        .ok()
        .filter(|mode| *mode <= 0o777);
    if mode.is_none() {
        let allowed = "allowed are octal digits such as \"0660\", at most 0777";
        findings.wrong("control.mode", format!("{text:?} is no mode, {allowed}"));
    }
    let group = match control.group {
        None => Some(None),
        Some(name) => {
            let known = name.parse().ok().or_else(|| {
                let group = Group::from_name(&name).ok().flatten();
                group.map(|group| group.gid.as_raw())
            });
            if known.is_none() {
                findings.wrong("control.group", format!("there is no group {name:?}"));
            }
            known.map(Some)
        }
    };
    Some(SocketSettings {
        path: or_path(control.socket, "/run/leasehold/control.sock"),
        mode: mode?,
        group: group?,
    })
}

fn liveness(given: &LivenessFragment, findings: &mut Findings) -> Option<Liveness> {
    let usual = Liveness::default();
    let (second, hour) = (Span::from_secs(1), Span::from_hours(1));
    let mut span = |key: &str, given: Option<Span>, usual: Span| {
        findings.bounded(key, given.unwrap_or(usual), second, hour)
    };
    let ttl = span("liveness.ttl", given.ttl, usual.ttl);
    let grace = span("liveness.grace", given.grace, usual.grace);
    let window = span(
        "liveness.brake_window",
        given.brake_window,
        usual.brake_window,
    );
    let nodes = given.brake_nodes.unwrap_or(usual.brake_ceiling);
    let percent = given.brake_percent.unwrap_or(usual.brake_percent);
    // The brake cannot be switched off: below its floor a cell would stop for three reboots, and
    // that floor is no setting.
    let nodes = findings.bounded("liveness.brake_nodes", nodes, usual.brake_floor, 125_000);
    let percent = findings.bounded("liveness.brake_percent", percent, 1, 100);
    Some(Liveness {
        ttl: ttl?,
        grace: grace?,
        brake_floor: usual.brake_floor,
        brake_ceiling: nodes?,
        brake_percent: percent?,
        brake_window: window?,
    })
}

fn roles(given: RolesFragment, findings: &mut Findings) -> Roles {
    let mut rules = |key: &str, texts: Option<Vec<String>>| -> Vec<RoleRule> {
        let texts = texts.unwrap_or_default();
        texts
            .iter()
            .filter_map(|text| text.parse().map_err(|e| findings.wrong(key, e)).ok())
            .collect()
    };
    Roles {
        viewer: rules("roles.viewer", given.viewer),
        operator: rules("roles.operator", given.operator),
        owner: rules("roles.owner", given.owner),
    }
}
