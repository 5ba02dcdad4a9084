//! Tables in Markdown.

use crate::agent::Footprint;
use crate::socket::SocketRow;
use crate::verdicts::Verdicts;
use std::fmt::Write as _;
use std::time::Duration;

/// Leases a second, a row each.
pub fn sockets(rows: &[SocketRow]) -> String {
    let mut text = String::from(
        "| store | clients | leases | nodes | created/s | p50 ms | p99 ms | active/s | ended/s | store alone, txn/s | created ÷ store alone |\n\
         |---|---|---|---|---|---|---|---|---|---|---|\n",
    );
    for row in rows {
        let of = &row.settings;
        let (store, clients, leases, nodes) = (plain(&row.store), of.clients, of.leases, of.nodes);
        let (created, active, ended, raw) = (row.created, row.active, row.ended, row.raw);
        let (p50, p99) = (millis(row.p50), millis(row.p99));
        let ratio = created / raw;
        writeln!(
            text,
            "| {store} | {clients} | {leases} | {nodes} | {created:.0} | {p50:.2} | {p99:.2} | \
             {active:.0} | {ended:.0} | {raw:.0} | {ratio:.2} |"
        )
        .expect("a string takes everything");
    }
    text.push_str(
        "\ncreated: answered 201, durable. active: granted by the scheduler, on the node's disk \
         and acknowledged, from the first request of a round to the last acknowledgement. Leases \
         of one GPU in rounds of at most as many as there are GPUs. Store alone: as many clients, \
         as many transactions of one guard and three puts each, straight through \
         `leasehold-store` (etcd: the same server; embedded: another file beside it). Clients, \
         daemons, agents and store share the machine.\n",
    );
    text
}

/// What the agent took.
pub fn agent(footprint: &Footprint) -> String {
    let Footprint {
        store,
        observed,
        resident_kib,
        anonymous_kib,
        cpu,
    } = footprint;
    let (store, seconds) = (plain(store), observed.as_secs_f64());
    let share = 100.0 * cpu.as_secs_f64() / seconds;
    format!(
        "| agent, 8 simulated GPUs at 1 Hz | store | VmRSS KiB | RssAnon KiB | CPU, % of a core | observed s |\n\
         |---|---|---|---|---|---|\n\
         | `leasehold-agent` | {store} | {resident_kib} | {anonymous_kib} | {share:.2} | {seconds:.0} |\n\
         \nThe simulated NVML library runs inside the agent and is counted with it.\n"
    )
}

/// How soon the agent's verdicts were where they count.
pub fn verdicts(measured: &Verdicts) -> String {
    let Verdicts {
        store,
        stored,
        xids,
        unplaced,
        scrapes,
        oldest,
    } = measured;
    let mut text = format!(
        "| one agent, 8 simulated GPUs at 1 Hz, {} | p50 ms | p99 ms | longest ms |\n|---|---|---|---|\n",
        plain(store)
    );
    for (what, times) in [
        (format!("XID to finding in the store, {xids} XIDs"), stored),
        ("XID to one GPU less to place on".to_owned(), unplaced),
        ("scrape while a GPU hangs".to_owned(), scrapes),
    ] {
        let [p50, p99, longest] = [50, 99, 100].map(|percent| millis(times.percentile(percent)));
        writeln!(text, "| {what} | {p50:.1} | {p99:.1} | {longest:.1} |")
            .expect("a string takes everything");
    }
    write!(
        text,
        "\nOldest reading of the seven other GPUs while one hung: {oldest:.1} s. The store is asked every 5 ms.\n"
    )
    .expect("a string takes everything");
    text
}

/// A store's description without its address or path, which is another at each run.
fn plain(store: &str) -> &str {
    let cut = store.find(" at ").or_else(|| store.find(" /"));
    cut.map_or(store, |end| &store[..end])
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::socket::{Backing, SocketSettings};

    #[test]
    fn a_row_has_a_cell_for_each_column() {
        let row = SocketRow {
            settings: SocketSettings {
                backing: Backing::Etcd,
                clients: 64,
                leases: 4096,
                nodes: 64,
            },
            store: "etcd 3.4.23 at http://127.0.0.1:2379".into(),
            created: 2400.4,
            p50: Duration::from_micros(1234),
            p99: Duration::from_millis(20),
            active: 2000.0,
            ended: 2500.0,
            raw: 4800.8,
        };
        let text = sockets(&[row]);
        let lines: Vec<&str> = text.lines().collect();
        let wanted =
            "| etcd 3.4.23 | 64 | 4096 | 64 | 2400 | 1.23 | 20.00 | 2000 | 2500 | 4801 | 0.50 |";
        assert_eq!(lines[2], wanted);
        let cells = |line: &str| line.matches('|').count();
        assert_eq!(cells(lines[0]), cells(lines[1]));
        assert_eq!(cells(lines[0]), cells(lines[2]));
    }

    #[test]
    fn a_store_is_named_without_where_it_is() {
        assert_eq!(plain("embedded store /tmp/x/store.redb"), "embedded store");
        assert_eq!(plain("etcd 3.4.23 at http://127.0.0.1:1"), "etcd 3.4.23");
    }

    #[test]
    fn cpu_is_a_share_of_one_core() {
        let footprint = Footprint {
            store: "etcd 3.4.23 at http://127.0.0.1:1".into(),
            observed: Duration::from_secs(60),
            resident_kib: 14_848,
            anonymous_kib: 4_000,
            cpu: Duration::from_millis(300),
        };
        let wanted = "| `leasehold-agent` | etcd 3.4.23 | 14848 | 4000 | 0.50 | 60 |";
        assert_eq!(agent(&footprint).lines().nth(2), Some(wanted));
    }
}
