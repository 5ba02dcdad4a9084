//! The fleet and the requests of the trace.

use super::table::{ReadError, Table};
use leasehold_placement::fine::{FineNode, FineRequest, GPUS_MAX, Gpus, ModelId, ModelSet, WHOLE};
use std::collections::BTreeSet;
use std::path::Path;

/// A node of the trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceNode {
    /// Its name, column `sn`.
    pub name: String,
    /// What it has.
    pub shape: FineNode,
}

/// A request of the trace: a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pod {
    /// Its name.
    pub name: String,
    /// What it asks for.
    pub ask: FineRequest,
    /// Its `gpu_spec` as it stands. The published classes are told apart by the text, in which one
    /// model may stand twice.
    pub spec: String,
}

impl Pod {
    /// Column `gpu_milli`: what it asks of each GPU. The published tuning to 130 % stops by this
    /// number and not by the sum over GPUs.
    pub const fn gpu_milli_each(&self) -> u16 {
        self.ask.gpus.each()
    }
}

/// A fleet and what is asked of it.
#[derive(Debug, Clone)]
pub struct Trace {
    /// The models there are, by [`ModelId`].
    pub models: Vec<String>,
    /// The nodes, by name.
    pub nodes: Vec<TraceNode>,
    /// The requests, by name.
    pub pods: Vec<Pod>,
}

impl Trace {
    /// Reads the two files.
    ///
    /// # Errors
    /// The first thing in them that cannot be, with file, line and field.
    pub fn read(nodes: &Path, pods: &Path) -> Result<Self, ReadError> {
        Self::parse(&Table::read(nodes)?, &Table::read(pods)?)
    }

    /// Makes sense of two tables.
    ///
    /// # Errors
    /// The first thing in them that cannot be, with file, line and field.
    pub fn parse(nodes: &Table, pods: &Table) -> Result<Self, ReadError> {
        let mut models = Models::default();
        let mut nodes = read_nodes(nodes, &mut models)?;
        let mut pods = read_pods(pods, &mut models)?;
        nodes.sort_by(|a, b| a.name.cmp(&b.name));
        pods.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Self {
            models: models.names,
            nodes,
            pods,
        })
    }

    /// The fleet so many times over. The requests stay: it is the arrivals that repeat.
    #[must_use]
    pub fn repeated(mut self, times: u32) -> Self {
        let once = self.nodes.clone();
        for copy in 1..times {
            let again = |node: &TraceNode| TraceNode {
                name: format!("{}-copy-{copy}", node.name),
                shape: node.shape,
            };
            self.nodes.extend(once.iter().map(again));
        }
        self
    }

    /// All GPUs there are, in thousandths.
    pub fn capacity_milli(&self) -> u64 {
        let gpus = |node: &TraceNode| u64::from(node.shape.gpus) * u64::from(WHOLE);
        self.nodes.iter().map(gpus).sum()
    }
}

/// Numbers for models, in the order in which they are met.
#[derive(Debug, Default)]
struct Models {
    names: Vec<String>,
}

impl Models {
    /// A name's number; absent where there are too many or it is empty.
    fn number(&mut self, name: &str) -> Option<ModelId> {
        if name.is_empty() {
            return None;
        }
        let known = self.names.iter().position(|known| known == name);
        let at = known.unwrap_or(self.names.len());
        let id = ModelId::new(at)?;
        if known.is_none() {
            self.names.push(name.to_owned());
        }
        Some(id)
    }
}

const A_MODEL: &str = "a model's name (at most 64 different ones)";
const A_NAME: &str = "a name that no other line has";

fn read_nodes(table: &Table, models: &mut Models) -> Result<Vec<TraceNode>, ReadError> {
    let name = table.column("sn")?;
    let [cpu, mem] = [table.column("cpu_milli")?, table.column("memory_mib")?];
    let [gpu, model] = [table.column("gpu")?, table.column("model")?];
    let mut seen = BTreeSet::new();
    let most = u8::try_from(GPUS_MAX).unwrap_or(u8::MAX);
    let node = |row: super::table::Row<'_>| {
        if row.text(name).is_empty() || !seen.insert(row.text(name).to_owned()) {
            return Err(row.wrong(name, A_NAME));
        }
        Ok(TraceNode {
            name: row.text(name).to_owned(),
            shape: FineNode {
                model: models
                    .number(row.text(model))
                    .ok_or_else(|| row.wrong(model, A_MODEL))?,
                cpu_milli: row.number(cpu, 0, 1_000_000_000)?,
                mem_mib: row.number(mem, 0, 1_000_000_000)?,
                gpus: row.number(gpu, 0, most)?,
            },
        })
    };
    table.rows().map(node).collect()
}

