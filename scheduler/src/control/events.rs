//! Records of the placement log as they are written.

use super::answer::Refusal;
use super::parameters::{Parameters, checked};
use super::serve::Server;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderMap, Response};
use futures::StreamExt as _;
use leasehold_common::api::{Problem, ProblemCode};
use leasehold_common::ids::Seq;
use serde_json::Value;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

/// How often a line goes out while nothing happens, so that a client that is gone is noticed and its
/// place freed.
const ALIVE_EVERY: Duration = Duration::from_secs(15);

/// The form of the stream.
#[derive(Debug, Clone, Copy)]
enum Form {
    /// Server-sent events, with `id:` to resume after.
    Sse,
    /// One JSON object a line, for scripts.
    Ndjson,
}

/// Records of the placement log, in order.
#[utoipa::path(get, path = "/v1/events", tag = "cell",
    params(
        ("since" = Option<u64>, Query, description = "Begin after this record; without it, now when following and at the beginning otherwise"),
        ("follow" = Option<bool>, Query, description = "Go on at the head; true unless given"),
        ("Last-Event-ID" = Option<u64>, Header, description = "Begin after this record: a stream that is resumed"),
        ("Accept" = Option<String>, Header, description = "application/x-ndjson for one JSON object a line"),
    ),
    responses((status = 200, content_type = "text/event-stream", body = String))
)]
pub(super) async fn events(
    State(server): State<Server>,
    headers: HeaderMap,
    mut parameters: Parameters,
) -> Result<Response<Body>, Refusal> {
    let since: Option<Seq> = parameters.take("since")?;
    let follow = parameters.switch("follow", true)?;
    parameters.none_left("since, follow")?;
    // A browser that resumes sends both, and its header is the newer one.
    let resumed = headers
        .get("last-event-id")
        .map(|id| checked("last-event-id", &String::from_utf8_lossy(id.as_bytes())))
        .transpose()?;
    let form = Form::wanted(&headers);
    let place = Arc::clone(&server.streams)
        .try_acquire_owned()
        .map_err(|_| {
            let most = server.limits.streams;
            Problem::new(
                ProblemCode::TooManyPending,
                format!("{most} event streams are open"),
            )
        })?;
    let records = server.service.events(resumed.or(since), follow);
    let text =
        tokio_stream::StreamExt::timeout_repeating(records, tokio::time::interval(ALIVE_EVERY))
            .map(move |record| {
                let _held_until_the_end = &place;
                let text = match record {
                    Ok(record) => form.write(&record),
                    Err(_) => form.alive().to_owned(),
                };
                Ok::<_, Infallible>(Bytes::from(text))
            })
            .take_until(server.shutdown.clone().cancelled_owned());
    let response = Response::builder()
        .header(CONTENT_TYPE, form.content_type())
        .header(CACHE_CONTROL, "no-store")
        .body(Body::from_stream(text));
    Ok(response.expect("both headers are constants"))
}

impl Form {
    fn wanted(headers: &HeaderMap) -> Self {
        let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok());
        match accept {
            Some(kinds) if kinds.contains("application/x-ndjson") => Self::Ndjson,
            Some(_) | None => Self::Sse,
        }
    }

    const fn content_type(self) -> &'static str {
        match self {
            Self::Sse => "text/event-stream",
            Self::Ndjson => "application/x-ndjson",
        }
    }

    /// What both forms' readers pass over.
    const fn alive(self) -> &'static str {
        match self {
            Self::Sse => ": alive\n\n",
            Self::Ndjson => "\n",
        }
    }

    fn write(self, record: &Value) -> String {
        match self {
            Self::Sse => {
                let id = record.get("seq").unwrap_or(&Value::Null);
                let name = record.get("event_name").and_then(Value::as_str);
                let name = name.unwrap_or("record");
                format!("id: {id}\nevent: {name}\ndata: {record}\n\n")
            }
            Self::Ndjson => format!("{record}\n"),
        }
    }
}
