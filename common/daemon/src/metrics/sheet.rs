//! How a snapshot becomes families of series.

use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;
use std::fmt;

/// The sheet of a scrape that a snapshot is written on, family by family. Each is there even where it has no series, so
/// that whoever looks for one finds its meaning.
#[derive(Debug)]
pub struct Sheet<'a>(DescriptorEncoder<'a>);

impl<'a> From<DescriptorEncoder<'a>> for Sheet<'a> {
    fn from(encoder: DescriptorEncoder<'a>) -> Self {
        Self(encoder)
    }
}

impl Sheet<'_> {
    /// Values that rise and fall. The unit is put behind the name.
    ///
    /// # Errors
    /// Whatever the encoder says.
    pub fn gauges<L: EncodeLabelSet>(
        &mut self,
        name: &str,
        unit: Option<&Unit>,
        help: &str,
        series: impl IntoIterator<Item = (L, f64)>,
    ) -> fmt::Result {
        let series = series
            .into_iter()
            .map(|(labels, value)| (labels, ConstGauge::new(value)));
        self.family(name, unit, help, &ConstGauge::new(0.0), series)
    }

    /// Values that only rise while what they count is there. `_total` is put behind the name.
    ///
    /// # Errors
    /// Whatever the encoder says.
    pub fn counters<L: EncodeLabelSet>(
        &mut self,
        name: &str,
        unit: Option<&Unit>,
        help: &str,
        series: impl IntoIterator<Item = (L, f64)>,
    ) -> fmt::Result {
        let series = series
            .into_iter()
            .map(|(labels, value)| (labels, ConstCounter::new(value)));
        self.family(name, unit, help, &ConstCounter::new(0.0), series)
    }

    /// One value that rises and falls.
    ///
    /// # Errors
    /// Whatever the encoder says.
    pub fn gauge(
        &mut self,
        name: &str,
        unit: Option<&Unit>,
        help: &str,
        value: f64,
    ) -> fmt::Result {
        let kind = ConstGauge::new(value);
        let encoder = self
            .0
            .encode_descriptor(name, help, unit, kind.metric_type())?;
        kind.encode(encoder)
    }

    /// One value that only rises.
    ///
    /// # Errors
    /// Whatever the encoder says.
    pub fn counter(
        &mut self,
        name: &str,
        unit: Option<&Unit>,
        help: &str,
        value: f64,
    ) -> fmt::Result {
        let kind = ConstCounter::new(value);
        let encoder = self
            .0
            .encode_descriptor(name, help, unit, kind.metric_type())?;
        kind.encode(encoder)
    }

    fn family<L: EncodeLabelSet, M: EncodeMetric>(
        &mut self,
        name: &str,
        unit: Option<&Unit>,
        help: &str,
        kind: &M,
        series: impl Iterator<Item = (L, M)>,
    ) -> fmt::Result {
        let mut family = self
            .0
            .encode_descriptor(name, help, unit, kind.metric_type())?;
        for (labels, value) in series {
            value.encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }
}
