//! Slices against every layout there is, made and counted in the plainest way.

mod every;
mod oracle;
mod stories;
