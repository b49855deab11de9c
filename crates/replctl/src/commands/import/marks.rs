//! Marks as other programs write them.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;

use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// The mark of each shard.
pub(super) type Marks = BTreeMap<u64, u64>;

/// Why a text holds no marks.
#[derive(Debug, thiserror::Error)]
pub(super) enum BadMarks {
    #[error("it is not a JSON object of shards and marks, such as {{\"0\":17}}: {0}")]
    Json(serde_json::Error),
    #[error("line {line} is not a shard and a mark, such as 0,17: {text:?}")]
    Csv { line: usize, text: String },
    #[error("line {line}: shard {shard} was there before")]
    Twice { line: usize, shard: u64 },
}

/// Reads a JSON object, or lines of CSV.
pub(super) fn parse(text: &str) -> Result<Marks, BadMarks> {
    if text.trim_start().starts_with('{') {
        return serde_json::from_str(text).map(|Json(marks)| marks).map_err(BadMarks::Json);
    }
    csv(text)
}

fn csv(text: &str) -> Result<Marks, BadMarks> {
    let mut marks = Marks::new();
    for (line, text) in (1..).zip(text.lines()) {
        let mut fields = text.split(',').map(str::trim);
        let two = (fields.next(), fields.next(), fields.next());
        let is_head = line == 1 && two.0 == Some("shard") && two.1 == Some("mark");
        if is_head && two.2.is_none() || text.trim().is_empty() {
            continue;
        }
        let number = |field: &str| field.parse::<u64>().ok();
        let (Some(shard), Some(mark), None) =
            (two.0.and_then(number), two.1.and_then(number), two.2)
        else {
            return Err(BadMarks::Csv { line, text: text.to_owned() });
        };
        if marks.insert(shard, mark).is_some() {
            return Err(BadMarks::Twice { line, shard });
        }
    }
    Ok(marks)
}

/// A JSON object in which no shard is there twice.
struct Json(Marks);

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(JsonVisitor).map(Json)
    }
}

struct JsonVisitor;

impl<'de> Visitor<'de> for JsonVisitor {
    type Value = Marks;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of shards and marks")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Marks, A::Error> {
        let mut marks = Marks::new();
        while let Some((shard, mark)) = map.next_entry::<u64, u64>()? {
            match marks.entry(shard) {
                Entry::Vacant(entry) => entry.insert(mark),
                Entry::Occupied(_) => {
                    return Err(A::Error::custom(format_args!("shard {shard} is there twice")));
                }
            };
        }
        Ok(marks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_read_from_both_forms() {
        let expected = Marks::from([(0, 17), (18_446_744_073_709_551_615, 9_007_199_254_740_993)]);
        let json = r#" {"0": 17, "18446744073709551615": 9007199254740993} "#;
        assert_eq!(parse(json).unwrap(), expected);
        let csv = "shard,mark\n0,17\r\n\n18446744073709551615, 9007199254740993\n";
        assert_eq!(parse(csv).unwrap(), expected);
        assert_eq!(parse("0,17").unwrap(), Marks::from([(0, 17)]));
    }

    #[test]
    fn everything_else_is_refused_with_its_place() {
        for bad in [
            r#"{"0":17,"0":17}"#,
            r#"{"00":1}"#,
            r#"{"0":1.0}"#,
            r#"{"0":-1}"#,
            r#"{"0":"1"}"#,
            r#"{"0":18446744073709551616}"#,
            r#"{"0":1} {}"#,
            r#"{"a":1}"#,
            r#"{"0":1"#,
            "0,17\n0,18\n",
            "0;17",
            "0,17,5",
            "0,1.5",
            "0,",
            "0,17\nshard,mark",
            "mark,shard\n",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        assert_eq!(parse("1,2\n1,3").unwrap_err().to_string(), "line 2: shard 1 was there before");
    }
}
