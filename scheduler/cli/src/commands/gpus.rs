//! `leasectl gpus`.

use crate::args::Gpus;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Show;
use crate::output::table::{Table, or_none};
use crate::output::time::minute;
use crate::session::Session;
use leasehold_common::api::{GpuView, List};

/// Carries out a verb of `gpus`.
///
/// # Errors
/// Those of the client.
pub async fn run(verb: &Gpus, session: &mut Session<'_>) -> Result<Exit, Failure> {
    match verb {
        Gpus::Ls(args) => {
            let query = args
                .node
                .as_ref()
                .map(|node| format!("?node={node}"))
                .unwrap_or_default();
            session
                .show::<List<GpuView>>(&format!("/v1/gpus{query}"), &())
                .await
        }
    }
}

impl Show for List<GpuView> {
    type With = ();

    fn text(&self, (): &(), wide: bool, headings: bool) -> String {
        let columns = [
            "NODE",
            "IDX",
            "UUID",
            "SKU",
            "STATE",
            "HEALTH",
            "SINCE",
            "LEASE",
            "MEM",
            "POWER/CAP",
            "TEMP",
            "ECC",
            "REASON",
        ];
        let mut table = Table::new(columns);
        for gpu in &self.items {
            table.row(row(gpu, wide));
        }
        table.text(headings)
    }

    fn names(&self) -> Vec<String> {
        self.items.iter().map(|gpu| gpu.uuid.to_string()).collect()
    }
}

fn row(gpu: &GpuView, wide: bool) -> Vec<String> {
    vec![
        gpu.node.to_string(),
        gpu.slot.to_string(),
        if wide {
            gpu.uuid.to_string()
        } else {
            short(gpu.uuid.as_str()).to_owned()
        },
        gpu.sku.to_string(),
        gpu.node_state.to_string(),
        or_none(gpu.verdict),
        or_none(gpu.since.map(minute)),
        or_none(gpu.lease),
        or_none(gpu.memory_used_mib.map(|mib| format!("{mib}MiB"))),
        power(gpu),
        or_none(gpu.celsius.map(|celsius| format!("{celsius}C"))),
        or_none(gpu.ecc_uncorrected),
        gpu.reasons.join(";"),
    ]
}

/// The first eight digits of a UUID: NVML's are random, so eight tell GPUs apart.
fn short(uuid: &str) -> &str {
    let digits = uuid.strip_prefix("GPU-").unwrap_or(uuid);
    digits.get(..8).unwrap_or(digits)
}

fn power(gpu: &GpuView) -> String {
    let watts = |watts: Option<u64>| watts.map_or("-".to_owned(), |watts| watts.to_string());
    match (gpu.power_watts, gpu.limit_watts) {
        (None, None) => String::new(),
        (drawn, limit) => format!("{}/{}W", watts(drawn), watts(limit)),
    }
}
