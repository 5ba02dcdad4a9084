//! The control API over a real Unix socket, with a service behind it that notes what it is asked.

mod bounds;
mod fake;
mod harness;
mod requests;
mod streams;
mod trust;
