//! Server-sent events, as far as the control API uses them: `id`, `event` and `data` lines, a blank
//! line after each event, comment lines as a sign of life.

use super::ClientError;
use super::link::Link;
use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use std::path::PathBuf;

/// The longest line taken: a placement-log record may name every node of a large lease.
const LINE_MAX: usize = 16 << 20;

/// One event.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Event {
    /// The sequence number of the log record, to resume after.
    pub id: Option<String>,
    /// The record, one line of JSON.
    pub data: String,
}

/// Events as they happen. Ends where the scheduler closes the connection.
#[derive(Debug)]
pub struct EventStream {
    body: Incoming,
    lines: Lines,
    socket: PathBuf,
    /// Keeps the connection open.
    _link: Link,
}

impl EventStream {
    pub(super) fn new(link: Link, body: Incoming, socket: PathBuf) -> Self {
        Self {
            body,
            lines: Lines::default(),
            socket,
            _link: link,
        }
    }

    /// The next event; nothing where the stream has ended.
    ///
    /// # Errors
    /// The connection was lost, or what came is no event stream.
    pub async fn next(&mut self) -> Result<Option<Event>, ClientError> {
        loop {
            if let Some(event) = self.lines.event()? {
                return Ok(Some(event));
            }
            match self.body.frame().await {
                None => return Ok(None),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.lines.push(&data);
                    }
                }
                Some(Err(source)) => {
                    let socket = self.socket.clone();
                    return Err(ClientError::Lost {
                        socket,
                        source: source.into(),
                    });
                }
            }
        }
    }
}

/// Text that has arrived and is not yet an event.
#[derive(Debug, Default)]
struct Lines {
    arrived: Vec<u8>,
    event: Event,
}

impl Lines {
    fn push(&mut self, data: &Bytes) {
        self.arrived.extend_from_slice(data);
    }

    /// Takes whole lines until they make an event.
    fn event(&mut self) -> Result<Option<Event>, ClientError> {
        while let Some(end) = self.arrived.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.arrived.drain(..=end).collect();
            let line = std::str::from_utf8(&line).map_err(|_| ClientError::NotUtf8)?;
            let line = line.trim_end_matches(['\r', '\n']);
            if line.is_empty() {
                let event = std::mem::take(&mut self.event);
                if !event.data.is_empty() {
                    return Ok(Some(event));
                }
                continue;
            }
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "id" => self.event.id = Some(value.to_owned()),
                "data" => {
                    if !self.event.data.is_empty() {
                        self.event.data.push('\n');
                    }
                    self.event.data.push_str(value);
                }
                // The record names its event itself; comments and other fields say nothing to us.
                _ => {}
            }
        }
        if self.arrived.len() > LINE_MAX {
            return Err(ClientError::LineTooLong { max: LINE_MAX });
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_put_together_however_the_bytes_arrive() {
        let stream = "retry: 1000\n: alive\n\nid: 7\nevent: lease.started\ndata: {\"a\":\ndata: 1}\n\n\
                      id: 8\r\ndata: {}\r\n\r\nid: 9\ndata: cut";
        for step in 1..stream.len() {
            let mut lines = Lines::default();
            let mut events = Vec::new();
            for piece in stream.as_bytes().chunks(step) {
                lines.push(&Bytes::copy_from_slice(piece));
                while let Some(event) = lines.event().unwrap() {
                    events.push((event.id.unwrap(), event.data));
                }
            }
            let wanted = [
                ("7".to_owned(), "{\"a\":\n1}".to_owned()),
                ("8".to_owned(), "{}".to_owned()),
            ];
            assert_eq!(events, wanted, "in pieces of {step}");
        }
    }
}
