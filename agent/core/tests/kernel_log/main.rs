//! The kernel's log: lines as they are found in the field, and whatever else may come.

#[cfg(test)]
mod lines;
#[cfg(test)]
mod properties;
