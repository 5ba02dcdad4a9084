//! Which functions the library exports, from its file: 64-bit ELF, its table of dynamic symbols.

use std::fs;
use std::path::{Path, PathBuf};

/// `SHT_DYNSYM`.
const DYNAMIC_SYMBOLS: u32 = 11;

/// The names that begin with `nvml`, in order. None where the file cannot be found or read.
pub fn exported(library: &Path) -> Option<Vec<String>> {
    let file = fs::read(mapped(library)?).ok()?;
    let mut names = names(&file)?;
    names.sort_unstable();
    names.dedup();
    Some(names)
}

/// The file that the loader found for a name, by what is mapped.
fn mapped(library: &Path) -> Option<PathBuf> {
    let name = library.file_name()?.to_str()?;
    let stem = name.split(".so").next()?;
    let maps = fs::read_to_string("/proc/self/maps").ok()?;
    let path = maps
        .lines()
        .filter_map(|line| Some(&line[line.find('/')?..]))
        .find(|path| {
            path.rsplit('/')
                .next()
                .is_some_and(|file| file.starts_with(stem))
        })?;
    Some(path.into())
}

fn names(file: &[u8]) -> Option<Vec<String>> {
    let (table, size, count) = (long(file, 0x28)?, short(file, 0x3a)?, short(file, 0x3c)?);
    let section = |at: usize| table + at * size;
    let symbols = (0..count)
        .map(section)
        .find(|&header| word(file, header + 4) == Some(DYNAMIC_SYMBOLS))?;
    let (begin, length) = (long(file, symbols + 0x18)?, long(file, symbols + 0x20)?);
    let texts = section(usize::try_from(word(file, symbols + 0x28)?).ok()?);
    let texts = long(file, texts + 0x18)?;
    let entries = file.get(begin..begin + length)?.chunks_exact(24);
    let names = entries
        .filter(|entry| short(entry, 6) != Some(0))
        .filter_map(|entry| {
            let at = texts + usize::try_from(word(entry, 0)?).ok()?;
            let text = file.get(at..)?.split(|&byte| byte == 0).next()?;
            let text = std::str::from_utf8(text).ok()?;
            text.starts_with("nvml").then(|| text.to_owned())
        });
    Some(names.collect())
}

fn short(bytes: &[u8], at: usize) -> Option<usize> {
    let two = bytes.get(at..at + 2)?.try_into().ok()?;
    Some(usize::from(u16::from_le_bytes(two)))
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn long(bytes: &[u8], at: usize) -> Option<usize> {
    let eight = bytes.get(at..at + 8)?.try_into().ok()?;
    usize::try_from(u64::from_le_bytes(eight)).ok()
}
