//! What a figure was measured on: without it a figure is not worth quoting.

use std::fs::read_to_string;

/// The processor, how many, the memory, the kernel and what else was going on.
pub fn line() -> String {
    let read = |path| read_to_string(path).unwrap_or_default();
    let (cpus, memory) = (read("/proc/cpuinfo"), read("/proc/meminfo"));
    let load = read("/proc/loadavg");
    let load: Vec<&str> = load.split_whitespace().take(3).collect();
    format!(
        "machine: {} x {}, {} MiB, Linux {}, load average {}",
        cpus.lines()
            .filter(|line| line.starts_with("processor"))
            .count(),
        field(&cpus, "model name").unwrap_or("unknown processor"),
        field(&memory, "MemTotal").and_then(mib).unwrap_or(0),
        read("/proc/sys/kernel/osrelease").trim(),
        load.join(" "),
    )
}

/// The first value of a name in a file of `name : value` lines.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    line.split_once(':').map(|(_, value)| value.trim())
}

/// Of a number of kilobytes such as `24576 kB`.
fn mib(text: &str) -> Option<u64> {
    let kib: u64 = text.split_whitespace().next()?.parse().ok()?;
    Some(kib / 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_what_stands_behind_its_name() {
        let text = "processor\t: 0\nmodel name\t: Some CPU\n";
        assert_eq!(field(text, "model name"), Some("Some CPU"));
        assert_eq!(field(text, "cache size"), None);
        assert_eq!(mib("24576 kB"), Some(24));
        assert_eq!(mib("much"), None);
    }
}
