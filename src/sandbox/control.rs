//! `POST /__control`: changes switches while the sandbox runs.
//!
//! The body is an object. Its fields are those of [`Switches`]; what is not named stays. `limits` and `mean` are
//! merged by API, and `null` takes an entry out. Four fields are deeds: `"reset_calls": true` counts from zero,
//! `"reset_faults": true` forgets what was asked, `"expire_tokens": true` ends the life of every token given out,
//! and naming `quota_after` starts a new quota.

use serde_json::{Map, Value};

use super::options::Switches;

/// What a change does beyond switching.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Actions {
    /// Count calls from zero.
    pub reset_calls: bool,
    /// Forget what was asked.
    pub reset_faults: bool,
    /// End every token.
    pub expire_tokens: bool,
    /// Start a new quota.
    pub quota_changed: bool,
}

/// The switches after a change, and what else is to be done.
///
/// # Errors
/// When the change is no object, names no switch, or gives a value that is none.
pub fn apply(switches: &Switches, change: &Value) -> Result<(Switches, Actions), String> {
    let Some(change) = change.as_object() else { return Err("expected a JSON object of switches".to_owned()) };
    let Ok(Value::Object(mut fields)) = serde_json::to_value(switches) else { return Err("switches are no object".to_owned()) };
    let mut actions = Actions::default();
    for (name, value) in change {
        let done = || value.as_bool().unwrap_or(true);
        match (name.as_str(), fields.get_mut(name)) {
            ("reset_calls", _) => actions.reset_calls = done(),
            ("reset_faults", _) => actions.reset_faults = done(),
            ("expire_tokens", _) => actions.expire_tokens = done(),
            ("limits" | "mean", Some(Value::Object(entries))) => merge(entries, value)?,
            (_, Some(field)) => *field = value.clone(),
            (_, None) => return Err(format!("{name} is no switch; there are {}", names(&fields))),
        }
        actions.quota_changed |= name == "quota_after";
    }
    let switches: Switches = serde_json::from_value(Value::Object(fields)).map_err(|error| error.to_string())?;
    for (name, share) in [("fault_rate", switches.fault_rate), ("dead_clips", switches.dead_clips)] {
        if !(0.0..=1.0).contains(&share) {
            return Err(format!("{name} is {share}, expected 0 to 1"));
        }
    }
    Ok((switches, actions))
}

fn merge(entries: &mut Map<String, Value>, change: &Value) -> Result<(), String> {
    let Some(change) = change.as_object() else { return Err("limits and mean are objects, by API".to_owned()) };
    for (api, value) in change {
        if value.is_null() {
            entries.remove(api);
        } else {
            entries.insert(api.clone(), value.clone());
        }
    }
    Ok(())
}

fn names(fields: &Map<String, Value>) -> String {
    let names: Vec<&str> = fields.keys().map(String::as_str).chain(["reset_calls", "reset_faults", "expire_tokens"]).collect();
    names.join(", ")
}
