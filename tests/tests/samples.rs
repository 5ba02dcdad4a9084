//! The sample configuration, read by the programs that it is for.

use leasehold_tests::program;
use std::path::Path;
use std::process::Command;

/// What a program says about a file of settings.
fn said(program_name: &str, path: &Path) -> String {
    let output = Command::new(program(program_name))
        .env_clear()
        .arg("--config")
        .arg(path)
        .arg("--check-config")
        .output()
        .expect("the program runs");
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// Takes the "#" off every key and table that is commented out.
fn uncommented(sample: &str) -> String {
    let is_key = |line: &str| {
        let word = line.split_once(" = ").map_or("", |(key, _)| key);
        !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase() || c == '_')
    };
    let lines = sample.lines().map(|line| match line.strip_prefix('#') {
        Some(bare) if bare.starts_with('[') || is_key(bare) => bare,
        Some(_) | None => line,
    });
    lines.map(|line| format!("{line}\n")).collect()
}

/// A reader takes the "#" off a key and expects it to be one. What a value names need not be there:
/// samples speak of groups and paths of another host.
#[test]
fn every_key_of_a_sample_is_known_to_its_program() {
    let folder = tempfile::tempdir().unwrap();
    for (name, sample) in [
        ("leasehold-scheduler", "scheduler.toml"),
        ("leasehold-agent", "agent.toml"),
    ] {
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../systemd/etc");
        let text = std::fs::read_to_string(shipped.join(sample)).unwrap();
        let bare = uncommented(&text);
        assert_ne!(bare, text, "{sample} shows its defaults as comments");
        let path = folder.path().join(sample);
        std::fs::write(&path, &bare).unwrap();
        let told = said(name, &path);
        assert!(
            !told.contains("unknown field") && !told.contains("invalid"),
            "{sample}: {told}"
        );
        // This is how the programs would have told.
        std::fs::write(&path, format!("colour = 1\n{bare}")).unwrap();
        let told = said(name, &path);
        assert!(told.contains("unknown field `colour`"), "{sample}: {told}");
    }
}
