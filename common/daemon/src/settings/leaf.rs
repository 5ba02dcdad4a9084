//! Keys one by one: a table taken apart into leaves, and put together again.

use serde::de::DeserializeOwned;
use toml::{Table, Value};

/// One key and its value. What is no table is a leaf; so is an array, which is set as a whole.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Leaf {
    /// The parts of its key; at least one.
    pub(super) key: Vec<String>,
    /// Its value.
    pub(super) value: Value,
}

impl Leaf {
    /// From a dotted key.
    pub(super) fn new(key: &str, value: Value) -> Self {
        Self {
            key: key.split('.').map(str::to_owned).collect(),
            value,
        }
    }

    /// The key, dotted.
    pub(super) fn dotted(&self) -> String {
        self.key.join(".")
    }

    /// The key alone in the tables that hold it.
    fn alone(&self) -> Value {
        self.key
            .iter()
            .rev()
            .fold(self.value.clone(), |value, part| {
                Value::Table(Table::from_iter([(part.clone(), value)]))
            })
    }

    /// Whether the fragment type takes this key with this value.
    pub(super) fn check<F: DeserializeOwned>(&self) -> Result<(), String> {
        F::deserialize(self.alone())
            .map(drop)
            .map_err(|e| e.message().to_owned())
    }
}

/// All leaves of a table, in the order of its keys.
pub(super) fn leaves(table: Table) -> Vec<Leaf> {
    fn walk(above: &[String], table: Table, out: &mut Vec<Leaf>) {
        for (name, value) in table {
            let mut key = above.to_vec();
            key.push(name);
            match value {
                Value::Table(inner) if !inner.is_empty() => walk(&key, inner, out),
                Value::Table(_)
                | Value::Array(_)
                | Value::String(_)
                | Value::Integer(_)
                | Value::Float(_)
                | Value::Boolean(_)
                | Value::Datetime(_) => out.push(Leaf { key, value }),
            }
        }
    }
    let mut out = Vec::new();
    walk(&[], table, &mut out);
    out
}

/// Sets a leaf in a table, over whatever an earlier layer set there.
pub(super) fn insert(table: &mut Table, leaf: Leaf) {
    let Leaf { mut key, value } = leaf;
    let Some(last) = key.pop() else { return };
    let mut at = table;
    for part in key {
        let inner = at.entry(part).or_insert_with(|| Value::Table(Table::new()));
        if !inner.is_table() {
            *inner = Value::Table(Table::new());
        }
        at = inner.as_table_mut().expect("made a table above");
    }
    // An empty table says nothing, and must not take away what an earlier layer set in it.
    let says_nothing = value.as_table().is_some_and(Table::is_empty);
    if !(says_nothing && at.contains_key(&last)) {
        at.insert(last, value);
    }
}

/// What text may mean as a value: itself, a TOML value, a list with commas. A variable or flag has
/// no type of its own; the fragment type takes the first that fits.
pub(super) fn readings(text: &str) -> Vec<Value> {
    let mut readings = vec![Value::String(text.to_owned())];
    let parsed = format!("v = {text}")
        .parse::<Table>()
        .ok()
        .filter(|table| table.len() == 1)
        .and_then(|mut table| table.remove("v"))
        .filter(|value| !value.is_str());
    readings.extend(parsed);
    let items = text
        .split(',')
        .map(str::trim)
        .filter(|item| !item.is_empty());
    let list = items.map(|item| Value::String(item.to_owned())).collect();
    readings.push(Value::Array(list));
    readings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_taken_apart_and_put_together_is_the_same() {
        let table: Table = "a = 1\nb.c = [1, 2]\nb.d.e = 'x'\nf = {}\n"
            .parse()
            .unwrap();
        let mut again = Table::new();
        for leaf in leaves(table.clone()) {
            insert(&mut again, leaf);
        }
        assert_eq!(again, table);
    }

    #[test]
    fn a_later_leaf_replaces_only_itself() {
        let mut table: Table = "[a]\nx = 1\ny = 2".parse().unwrap();
        insert(&mut table, Leaf::new("a.x", Value::Integer(9)));
        insert(&mut table, Leaf::new("a", Value::Table(Table::new())));
        assert_eq!(table, "[a]\nx = 9\ny = 2".parse::<Table>().unwrap());
    }
}
