//! Engineered fields.

/// `plays / listeners`: plays a listener; `None` when either is unknown or nobody listened.
pub fn ratio(plays: Option<i64>, listeners: Option<i64>) -> Option<f64> {
    let (plays, listeners) = (plays?, listeners?);
    // Exact below 2^53, which validation guarantees.
    (listeners > 0).then(|| plays as f64 / listeners as f64)
}

/// Whole seconds, rounded down; `None` at 1 s and below, where the table allows no value.
pub fn duration_seconds(duration_ms: i64) -> Option<i32> {
    i32::try_from(duration_ms / 1000).ok().filter(|seconds| (2..10_800).contains(seconds))
}

/// Minutes; `None` outside what the table allows.
pub fn duration_minutes(duration_ms: i64) -> Option<f64> {
    let minutes = duration_ms as f64 / 60_000.0;
    (minutes > 0.016 && minutes < 180.0).then_some(minutes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn nobody_listening_gives_no_ratio() {
        assert_eq!(ratio(Some(10), Some(0)), None);
        assert_eq!(ratio(None, Some(3)), None);
        assert_eq!(ratio(Some(10), Some(4)), Some(2.5));
    }

    proptest! {
        #[test]
        fn engineered_durations_always_satisfy_the_table(ms in 1_001..10_800_000_i64) {
            prop_assert!(duration_seconds(ms).is_none_or(|s| s > 1 && s < 10_800));
            prop_assert!(duration_minutes(ms).is_some_and(|m| m > 0.016 && m < 180.0));
        }
    }
}
