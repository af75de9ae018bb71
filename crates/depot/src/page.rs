//! Lists in pages, whatever style of paging a vendor's API shows.

use std::fmt::Write as _;

use crate::{Database, Error, Row, Statement, Value};

/// Which part of a list is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The page begins behind the thing with this id.
    pub after: Option<String>,
    /// The page ends before the thing with this id.
    pub before: Option<String>,
    /// At most so many.
    pub limit: u32,
    /// Which come first.
    pub order: Order,
}

impl Page {
    /// The first so many, newest first.
    pub const fn first(limit: u32) -> Self {
        Self {
            after: None,
            before: None,
            limit,
            order: Order::NewestFirst,
        }
    }

    /// What comes behind an id, newest first.
    pub fn after(id: &str, limit: u32) -> Self {
        Self {
            after: Some(id.to_owned()),
            ..Self::first(limit)
        }
    }
}

/// The order of a list, by time of creation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// The newest first.
    NewestFirst,
    /// The oldest first.
    OldestFirst,
}

/// A page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed<T> {
    /// What is on it.
    pub items: Vec<T>,
    /// Whether there is more in the direction of reading.
    pub more: bool,
}

/// A table that is listed by time of creation or by position, then id.
pub(crate) struct Listing {
    /// What is on it, in a word.
    pub(crate) kind: &'static str,
    pub(crate) table: &'static str,
    pub(crate) columns: &'static str,
    /// The column by which it is listed.
    pub(crate) sorted_by: &'static str,
    /// Whose rows: a column and its value.
    pub(crate) scope: Option<(&'static str, Value)>,
    /// Further columns with their values.
    pub(crate) equal: Vec<(&'static str, Value)>,
    /// A further condition.
    pub(crate) except: Option<&'static str>,
}

impl Listing {
    /// Reads a page.
    pub(crate) async fn read<T>(
        &self,
        database: &Database,
        page: &Page,
        item: impl Fn(&Row) -> Result<T, Error>,
    ) -> Result<Listed<T>, Error> {
        let rows = database.query(self.statement(page)).await?;
        if rows.is_empty()
            && let Some(cursor) = page.after.as_ref().or(page.before.as_ref())
        {
            self.check(database, cursor).await?;
        }
        let limit = page.limit as usize;
        let more = rows.len() > limit;
        let items = rows.iter().take(limit).map(item);
        let mut items = items.collect::<Result<Vec<_>, _>>()?;
        if page.after.is_none() && page.before.is_some() {
            items.reverse();
        }
        Ok(Listed { items, more })
    }

    fn statement(&self, page: &Page) -> Statement {
        let mut values = Vec::new();
        let mut place = |value: &Value| {
            values.push(value.clone());
            format!("${}", values.len())
        };
        let by = self.sorted_by;
        let mut conditions = Vec::new();
        for (column, value) in self.scope.iter().chain(&self.equal) {
            conditions.push(format!("{column} = {}", place(value)));
        }
        conditions.extend(self.except.map(str::to_owned));
        let backward = page.after.is_none() && page.before.is_some();
        let descending = (page.order == Order::NewestFirst) != backward;
        let (direction, than) = if descending {
            ("DESC", "<")
        } else {
            ("ASC", ">")
        };
        if let Some(cursor) = page.after.as_ref().or(page.before.as_ref()) {
            let mut of_cursor = format!("id = {}", place(&cursor.into()));
            if let Some((column, value)) = &self.scope {
                let _ = write!(of_cursor, " AND {column} = {}", place(value));
            }
            conditions.push(format!(
                "({by}, id) {than} (SELECT {by}, id FROM {} WHERE {of_cursor})",
                self.table
            ));
        }
        let filter = if conditions.is_empty() {
            String::new()
        } else {
            format!("WHERE {}", conditions.join(" AND "))
        };
        let limit = place(&(i64::from(page.limit) + 1).into());
        let sql = format!(
            "SELECT {} FROM {} {filter} ORDER BY {by} {direction}, id {direction} LIMIT {limit}",
            self.columns, self.table
        );
        values
            .into_iter()
            .fold(Statement::new(sql), Statement::bind)
    }

    /// A page behind something that is not there is a mistake, not an end.
    async fn check(&self, database: &Database, cursor: &str) -> Result<(), Error> {
        let mut asked = format!("SELECT 1 FROM {} WHERE id = $1", self.table);
        if let Some((column, _)) = &self.scope {
            let _ = write!(asked, " AND {column} = $2");
        }
        let mut statement = Statement::new(asked).bind(cursor);
        if let Some((_, value)) = &self.scope {
            statement = statement.bind(value.clone());
        }
        if database.query(statement).await?.is_empty() {
            return Err(Error::Missing {
                kind: self.kind,
                id: cursor.to_owned(),
            });
        }
        Ok(())
    }
}