fn read_pods(table: &Table, models: &mut Models) -> Result<Vec<Pod>, ReadError> {
    let name = table.column("name")?;
    let [cpu, mem] = [table.column("cpu_milli")?, table.column("memory_mib")?];
    let [count, milli] = [table.column("num_gpu")?, table.column("gpu_milli")?];
    let spec = table.optional("gpu_spec");
    let mut seen = BTreeSet::new();
    let most = u8::try_from(GPUS_MAX).unwrap_or(u8::MAX);
    let pod = |row: super::table::Row<'_>| {
        if row.text(name).is_empty() || !seen.insert(row.text(name).to_owned()) {
            return Err(row.wrong(name, A_NAME));
        }
        let gpus = match row.number(count, 0, most)? {
            0 => Gpus::None,
            1 => match row.number(milli, 1, WHOLE)? {
                WHOLE => Gpus::Whole { count: 1 },
                milli => Gpus::Share { milli },
            },
            count if row.text(milli) == "1000" => Gpus::Whole { count },
            _ => return Err(row.wrong(milli, "1000, which it must be for two GPUs or more")),
        };
        let mut set = ModelSet::ANY;
        let text = spec.map_or("", |spec| row.text(spec));
        for (part, column) in text.split('|').zip(spec.into_iter().cycle()) {
            if !text.is_empty() {
                let id = models.number(part);
                set.insert(id.ok_or_else(|| row.wrong(column, "models such as T4|P100"))?);
            }
        }
        Ok(Pod {
            name: row.text(name).to_owned(),
            ask: FineRequest {
                cpu_milli: row.number(cpu, 0, 1_000_000_000)?,
                mem_mib: row.number(mem, 0, 1_000_000_000)?,
                gpus,
                models: set,
            },
            spec: text.to_owned(),
        })
    };
    table.rows().map(pod).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(name: &str, text: &str) -> Table {
        Table::parse(Path::new(name), text).unwrap()
    }

    fn read(node: &str, pod: &str) -> Result<Trace, String> {
        let nodes = format!("sn,cpu_milli,memory_mib,gpu,model\n{node}\n");
        let pods = format!("name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec\n{pod}\n");
        Trace::parse(&table("n.csv", &nodes), &table("p.csv", &pods)).map_err(|e| e.to_string())
    }

    #[test]
    fn pods_map_to_shapes() {
        let pods = "c,9,9,0,0,\nb,9,9,1,1000,G2|T4\na,9,9,1,250,\nd,9,9,4,1000,";
        let trace = read("n,64000,1024,4,T4", pods).unwrap();
        let gpus: Vec<Gpus> = trace.pods.iter().map(|pod| pod.ask.gpus).collect();
        assert_eq!(
            gpus,
            [
                Gpus::Share { milli: 250 },
                Gpus::Whole { count: 1 },
                Gpus::None,
                Gpus::Whole { count: 4 }
            ]
        );
        assert_eq!(trace.models, ["T4", "G2"]);
        assert!(trace.pods[1].ask.models.accepts(trace.nodes[0].shape.model));
        assert_eq!(trace.capacity_milli(), 4000);
    }

    #[test]
    fn a_field_that_cannot_be_is_named() {
        let ok = "n,64000,1024,4,T4";
        let said = |node: &str, pod: &str| read(node, pod).unwrap_err();
        assert_eq!(
            said(ok, "a,9,9,1,1001,"),
            "p.csv, line 2, field gpu_milli: \"1001\" is not a whole number from 1 to 1000"
        );
        assert_eq!(
            said(ok, "a,9,9,2,500,"),
            "p.csv, line 2, field gpu_milli: \"500\" is not 1000, which it must be for two GPUs or \
             more"
        );
        assert_eq!(
            said(ok, "a,9,9,1,500,T4||G2"),
            "p.csv, line 2, field gpu_spec: \"T4||G2\" is not models such as T4|P100"
        );
        assert_eq!(
            said(ok, "a,9,9,0,0,\na,9,9,0,0,"),
            "p.csv, line 3, field name: \"a\" is not a name that no other line has"
        );
        assert_eq!(
            said("n,64000,1024,17,T4", "a,9,9,0,0,"),
            "n.csv, line 2, field gpu: \"17\" is not a whole number from 0 to 16"
        );
    }
}
