//! Walls between packages: what must not appear in a package's tree of dependencies.
//!
//! The pure packages decide; whatever brings a clock, a runtime or a socket into their tree lets them do more than
//! that. Agent and scheduler meet in the common types and in the store, never in each other's code.

/// What one package must not depend on, directly or through others.
#[derive(Debug)]
pub struct Wall {
    pub package: &'static str,
    forbidden: &'static [&'static str],
    reason: &'static str,
}

const RUNTIMES_AND_EDGES: &[&str] = &["tokio", "mio", "hyper", "etcd-client", "nvml-wrapper"];

const fn pure(package: &'static str) -> Wall {
    let reason = "it only decides; runtimes and edges belong to the daemons";
    Wall {
        package,
        forbidden: RUNTIMES_AND_EDGES,
        reason,
    }
}

/// Every wall of the workspace.
pub const WALLS: [Wall; 8] = [
    pure("leasehold-common"),
    pure("leasehold-agent-core"),
    pure("leasehold-gpu-sim"),
    pure("leasehold-core"),
    pure("leasehold-placement"),
    Wall {
        package: "leasectl",
        forbidden: &["etcd-client", "nvml-wrapper"],
        reason: "the operator's CLI speaks to the control socket only",
    },
    Wall {
        package: "leasehold-agent",
        forbidden: &[
            "leasehold-scheduler",
            "leasehold-core",
            "leasehold-placement",
        ],
        reason: "agent and scheduler meet in the store",
    },
    Wall {
        package: "leasehold-scheduler",
        forbidden: &["leasehold-agent", "leasehold-agent-core"],
        reason: "agent and scheduler meet in the store",
    },
];

impl Wall {
    /// The breaches shown by the output of `cargo tree --prefix none`, which is one `name version …` per line.
    pub fn breaches(&self, tree: &str) -> Vec<String> {
        let Self {
            package,
            forbidden,
            reason,
        } = self;
        let names = || {
            tree.lines()
                .filter_map(|line| line.split_whitespace().next())
        };
        forbidden
            .iter()
            .filter(|forbidden| names().any(|name| name == **forbidden))
            .map(|forbidden| {
                format!(
                    "{package} depends on {forbidden}: {reason} (cargo tree -p {package} -i {forbidden})"
                )
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forbidden_dependency_is_named_once_however_deep_and_often_it_appears() {
        let tree = "leasehold-core v0.1.0 (/src/scheduler/core)\nserde v1.0.228\nmiow v0.6.0\n\
                    helper v0.1.0\ntokio v1.54.0\ntokio v1.54.0 (*)\n";
        let breaches = pure("leasehold-core").breaches(tree);
        assert_eq!(breaches.len(), 1, "{breaches:?}");
        assert!(
            breaches[0].starts_with("leasehold-core depends on tokio: "),
            "{breaches:?}"
        );
    }

    #[test]
    fn a_package_that_only_resembles_a_forbidden_one_passes() {
        assert!(
            pure("leasehold-core")
                .breaches("tokio-macros v2.0.0\nhyperloglog v1.0.0\n")
                .is_empty()
        );
    }
}
