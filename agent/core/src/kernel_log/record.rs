//! One record of the kernel's log, as `/dev/kmsg` gives it.
//!
//! ```text
//!   4,1873,98230114,-;NVRM: Xid (PCI:0000:9b:00): 79, GPU has fallen off the bus.
//!    SUBSYSTEM=pci
//!    DEVICE=+pci:0000:9b:00.0
//! ```
//!
//! Priority, sequence number, microseconds since boot, flags, and whatever a later kernel adds; after
//! `;` the message, then lines that begin with a space (Documentation/ABI/testing/dev-kmsg). What is
//! not printable is escaped as `\x0a`, and so is the backslash itself.

use leasehold_common::time::{Span, Timestamp};
use std::collections::BTreeMap;
use std::fmt::Write;

/// Longer records are refused. The kernel's own limit is 8 KiB with every byte escaped
/// (`CONSOLE_EXT_LOG_MAX`); this leaves room, and bounds what a file that is no kernel log costs.
pub const LONGEST_RECORD: usize = 16 * 1024;

/// The facility of everything the kernel says itself (`LOG_KERN`).
const KERNEL: u32 = 0;

/// One record of the kernel's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KernelRecord {
    /// Who wrote it: 0 is the kernel. A program that writes to `/dev/kmsg` cannot give 0, the kernel
    /// makes it 1 (`devkmsg_write`).
    pub facility: u32,
    /// How bad it is: 0 emergency to 7 debug.
    pub level: u8,
    /// Number of the record since boot. A gap is a record that was overwritten before it was read.
    pub seq: u64,
    /// Microseconds since boot, by the kernel's log clock.
    pub since_boot_us: u64,
    /// The message without escapes. It can contain line ends: a driver may print several lines at
    /// once, and a process may have one in its name.
    pub text: String,
    /// What the kernel says besides, such as `DEVICE`.
    pub properties: BTreeMap<String, String>,
}

/// Bytes that are no record of the kernel's log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MalformedRecord {
    /// It is longer than any record.
    #[error("{bytes} bytes, more than {LONGEST_RECORD}")]
    TooLong {
        /// How long it is.
        bytes: usize,
    },
    /// There is no `;` between prefix and message.
    #[error("no ';' after the prefix")]
    NoPrefix,
    /// A field of the prefix is missing, no number, or larger than any.
    #[error("{field} is {given:?}")]
    Field {
        /// Which field.
        field: &'static str,
        /// What is there, cut to 40 characters.
        given: String,
    },
}

impl KernelRecord {
    /// Reads one record: its line and the lines that continue it.
    ///
    /// # Errors
    /// Bytes that are no record.
    pub fn parse(bytes: &[u8]) -> Result<Self, MalformedRecord> {
        if bytes.len() > LONGEST_RECORD {
            return Err(MalformedRecord::TooLong { bytes: bytes.len() });
        }
        let mut lines = bytes.split(|byte| *byte == b'\n');
        let line = lines.next().unwrap_or_default();
        let end = line
            .iter()
            .position(|byte| *byte == b';')
            .ok_or(MalformedRecord::NoPrefix)?;
        let (prefix, text) = (&line[..end], &line[end + 1..]);
        let mut fields = prefix.split(|byte| *byte == b',');
        let mut number = |field| number(field, fields.next().unwrap_or_default());
        let priority = number("priority")?;
        let facility = u32::try_from(priority >> 3).map_err(|_| MalformedRecord::Field {
            field: "priority",
            given: priority.to_string(),
        })?;
        let properties = lines
            .filter_map(|line| line.strip_prefix(b" "))
            .filter_map(|line| {
                let (key, value) = line.split_at(line.iter().position(|byte| *byte == b'=')?);
                Some((unescaped(key), unescaped(&value[1..])))
            });
        Ok(Self {
            facility,
            level: u8::try_from(priority & 7).unwrap_or_default(),
            seq: number("sequence number")?,
            since_boot_us: number("time")?,
            text: unescaped(text),
            properties: properties.collect(),
        })
    }

    /// Whether the kernel said it. A tenant's process with `/dev/kmsg` open can write any line, and
    /// would otherwise have a GPU taken out of service, or a neighbour's.
    pub const fn is_the_kernels(&self) -> bool {
        self.facility == KERNEL
    }

    /// When it was said, given when the host was booted.
    ///
    /// The kernel's log clock is not corrected as the wall clock is: it can be seconds off after a
    /// day and minutes after a month. It is good for the order of what was said before anybody read
    /// along; what is read as it is said has a better time, the reader's own.
    pub fn at(&self, boot: Timestamp) -> Timestamp {
        boot + Span::from_millis(self.since_boot_us / 1000)
    }

    /// As `/dev/kmsg` would give it: what a simulated node writes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let Self {
            facility,
            level,
            seq,
            since_boot_us,
            text,
            properties,
        } = self;
        let priority = u64::from(*facility) << 3 | u64::from(level & 7);
        let mut out = format!("{priority},{seq},{since_boot_us},-;");
        escape(text, &mut out);
        for (key, value) in properties {
            out.push_str("\n ");
            escape(key, &mut out);
            out.push('=');
            escape(value, &mut out);
        }
        out.push('\n');
        out.into_bytes()
    }
}

