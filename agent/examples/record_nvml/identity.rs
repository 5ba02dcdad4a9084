//! What tells one machine from another, and what stands for it in the record.

/// Shorter than this, a serial number could be part of anything.
const SHORTEST: usize = 6;

/// The names found so far, each with its replacement.
#[derive(Debug)]
pub struct Identities {
    keep: bool,
    known: Vec<(String, String)>,
}

impl Identities {
    /// None yet. `keep`: nothing is replaced.
    pub fn new(keep: bool) -> Self {
        Self {
            keep,
            known: Vec::new(),
        }
    }

    /// A serial number, a UUID or the like, to be replaced wherever it turns up from now on.
    pub fn learn(&mut self, real: &str) {
        let known = self.known.iter().any(|(known, _)| known == real);
        if !known && real.len() >= SHORTEST {
            let made_up = made_up(real, self.known.len());
            self.known.push((real.to_owned(), made_up));
        }
    }

    /// The text without what is known, and without any UUID of a GPU.
    pub fn hide(&mut self, text: &str) -> String {
        if self.keep {
            return text.to_owned();
        }
        for prefix in ["GPU-", "MIG-"] {
            for (at, _) in text.match_indices(prefix) {
                let uuid = text.get(at..at + prefix.len() + 36);
                if let Some(uuid) = uuid.filter(|uuid| is_uuid(&uuid[prefix.len()..])) {
                    self.learn(uuid);
                }
            }
        }
        self.known
            .iter()
            .fold(text.to_owned(), |text, (real, made_up)| {
                text.replace(real, made_up)
            })
    }

    /// Bytes that are an identity: none stay none, others become one that is made up.
    pub fn hide_bytes(&self, bytes: &[u8]) -> String {
        if self.keep || bytes.iter().all(|&byte| byte == 0) {
            return crate::room::hex(bytes);
        }
        format!("({} bytes left out)", bytes.len())
    }

    /// A number that is an identity.
    pub fn hide_number(&self, number: u64) -> String {
        self.hide_bytes(&number.to_be_bytes())
    }
}

fn is_uuid(text: &str) -> bool {
    text.char_indices().all(|(at, c)| match at {
        8 | 13 | 18 | 23 => c == '-',
        _ => c.is_ascii_hexdigit(),
    })
}

/// Of the same length and with the same beginning, the `number`th of its kind.
fn made_up(real: &str, number: usize) -> String {
    if let Some((prefix @ ("GPU" | "MIG"), uuid)) = real.split_once('-')
        && is_uuid(uuid)
        && uuid.len() == 36
    {
        return format!("{prefix}-00000000-0000-4000-8000-{number:012x}");
    }
    let kept = 3;
    let begin: String = real.chars().take(kept).collect();
    let width = real.chars().count().saturating_sub(kept);
    format!("{begin}{number:0width$}")
}
