use super::*;
use leasehold_common::time::Span;
use serde::Deserialize;

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Fragment {
    cell: Option<String>,
    endpoints: Option<Vec<String>>,
    liveness: Liveness,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Liveness {
    grace: Option<Span>,
    brake_nodes: Option<u32>,
}

struct Host {
    dir: tempfile::TempDir,
}

impl Host {
    fn with(files: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("s.toml.d")).unwrap();
        for (name, text) in files {
            std::fs::write(dir.path().join(name), text).unwrap();
        }
        Self { dir }
    }

    fn layers(&self) -> Layers {
        Layers::new("scheduler").file(&self.dir.path().join("s.toml"))
    }
}

fn variables(pairs: &[(&str, &str)]) -> impl Iterator<Item = (String, String)> {
    let pairs: Vec<_> = pairs
        .iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
        .collect();
    pairs.into_iter()
}

#[test]
fn later_layers_win_key_by_key() {
    let host = Host::with(&[
        (
            "s.toml",
            "cell = 'one'\n[liveness]\ngrace = '45s'\nbrake_nodes = 50",
        ),
        ("s.toml.d/20-b.toml", "cell = 'three'"),
        ("s.toml.d/10-a.toml", "cell = 'two'\nendpoints = ['x']"),
        ("s.toml.d/30-c.txt", "not read"),
    ]);
    let (input, findings) = host
        .layers()
        .environment(variables(&[
            ("LEASEHOLD_SCHEDULER_LIVENESS__GRACE", "30s"),
            ("LEASEHOLD_SCHEDULER_ENDPOINTS", "http://a, http://b"),
            ("LEASEHOLD_SCHEDULER_CONFIG", "/elsewhere"),
            ("LEASEHOLD_AGENT_CELL", "another daemon's"),
        ]))
        .set("liveness.brake_nodes=7")
        .read::<Fragment>();
    assert!(findings.is_empty(), "{findings:?}");
    let endpoints = vec!["http://a".to_owned(), "http://b".to_owned()];
    let liveness = Liveness {
        grace: Some(Span::from_secs(30)),
        brake_nodes: Some(7),
    };
    let wanted = Fragment {
        cell: Some("three".into()),
        endpoints: Some(endpoints),
        liveness,
    };
    assert_eq!(input, wanted);
}

#[test]
fn every_mistake_is_told_at_once_and_where_it_stands() {
    let host = Host::with(&[
        (
            "s.toml",
            "colour = 'red'\n[liveness]\ngrace = 'soon'\nbrake_nodes = -1",
        ),
        ("s.toml.d/10-a.toml", "cell = "),
    ]);
    let (_, mut findings) = host
        .layers()
        .environment(variables(&[("LEASEHOLD_SCHEDULER_CEL", "x")]))
        .flag("--brake", "liveness.brake_nodes", Some("many"))
        .set("cell")
        .read::<Fragment>();
    findings.required::<u8>("cell", None);
    findings.required::<u8>("liveness.grace", None);
    let told = findings.finish(Some(())).unwrap_err().to_string();
    let told = told.replace(&host.dir.path().display().to_string(), "");
    assert_eq!(
        told,
        "8 mistakes in the settings\n  \
         /s.toml.d/10-a.toml: line 1: string values must be quoted, expected literal string\n  \
         flag --set: \"cell\" is not KEY=VALUE\n  \
         /s.toml: colour: unknown field `colour`, expected one of `cell`, `endpoints`, `liveness`\n  \
         /s.toml: liveness.brake_nodes: invalid value: integer `-1`, expected u32\n  \
         /s.toml: liveness.grace: \"soon\" is no length of time such as 90s, 30m, 1h30m or 30d\n  \
         variable LEASEHOLD_SCHEDULER_CEL: cel: unknown field `cel`, expected one of `cell`, \
         `endpoints`, `liveness`\n  \
         flag --brake: liveness.brake_nodes: invalid type: string \"many\", expected u32\n  \
         cell: must be set and is not"
    );
}

#[test]
fn a_file_that_is_not_there_is_a_mistake() {
    let (_, findings) = Layers::new("agent")
        .file(Path::new("/nowhere/agent.toml"))
        .read::<Fragment>();
    let told = findings.finish(Some(())).unwrap_err().to_string();
    assert!(told.contains("/nowhere/agent.toml: No such file"), "{told}");
}

#[test]
fn a_number_may_be_meant_as_text() {
    let (input, findings) = Layers::new("scheduler").set("cell=001").read::<Fragment>();
    assert!(findings.is_empty());
    assert_eq!(input.cell.as_deref(), Some("001"));
}

#[test]
fn a_value_out_of_bounds_names_its_origin() {
    let (_, mut findings) = Layers::new("scheduler").set("cell=x").read::<Fragment>();
    assert_eq!(findings.bounded("cell", 7, 1, 5), None);
    assert_eq!(
        findings.finish(Some(())).unwrap_err().to_string(),
        "1 mistake in the settings\n  flag --set: cell: is 7, allowed is 1 to 5"
    );
}
