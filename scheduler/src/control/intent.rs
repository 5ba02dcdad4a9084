//! A write as it arrives: its body, and what its headers and parameters say about it.

use super::answer::{Answer, Refusal};
use super::body;
use super::gate::Caller;
use super::parameters::{Parameters, checked};
use super::serve::Server;
use axum::extract::{FromRequest, FromRequestParts as _, Request};
use axum::http::HeaderMap;
use axum::http::header::IF_MATCH;
use leasehold_common::api::Problem;
use leasehold_common::ids::{Generation, IdempotencyKey};
use leasehold_common::lease::Digest;
use leasehold_common::log::Actor;
use leasehold_core::command::{Command, Write};
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// A request for a write, whose body is a `T`.
#[derive(Debug)]
pub(super) struct Intent<T> {
    /// The body.
    pub(super) body: T,
    actor: Actor,
    idempotency: Option<(IdempotencyKey, Digest)>,
    dry_run: bool,
    if_match: Option<Generation>,
}

/// A body that says nothing.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Nothing {}

impl<T: DeserializeOwned> FromRequest<Server> for Intent<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, server: &Server) -> Result<Self, Refusal> {
        let (mut parts, body) = request.into_parts();
        let mut parameters = Parameters::from_request_parts(&mut parts, server).await?;
        let dry_run = parameters.switch("dry_run", false)?;
        parameters.none_left("dry_run")?;
        let key: Option<IdempotencyKey> = header(&parts.headers, "idempotency-key")?;
        let if_match = if_match(&parts.headers)?;
        let caller = parts.extensions.get::<Caller>();
        let caller = caller.expect("the gate lets nobody in without a caller");
        let body = body::collect(body).await?;
        let actor = Actor {
            uid: caller.uid,
            role: caller.role.as_str().into(),
            request_id: caller.request_id.clone(),
            idempotency_key: key.clone(),
        };
        // The path is part of what must be the same in a retry: ending lease 7 and ending lease 8
        // have the same body.
        let whole = || {
            let mut whole = format!("{} {}\n", parts.method, parts.uri.path()).into_bytes();
            whole.extend_from_slice(&body);
            Digest::of(&whole)
        };
        Ok(Self {
            idempotency: key.map(|key| (key, whole())),
            body: body::parse(&body)?,
            actor,
            dry_run,
            if_match,
        })
    }
}

impl<T> Intent<T> {
    /// Hands the write to the scheduler.
    pub(super) async fn submit(
        self,
        server: &Server,
        command: impl FnOnce(T) -> Command,
    ) -> Result<Answer, Refusal> {
        let write = Write {
            command: command(self.body),
            idempotency: self.idempotency,
            dry_run: self.dry_run,
            if_match: self.if_match,
        };
        Ok(Answer(server.service.submit(self.actor, write).await?))
    }
}

fn header<T>(headers: &HeaderMap, name: &str) -> Result<Option<T>, Problem>
where
    T: std::str::FromStr<Err: std::fmt::Display>,
{
    headers
        .get(name)
        .map(|value| checked(name, &String::from_utf8_lossy(value.as_bytes())))
        .transpose()
}

/// The generation in `If-Match`, with quotes as HTTP wants it or without. `*` matches any.
fn if_match(headers: &HeaderMap) -> Result<Option<Generation>, Problem> {
    let Some(text) = header::<String>(headers, IF_MATCH.as_str())? else {
        return Ok(None);
    };
    match text.trim().trim_matches('"') {
        "*" => Ok(None),
        number => checked("if-match", number).map(Some),
    }
}
