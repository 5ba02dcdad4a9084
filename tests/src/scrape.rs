//! What a daemon shows of itself to whoever scrapes it, and Prometheus' own tools to judge that.

use crate::http::Request;
use crate::wait::wait_for;
use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// One page, as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scrape(pub String);

impl Scrape {
    /// Of a daemon's socket, as OpenMetrics.
    ///
    /// # Panics
    /// When it is no page.
    pub fn of(socket: &Path, page: &str) -> Self {
        let answer = Request::get(page).ask(socket);
        assert_eq!(answer.status, 200, "{page}: {}", answer.body);
        let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
        assert!(answer.head.contains(kind), "{}", answer.head);
        Self(answer.body)
    }

    /// The same in the format from before OpenMetrics.
    pub fn classic(socket: &Path, page: &str) -> Self {
        let request = Request {
            accept: Some("text/plain"),
            ..Request::get(page)
        };
        Self(request.ask(socket).body)
    }

    /// The value of a series, by its name and some of its labels.
    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let is_it = |line: &&str| {
            let named = line
                .strip_prefix(name)
                .is_some_and(|rest| rest.starts_with('{') || rest.starts_with(' '));
            let has = |(key, value): &(&str, &str)| line.contains(&format!("{key}=\"{value}\""));
            named && labels.iter().all(has)
        };
        self.0.lines().find(is_it)?.rsplit(' ').next()?.parse().ok()
    }

    /// The names of all families, as their series begin.
    pub fn families(&self) -> BTreeSet<String> {
        let types = self
            .0
            .lines()
            .filter_map(|line| line.strip_prefix("# TYPE "));
        let named = types.filter_map(|family| family.split_once(' '));
        named
            .map(|(name, kind)| match kind {
                "counter" => format!("{name}_total"),
                _ => name.to_owned(),
            })
            .collect()
    }
}

/// Waits until a page of a socket shows a value, and gives the page.
///
/// # Panics
/// When it does not.
pub fn wait_for_value(
    socket: &Path,
    page: &str,
    series: (&str, &[(&str, &str)]),
    wanted: f64,
) -> Scrape {
    let (name, labels) = series;
    wait_for(&format!("{name} {labels:?} to be {wanted}"), || {
        let scrape = Scrape::of(socket, page);
        let value = scrape.value(name, labels);
        (value == Some(wanted))
            .then_some(scrape)
            .ok_or_else(|| format!("it is {value:?}"))
    })
}

/// Asks `promtool`, with this on its standard input: whether it was content, and all it said. Absent,
/// with a word about it, where it is not installed.
///
/// # Panics
/// When it cannot be run.
pub fn promtool(arguments: &[&str], folder: &Path, input: &str) -> Option<(bool, String)> {
    let spawned = Command::new("promtool")
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = match spawned {
        Ok(child) => child,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            println!("skipped: promtool is not installed (Debian package prometheus)");
            return None;
        }
        Err(e) => panic!("promtool does not start: {e}"),
    };
    let mut stdin = child.stdin.take().expect("it was piped");
    // It may have seen enough before the end.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    let output = child.wait_with_output().expect("promtool ends");
    let said = [output.stdout, output.stderr].concat();
    Some((
        output.status.success(),
        String::from_utf8_lossy(&said).into_owned(),
    ))
}
