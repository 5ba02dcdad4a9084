//! What stands in the path and behind the question mark.

use super::answer::Refusal;
use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequestParts, Path, Query};
use axum::http::request::Parts;
use leasehold_common::api::Problem;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;

/// The parameters of a query. Each is taken by name; one that nobody takes is refused.
#[derive(Debug)]
pub(super) struct Parameters(BTreeMap<String, String>);

impl<S: Sync> FromRequestParts<S> for Parameters {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        let query = parts.uri.query().unwrap_or_default();
        let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri)
            .map_err(|_| Problem::field("query", query, "NAME=VALUE&…"))?;
        let mut named = BTreeMap::new();
        for (name, value) in pairs {
            if named.insert(name.clone(), value).is_some() {
                return Err(Problem::field(&name, "given twice", "one value").into());
            }
        }
        Ok(Self(named))
    }
}

impl Parameters {
    /// A parameter of a checked type; absent where it is not given.
    pub(super) fn take<T>(&mut self, name: &str) -> Result<Option<T>, Problem>
    where
        T: FromStr<Err: Display>,
    {
        self.0
            .remove(name)
            .map(|text| checked(name, &text))
            .transpose()
    }

    /// A switch: `?all`, `?all=true`, `?all=false`; `unless_given` where it is not given.
    pub(super) fn switch(&mut self, name: &str, unless_given: bool) -> Result<bool, Problem> {
        match self.0.remove(name).as_deref() {
            None => Ok(unless_given),
            Some("" | "true" | "1") => Ok(true),
            Some("false" | "0") => Ok(false),
            Some(other) => Err(Problem::field(name, other, "true or false")),
        }
    }

    /// Refuses whatever was not taken.
    pub(super) fn none_left(self, known: &str) -> Result<(), Problem> {
        match self.0.into_iter().next() {
            None => Ok(()),
            Some((name, value)) => Err(Problem {
                detail: format!("there is no parameter {name:?} here, there is: {known}"),
                ..Problem::field(&name, value, format!("parameters {known}"))
            }),
        }
    }
}

/// The one part of the path that differs, as a checked type.
pub(super) fn named<T>(what: &str, path: Result<Path<String>, PathRejection>) -> Result<T, Problem>
where
    T: FromStr<Err: Display>,
{
    match path {
        Ok(Path(text)) => checked(what, &text),
        Err(e) => Err(Problem::field(what, e.body_text(), "UTF-8")),
    }
}

/// Text that must be a `T`; otherwise the problem says what a `T` is.
pub(super) fn checked<T>(field: &str, text: &str) -> Result<T, Problem>
where
    T: FromStr<Err: Display>,
{
    text.parse().map_err(|e: T::Err| {
        let rule = e.to_string();
        let allowed = rule.split_once(" is not valid: ").map(|(_, rule)| rule);
        let shown: String = text.chars().take(80).collect();
        Problem::field(field, shown, allowed.unwrap_or(&rule))
    })
}
