//! The memory of a recovery.

use serde_json::Value;

use super::{axis, met};

/// The most memory that a recovery takes, beside that of the state and of the payload.
pub(super) fn row(figure: &Value) -> Option<String> {
    let shards = axis::size(figure["recovered_shards"].as_f64()?);
    let bytes = |name: &str| figure[name].as_f64();
    let (most, state) = (bytes("most_bytes")?, bytes("state_bytes")?);
    let payload = bytes("payload_bytes")?;
    let rounded = |bytes: f64| axis::bytes((bytes / 1e6).round() * 1e6);
    Some(format!(
        "| most memory of a recovery of {shards} shards from a {}, bincode (dhat) | at most 1.5 \
         times the state and the payload, of {} and {} | {}, {:.2} times | {} |",
        figure["store"].as_str()?,
        rounded(state),
        rounded(payload),
        rounded(most),
        most / (state + payload),
        met(most <= 1.5 * (state + payload))
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_recovery_must_take_little_more_memory_than_the_state_and_the_payload() {
        let of = |most: f64| {
            let figure = json!({
                "recovered_shards": 1024, "store": "SlotStore", "most_bytes": most,
                "state_bytes": 120e6, "payload_bytes": 60e6,
            });
            row(&figure).unwrap()
        };
        assert!(of(270e6).contains(" 1,024 shards from a SlotStore"));
        assert!(of(270e6).ends_with("of 120 MB and 60 MB | 270 MB, 1.50 times | yes |"));
        assert!(of(271e6).ends_with("| no |"));
        assert_eq!(row(&json!({ "recovered_shards": 1024 })), None);
    }
}
