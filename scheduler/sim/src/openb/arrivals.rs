//! In which order requests come, and how equal nodes are told apart.
//!
//! Both are read from files, or drawn for a seed the way the published experiment draws them: one
//! `Int()` is thrown away, the requests, sorted by name, are shuffled, tuned to 130 % of the fleet's
//! GPUs, ten `Float64()` are thrown away, and a permutation of the nodes, sorted by name, gives each
//! its rank. With [`GoRandom`] that gives the very order of the given event files.

use super::go_random::GoRandom;
use super::table::{ReadError, Table};
use super::trace::{Pod, Trace};
use std::collections::BTreeMap;
use std::path::Path;

/// The arrived share to which a list is tuned, in percent of the fleet's GPUs.
const TUNED_PCT: u64 = 130;

/// An order of events and of nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrivals {
    /// Positions in the trace's requests, as they come.
    pub pods: Vec<usize>,
    /// For each of the trace's nodes its rank: among equals the smallest wins.
    pub ranks: Vec<u32>,
}

impl Arrivals {
    /// Reads both orders.
    ///
    /// # Errors
    /// Where a file names what is not in the trace, or leaves a node without a rank of its own.
    pub fn read(trace: &Trace, events: &Path, ranks: &Path) -> Result<Self, ReadError> {
        Self::parse(trace, &Table::read(events)?, &Table::read(ranks)?)
    }

    /// Makes sense of two tables.
    ///
    /// # Errors
    /// Where one names what is not in the trace, or leaves a node without a rank of its own.
    pub fn parse(trace: &Trace, events: &Table, ranks: &Table) -> Result<Self, ReadError> {
        Ok(Self {
            pods: read_events(trace, events)?,
            ranks: read_ranks(trace, ranks)?,
        })
    }

    /// Draws both orders for a seed.
    pub fn of_seed(trace: &Trace, seed: u64) -> Self {
        let mut random = GoRandom::new(seed);
        random.int63();
        let mut pods: Vec<usize> = (0..trace.pods.len()).collect();
        random.shuffle(&mut pods);
        tune(trace, &mut pods, &mut random);
        for _ in 0..10 {
            random.int63();
        }
        let nodes = u32::try_from(trace.nodes.len()).expect("a fleet far smaller than 2^32");
        let ranks = random.permutation(nodes);
        Self { pods, ranks }
    }

    /// Both orders so many times over, one after the other: the copies of the nodes, in the order in
    /// which [`Trace::repeated`] adds them, rank behind those before them.
    #[must_use]
    pub fn repeated(self, times: u32) -> Self {
        let nodes = u32::try_from(self.ranks.len()).expect("a fleet far smaller than 2^32");
        let copies = (0..times).map(|copy| copy * nodes);
        let ranks = copies.flat_map(|offset| self.ranks.iter().map(move |rank| rank + offset));
        let ranks = ranks.collect();
        let pods = (0..times).flat_map(|_| self.pods.iter().copied()).collect();
        Self { pods, ranks }
    }
}

/// Repeats random requests until 130 % has arrived, or drops some of a list that has more.
fn tune(trace: &Trace, pods: &mut Vec<usize>, random: &mut GoRandom) {
    let whole = |pod: &Pod| u64::from(pod.ask.gpus.milli());
    let most = trace.capacity_milli() * TUNED_PCT / 100;
    let mut arrived: u64 = trace.pods.iter().map(whole).sum();
    let draw = |random: &mut GoRandom, n: usize| {
        let n = u32::try_from(n).expect("a list far shorter than 2^32");
        usize::try_from(random.below(n)).expect("a position")
    };
    while arrived > most {
        let gone = pods.remove(draw(random, pods.len()));
        arrived -= whole(&trace.pods[gone]);
    }
    if arrived == 0 {
        // Requests without GPUs never fill anything: once through the list is all there is.
        return;
    }
    loop {
        let again = draw(random, trace.pods.len());
        // By what it asks of each GPU, not of all: so the publication was made.
        if arrived + u64::from(trace.pods[again].gpu_milli_each()) > most {
            return;
        }
        arrived += whole(&trace.pods[again]);
        pods.push(again);
    }
}

