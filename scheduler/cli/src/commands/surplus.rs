//! `leasectl surplus`: what could be let now, beside everything that is let and promised.

use crate::args;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Show;
use crate::output::table::Table;
use crate::session::Session;
use leasehold_common::api::{Surplus, SurplusRow};
use leasehold_common::mig::MigProfile;

/// Shows what could be let.
///
/// # Errors
/// Those of the client.
pub async fn run(args: &args::Surplus, session: &mut Session<'_>) -> Result<Exit, Failure> {
    let mut path = format!("/v1/surplus?for={}", args.length);
    if let Some(sku) = &args.sku {
        path.push_str(&format!("&sku={sku}"));
    }
    if let Some(shape) = args.shape {
        path.push_str(&format!("&shape={shape}"));
    }
    session.show::<Surplus>(&path, &()).await
}

impl Show for Surplus {
    type With = ();

    fn text(&self, (): &(), _wide: bool, headings: bool) -> String {
        let mut columns = ["SKU", "SHAPE", "SIZE", "LEASES", "UNITS"]
            .map(String::from)
            .to_vec();
        // Every row tells of the same times.
        let longer = self.rows.first().map_or(&[][..], |row| &row.longer);
        columns.extend(
            longer
                .iter()
                .map(|longer| format!("FOR-{}", longer.length).to_uppercase()),
        );
        let mut table = Table::new(columns);
        for row in &self.rows {
            let units = u64::from(row.size) * u64::from(row.leases);
            let mut cells = vec![
                row.sku.to_string(),
                form(row),
                row.size.to_string(),
                row.leases.to_string(),
                units.to_string(),
            ];
            cells.extend(row.longer.iter().map(|longer| longer.leases.to_string()));
            table.row(cells);
        }
        table.text(headings)
    }

    fn names(&self) -> Vec<String> {
        let rows = self.rows.iter();
        rows.map(|row| format!("{}/{}-{}", row.sku, form(row), row.size))
            .collect()
    }
}

/// The shape of a row, or which slice it is of.
fn form(row: &SurplusRow) -> String {
    let profile = row.profile.as_ref();
    profile.map_or_else(|| row.shape.to_string(), MigProfile::to_string)
}
