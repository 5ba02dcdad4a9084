//! The grant rules: stories, properties, and what the holder of a lease reads.

#[cfg(test)]
mod environment;
#[cfg(test)]
mod node;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod stories;