fn read_events(trace: &Trace, table: &Table) -> Result<Vec<usize>, ReadError> {
    let name = table.column("name")?;
    let named = |(at, pod): (usize, &Pod)| (pod.name.clone(), at);
    let known: BTreeMap<String, usize> = trace.pods.iter().enumerate().map(named).collect();
    let event = |row: super::table::Row<'_>| {
        let text = row.text(name);
        let base = text.split_once("-tuned-").map_or(text, |(base, _)| base);
        let at = known.get(text).or_else(|| known.get(base)).copied();
        at.ok_or_else(|| row.wrong(name, "a request of the list of pods, or one with -tuned-K"))
    };
    table.rows().map(event).collect()
}

fn read_ranks(trace: &Trace, table: &Table) -> Result<Vec<u32>, ReadError> {
    let [name, rank] = [table.column("node")?, table.column("tie_rank")?];
    let mut ranks = vec![None; trace.nodes.len()];
    let mut taken = vec![false; trace.nodes.len()];
    let mut last = None;
    for row in table.rows() {
        last = Some(row);
        let wrong = || row.wrong(name, "a node of the list of nodes, each once");
        let at = trace
            .nodes
            .binary_search_by(|node| node.name.as_str().cmp(row.text(name)));
        let at = at.map_err(|_| wrong())?;
        let most = u32::try_from(trace.nodes.len() - 1).expect("far fewer than 2^32");
        let number: u32 = row.number(rank, 0, most)?;
        let index = usize::try_from(number).expect("a position");
        if std::mem::replace(&mut taken[index], true) {
            return Err(row.wrong(rank, "a rank that no other node has"));
        }
        if ranks[at].replace(number).is_some() {
            return Err(wrong());
        }
    }
    let missing = ranks.iter().position(Option::is_none);
    if let (Some(at), Some(row)) = (missing, last) {
        let node = &trace.nodes[at].name;
        return Err(row.wrong(name, format!("the end: node {node} has no rank yet")));
    }
    Ok(ranks.into_iter().flatten().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(name: &str, text: &str) -> Table {
        Table::parse(Path::new(name), text).unwrap()
    }

    fn small() -> Trace {
        let nodes = "sn,cpu_milli,memory_mib,gpu,model\nn1,64000,1024,4,T4\nn0,64000,1024,4,T4\n";
        let pods = "name,cpu_milli,memory_mib,num_gpu,gpu_milli\na,9,9,1,250\nb,9,9,2,1000\n";
        Trace::parse(&table("n.csv", nodes), &table("p.csv", pods)).unwrap()
    }

    #[test]
    fn files_give_the_order() {
        let events = table("e.csv", "seq,name\n0,b\n1,a\n2,b-tuned-0\n");
        let ranks = table("r.csv", "node,tie_rank\nn1,0\nn0,1\n");
        let arrivals = Arrivals::parse(&small(), &events, &ranks).unwrap();
        assert_eq!(arrivals.pods, [1, 0, 1]);
        assert_eq!(arrivals.ranks, [1, 0]);
    }

    #[test]
    fn a_stranger_is_refused_with_its_line() {
        let good = ("seq,name\n0,b\n", "node,tie_rank\nn1,0\nn0,1\n");
        let said = |events: &str, ranks: &str| {
            let tables = (table("e.csv", events), table("r.csv", ranks));
            Arrivals::parse(&small(), &tables.0, &tables.1)
                .unwrap_err()
                .to_string()
        };
        assert_eq!(
            said("seq,name\n0,b\n1,c-tuned-1\n", good.1),
            "e.csv, line 3, field name: \"c-tuned-1\" is not a request of the list of pods, or one \
             with -tuned-K"
        );
        assert_eq!(
            said(good.0, "node,tie_rank\nn1,1\nn0,1\n"),
            "r.csv, line 3, field tie_rank: \"1\" is not a rank that no other node has"
        );
        assert_eq!(
            said(good.0, "node,tie_rank\nn1,1\n"),
            "r.csv, line 2, field name: \"n1\" is not the end: node n0 has no rank yet"
        );
    }

    #[test]
    fn a_seed_tunes_a_list_to_130_percent() {
        let trace = small();
        let arrivals = Arrivals::of_seed(&trace, 7);
        let milli = |at: &usize| u64::from(trace.pods[*at].ask.gpus.milli());
        let arrived: u64 = arrivals.pods.iter().map(milli).sum();
        assert!((9_000..=11_400).contains(&arrived), "{arrived}");
        assert_eq!(arrivals, Arrivals::of_seed(&trace, 7));
        let mut ranks = arrivals.ranks;
        ranks.sort_unstable();
        assert_eq!(ranks, [0, 1]);
    }
}
