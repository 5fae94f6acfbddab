//! The models and strategy tables a policy may meet.

use crate::bindings::mosel::policy::types as wire;
use crate::{Model, StrategyTable};

/// The models and strategy tables a policy may meet. Grows over time; the SDK keeps it up to date.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    revision: u64,
    /// Ascending ids, each once.
    models: Vec<Model>,
    /// Ascending ids, each once.
    tables: Vec<StrategyTable>,
}

impl Catalog {
    /// Grows whenever models, profiles or tables change.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// Every model, by ascending id.
    pub fn models(&self) -> &[Model] {
        &self.models
    }

    /// Every table, by ascending id.
    pub fn tables(&self) -> &[StrategyTable] {
        &self.tables
    }

    /// The model of this id.
    pub fn model(&self, id: u32) -> Option<&Model> {
        let place = self.models.binary_search_by_key(&id, |model| model.id).ok()?;
        Some(&self.models[place])
    }

    /// The table of this id.
    pub fn table(&self, id: u32) -> Option<&StrategyTable> {
        Some(&self.tables[self.place_of_table(id)?])
    }

    pub(crate) fn place_of_table(&self, id: u32) -> Option<usize> {
        self.tables.binary_search_by_key(&id, |table| table.id).ok()
    }

    /// Takes in what the server sent: new entries, and others for those of the same id.
    pub(crate) fn merge(&mut self, news: wire::Catalog) {
        self.revision = news.revision;
        for model in news.models {
            put(&mut self.models, model, |model| model.id);
        }
        for table in news.tables {
            put(&mut self.tables, table, |table| table.id);
        }
    }
}

fn put<T>(sorted: &mut Vec<T>, entry: T, id: impl Fn(&T) -> u32) {
    match sorted.binary_search_by_key(&id(&entry), &id) {
        Ok(place) => sorted[place] = entry,
        Err(place) => sorted.insert(place, entry),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(id: u32, requests: u32) -> StrategyTable {
        StrategyTable { id, model: 0, requests, strategies: vec![] }
    }

    #[test]
    fn news_replace_their_namesakes_and_leave_the_others() {
        let mut catalog = Catalog::default();
        catalog.merge(wire::Catalog { revision: 1, models: vec![], tables: vec![table(7, 1), table(3, 1)] });
        catalog.merge(wire::Catalog { revision: 2, models: vec![], tables: vec![table(5, 2), table(7, 2)] });
        assert_eq!(catalog.revision(), 2);
        assert_eq!(catalog.tables(), [table(3, 1), table(5, 2), table(7, 2)]);
        assert_eq!(catalog.table(5), Some(&table(5, 2)));
        assert_eq!(catalog.table(4), None);
    }
}
