//! Reading JSON of services that do not keep to one shape: numbers as text, lists that collapse to their only element, empty
//! containers written as `""`, white space, `[]` or `null`.
//!
//! Pure, and total: whatever the value, the answer is what can be read from it.

use serde_json::Value;

/// How much of an unreadable body an error message quotes, in characters.
const QUOTED_CHARS: usize = 60;

/// The JSON of a body, which may be wrapped in blank lines or start with a byte order mark.
///
/// # Errors
/// What the body seems to be instead, in words for a person.
pub fn json(body: &[u8]) -> Result<Value, String> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body).trim_ascii();
    if body.is_empty() {
        return Err("an empty body".to_owned());
    }
    serde_json::from_slice(body).map_err(|error| {
        let kind = if body.starts_with(b"<") { "HTML or XML" } else { "no JSON" };
        let head: String = String::from_utf8_lossy(body).chars().take(QUOTED_CHARS).collect();
        format!("{kind} ({} bytes, starting {head:?}): {error}", body.len())
    })
}

/// The text of a field, trimmed; blank is `None`.
pub fn text<'a>(value: &'a Value, field: &str) -> Option<&'a str> {
    let text = value.get(field)?.as_str()?.trim();
    (!text.is_empty()).then_some(text)
}

/// The whole number in a field: a number, a float without fraction, or text with digits.
pub fn count(value: &Value, field: &str) -> Option<i64> {
    whole(value.get(field)?)
}

/// The whole number a value stands for.
pub fn whole(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64().or_else(|| number.as_f64().and_then(integral)),
        Value::String(text) => text.trim().parse::<i64>().ok(),
        _ => None,
    }
}

/// Floats above 2^53 are no longer exact and no count we know.
fn integral(float: f64) -> Option<i64> {
    const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
    #[expect(clippy::cast_possible_truncation, reason = "checked to be whole and within the exact range")]
    (float.fract() == 0.0 && float.abs() <= EXACT_MAX).then_some(float as i64)
}

/// The elements of a field that may be absent, blank, an object (its only element) or a list.
pub fn items<'a>(value: &'a Value, field: &str) -> Vec<&'a Value> {
    match value.get(field) {
        Some(Value::Array(list)) => list.iter().filter(|item| !is_blank(item)).collect(),
        Some(item) if !is_blank(item) => vec![item],
        _ => Vec::new(),
    }
}

/// `null`, blank text, an empty list or an empty object: the ways to say nothing.
pub fn is_blank(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.trim().is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    /// Any JSON, four levels deep.
    pub(crate) fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            ".{0,12}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 48, 6, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                proptest::collection::hash_map("[a-z]{1,8}", inner, 0..6).prop_map(|map| map.into_iter().collect()),
            ]
        })
    }

    proptest! {
        #[test]
        fn no_value_makes_a_reader_panic(value in any_json()) {
            let held = json!({"field": value});
            let (_, _, _) = (text(&held, "field"), count(&held, "field"), items(&held, "field"));
        }

        #[test]
        fn no_body_makes_the_parser_panic(body in any::<Vec<u8>>()) {
            let _ = super::json(&body);
        }
    }

    #[test]
    fn a_number_is_read_however_it_is_written() {
        let value = json!({"a": 7, "b": 7.0, "c": "7", "d": " 7 ", "e": 7.5, "f": "seven", "g": [7], "h": 1e300});
        let read: Vec<Option<i64>> = ["a", "b", "c", "d", "e", "f", "g", "h", "i"].map(|field| count(&value, field)).to_vec();
        assert_eq!(read, [Some(7), Some(7), Some(7), Some(7), None, None, None, None, None]);
    }

    #[test]
    fn a_list_is_read_however_it_is_written() {
        let value = json!({"list": [1, 2], "one": {"name": "x"}, "text": "", "space": "\n   ", "none": [], "null": null});
        let lengths = ["list", "one", "text", "space", "none", "null", "absent"].map(|field| items(&value, field).len());
        assert_eq!(lengths, [2, 1, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn blank_lines_and_a_byte_order_mark_around_json_do_not_matter() {
        assert_eq!(super::json(b"\xef\xbb\xbf\n\n\n{\"a\":1}\n\n\n"), Ok(json!({"a": 1})));
    }

    #[test]
    fn a_page_instead_of_json_is_named_as_such() {
        let error = super::json(b"<!DOCTYPE html><title>Down</title>").unwrap_err();
        assert!(error.starts_with("HTML or XML"), "{error}");
        assert!(super::json(b"{\"a\":").is_err() && super::json(b" \n").is_err());
    }
}
