//! Values and rows, the same from both databases.

use quire_protocol::Money;

use crate::Error;

/// A value of a column. Truth is 0 or 1, times and money are integers, JSON is text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// None.
    Null,
    /// `BIGINT`.
    Integer(i64),
    /// `TEXT`.
    Text(String),
    /// `BYTEA`.
    Bytes(Vec<u8>),
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Integer(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Self::Integer(i64::from(number))
    }
}

impl From<u16> for Value {
    fn from(number: u16) -> Self {
        Self::Integer(i64::from(number))
    }
}

impl From<bool> for Value {
    fn from(truth: bool) -> Self {
        Self::Integer(i64::from(truth))
    }
}

impl From<Money> for Value {
    fn from(money: Money) -> Self {
        Self::Integer(money.picos())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        // PostgreSQL keeps no NUL in a text, and one would fail the whole transaction.
        if text.contains('\0') {
            return Self::Text(text.replace('\0', "\u{fffd}"));
        }
        Self::Text(text)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::from(text.to_owned())
    }
}

impl From<&String> for Value {
    fn from(text: &String) -> Self {
        Self::from(text.as_str())
    }
}

impl From<Vec<u8>> for Value {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes)
    }
}

impl From<&[u8]> for Value {
    fn from(bytes: &[u8]) -> Self {
        Self::Bytes(bytes.to_vec())
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// A row, by position. A column that is not of the kind asked for is damage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row(pub Vec<Value>);

impl Row {
    /// A number that may be missing.
    pub fn maybe_integer(&self, column: usize) -> Result<Option<i64>, Error> {
        match self.0.get(column) {
            Some(Value::Integer(number)) => Ok(Some(*number)),
            Some(Value::Null) => Ok(None),
            other => Err(wrong(column, "a number", other)),
        }
    }

    /// A number.
    pub fn integer(&self, column: usize) -> Result<i64, Error> {
        self.maybe_integer(column)?
            .ok_or_else(|| wrong(column, "a number", Some(&Value::Null)))
    }

    /// A count.
    pub fn count(&self, column: usize) -> Result<u64, Error> {
        let number = self.integer(column)?;
        u64::try_from(number).map_err(|_| wrong(column, "a count", self.0.get(column)))
    }

    /// A count that may be missing.
    pub fn maybe_count(&self, column: usize) -> Result<Option<u64>, Error> {
        match self.maybe_integer(column)? {
            Some(_) => self.count(column).map(Some),
            None => Ok(None),
        }
    }

    /// Yes or no.
    pub fn truth(&self, column: usize) -> Result<bool, Error> {
        Ok(self.integer(column)? != 0)
    }

    /// A text that may be missing.
    pub fn maybe_text(&self, column: usize) -> Result<Option<&str>, Error> {
        match self.0.get(column) {
            Some(Value::Text(text)) => Ok(Some(text)),
            Some(Value::Null) => Ok(None),
            other => Err(wrong(column, "a text", other)),
        }
    }

    /// A text.
    pub fn text(&self, column: usize) -> Result<&str, Error> {
        self.maybe_text(column)?
            .ok_or_else(|| wrong(column, "a text", Some(&Value::Null)))
    }

    /// Bytes.
    pub fn bytes(&self, column: usize) -> Result<&[u8], Error> {
        match self.0.get(column) {
            Some(Value::Bytes(bytes)) => Ok(bytes),
            other => Err(wrong(column, "bytes", other)),
        }
    }
}

fn wrong(column: usize, wanted: &str, found: Option<&Value>) -> Error {
    let found = match found {
        None => "no column",
        Some(Value::Null) => "nothing",
        Some(Value::Integer(_)) => "a number out of range",
        Some(Value::Text(_)) => "a text",
        Some(Value::Bytes(_)) => "bytes",
    };
    Error::Damaged(format!(
        "column {column} is to be {wanted} and holds {found}"
    ))
}