fn number(field: &'static str, given: &[u8]) -> Result<u64, MalformedRecord> {
    let text = str::from_utf8(given).unwrap_or_default();
    // `parse` alone would take "+4".
    let plain = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse()
        .ok()
        .filter(|_| plain)
        .ok_or_else(|| MalformedRecord::Field {
            field,
            given: String::from_utf8_lossy(given).chars().take(40).collect(),
        })
}

/// Text without its escapes. What is no whole escape stays as it is.
fn unescaped(bytes: &[u8]) -> String {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((first, tail)) = rest.split_first() {
        match escaped_byte(rest) {
            Some(byte) => {
                out.push(byte);
                rest = &rest[4..];
            }
            None => {
                out.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// The byte that `\xNN` at the beginning stands for.
fn escaped_byte(bytes: &[u8]) -> Option<u8> {
    let digits = bytes.strip_prefix(b"\\x")?.get(..2)?;
    let digits = str::from_utf8(digits).ok()?;
    // `from_str_radix` alone would take "+f".
    let plain = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    u8::from_str_radix(digits, 16).ok().filter(|_| plain)
}

/// What the kernel escapes: `append_char` in kernel/printk/printk.c.
fn escape(text: &str, out: &mut String) {
    for byte in text.bytes() {
        if (b' '..0x7f).contains(&byte) && byte != b'\\' {
            out.push(char::from(byte));
        } else {
            // Writing into a string cannot fail.
            let _ = write!(out, "\\x{byte:02x}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(bytes: &[u8]) -> KernelRecord {
        KernelRecord::parse(bytes).unwrap()
    }

    #[test]
    fn a_record_has_prefix_message_and_properties() {
        let usb = record(
            b"6,339,5140900,-,caller=T1;NET: Registered protocol; family 10\n SUBSYSTEM=net\n DEVICE=+net:a=b\n",
        );
        assert_eq!((usb.facility, usb.level, usb.seq), (0, 6, 339));
        assert_eq!(usb.text, "NET: Registered protocol; family 10");
        assert_eq!(usb.properties["SUBSYSTEM"], "net");
        assert_eq!(usb.properties["DEVICE"], "+net:a=b");
        let boot = Timestamp::from_unix_ms(1_000_000);
        assert_eq!(usb.at(boot), Timestamp::from_unix_ms(1_005_140));
        assert!(usb.is_the_kernels());
    }

    #[test]
    fn a_program_that_writes_to_the_log_is_told_from_the_kernel() {
        let written = record(b"12,5,900,-;NVRM: Xid (PCI:0000:9b:00): 79, made up\n");
        assert_eq!((written.facility, written.level), (1, 4));
        assert!(!written.is_the_kernels());
    }

    #[test]
    fn escapes_are_undone_and_broken_ones_left() {
        assert_eq!(record(b"4,1,1,-;a\\x0ab\\x5cx41").text, "a\nb\\x41");
        assert_eq!(record(b"4,1,1,-;caf\\xc3\\xa9 \\xff").text, "café \u{fffd}");
        for broken in ["\\x", "\\x4", "\\xg1", "\\x+f", "\\q", "\\"] {
            assert_eq!(record(format!("4,1,1,-;{broken}").as_bytes()).text, broken);
        }
    }

    #[test]
    fn what_is_cut_off_is_read_as_far_as_it_goes() {
        let cut = record(b"4,7,1,c;NVRM: Xid (PCI:0000:9");
        assert_eq!((cut.seq, cut.text.as_str()), (7, "NVRM: Xid (PCI:0000:9"));
        assert_eq!(record(b"4,7,1;flags are missing").text, "flags are missing");
        assert_eq!(
            record(b"4,7,1,-;x\n NOTHING\nno space=1\n")
                .properties
                .len(),
            0
        );
    }

    #[test]
    fn what_is_no_record_is_refused_with_the_reason() {
        for (bytes, reason) in [
            (&b""[..], "no ';' after the prefix"),
            (b"4,1,1,-", "no ';' after the prefix"),
            (b"4,1,1,-\n;", "no ';' after the prefix"),
            (b";", "priority is \"\""),
            (b"4,x,1,-;", "sequence number is \"x\""),
            (b"4,1,-1,-;", "time is \"-1\""),
            (b"4,+1,1,-;", "sequence number is \"+1\""),
            (
                b"4,1,18446744073709551616,-;",
                "time is \"18446744073709551616\"",
            ),
            (
                b"18446744073709551615,1,1,-;",
                "priority is \"18446744073709551615\"",
            ),
            (b"\xff,1,1,-;", "priority is \"\u{fffd}\""),
        ] {
            let error = KernelRecord::parse(bytes).unwrap_err();
            assert_eq!(error.to_string(), reason, "{bytes:?}");
        }
        let endless = vec![b'a'; LONGEST_RECORD + 1];
        let error = KernelRecord::parse(&endless).unwrap_err();
        assert_eq!(error.to_string(), "16385 bytes, more than 16384");
    }

    #[test]
    fn a_time_beyond_all_times_is_the_last_one() {
        let late = record(b"4,1,18446744073709551615,-;");
        let last = Timestamp::from_unix_ms(i64::MAX);
        assert_eq!(late.at(Timestamp::EPOCH), last);
    }
}
