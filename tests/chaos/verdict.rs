//! Is the database what a clean run makes of the same searches, and do the books add up?

use std::time::Duration;

use reprise::sandbox::{Sandbox, Wish};
use serde_json::Value;

use crate::attack::Evidence;
use crate::process::Settings;

/// All the searches of a long attack at once, on a busy machine.
const CLEAN_RUN: Duration = Duration::from_secs(1_200);

/// Everything that is not as promised.
pub fn judge(evidence: &Evidence, clean: &Settings, sandbox: &Sandbox) -> Vec<String> {
    let mut violations: Vec<String> = evidence.surprises.clone();
    if !evidence.drained {
        violations.push("not everything was worked off in time".to_owned());
    }
    let audited = evidence.settings.run(&["audit", "--json"]);
    if audited.code != Some(0) {
        violations.push(format!("audit ended with {:?}: {}{}", audited.code, audited.answer, audited.log));
    }
    let cleaned = clean.start(&["run", "--once", "--json"]).end(CLEAN_RUN);
    assert_eq!(cleaned.code, Some(0), "the clean run: {}", cleaned.log);
    let clean_summary = cleaned.json();
    let Ok(audit) = serde_json::from_str::<Value>(&audited.answer) else { return violations };
    println!("{}", audit["stages"]);
    require(&mut violations, audit["balanced"] == true, "the ledger is not balanced", &audit["stages"]);
    let nothing_found = audit["findings"].as_array().is_some_and(Vec::is_empty);
    require(&mut violations, nothing_found, "the database has findings", &audit["findings"]);
    for (stage, books) in audit["stages"].as_object().into_iter().flatten() {
        let buried = format!("{stage} buried messages that were sound");
        require(&mut violations, books["dead_lettered"] == 0, &buried, books);
    }
    require(&mut violations, audit["rows"] == clean_summary["rows"], "rows differ from the clean run's", &audit["rows"]);
    let mut wish = Wish::new(evidence.searches.clone(), &sandbox.switches());
    wish.providers = ["deezer", "itunes"].map(str::to_owned).to_vec();
    for (table, count) in sandbox.truth(&wish).counts {
        let told = format!("{table} should have {count} rows");
        require(&mut violations, audit["rows"][table] == count, &told, &audit["rows"]);
    }
    let same = audit["digest"] == clean_summary["digest"];
    require(&mut violations, same, &format!("the clean run's digest is {}", clean_summary["digest"]), &audit["digest"]);
    println!("digest {} and rows {}; clean run: {}", audit["digest"], audit["rows"], clean_summary["digest"]);
    if !same {
        keep_dumps(evidence, clean);
    }
    violations
}

fn require(violations: &mut Vec<String>, holds: bool, what: &str, found: &Value) {
    if !holds {
        violations.push(format!("{what}: {found}"));
    }
}

/// For whoever looks into it.
fn keep_dumps(evidence: &Evidence, clean: &Settings) {
    for settings in [&evidence.settings, clean] {
        settings.run(&["audit", "--json", "--dump", "dump.txt"]);
        println!("canonical dump: {}", settings.folder().join("dump.txt").display());
    }
}
