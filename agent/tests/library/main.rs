//! The agent's own NVML code, on a simulated `libnvidia-ml`.

#[cfg(test)]
mod probe;
#[cfg(test)]
mod reader;
#[cfg(test)]
mod recorded;
#[cfg(test)]
mod settings;
#[cfg(test)]
mod watch;
