//! The ledger as the metadata of a committed offset: `v1;c=CONSUMED;e=EMITTED;s=SUPERSEDED;d=DEAD-LETTERED;p=PRODUCED`.

use crate::mailbox::Ledger;

/// The ledger as text.
pub(super) fn write(ledger: &Ledger) -> String {
    let Ledger { consumed, emitted, superseded, dead_lettered, produced } = ledger;
    format!("v1;c={consumed};e={emitted};s={superseded};d={dead_lettered};p={produced}")
}

/// The ledger in `text`; `None` when somebody else committed the offset, as the tools that reset offsets do.
pub(super) fn read(text: &str) -> Option<Ledger> {
    let mut ledger = Ledger::default();
    for part in text.strip_prefix("v1;")?.split(';') {
        let (name, count) = part.split_once('=')?;
        let count = count.parse().ok()?;
        match name {
            "c" => ledger.consumed = count,
            "e" => ledger.emitted = count,
            "s" => ledger.superseded = count,
            "d" => ledger.dead_lettered = count,
            "p" => ledger.produced = count,
            _ => return None,
        }
    }
    Some(ledger)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_ledger_survives_its_text(counts in any::<[u64; 5]>()) {
            let [consumed, emitted, superseded, dead_lettered, produced] = counts;
            let ledger = Ledger { consumed, emitted, superseded, dead_lettered, produced };
            prop_assert_eq!(read(&write(&ledger)), Some(ledger));
        }

        #[test]
        fn any_other_text_is_no_ledger_and_no_panic(text in ".*") {
            prop_assert_eq!(read(&text), None);
        }
    }
}
