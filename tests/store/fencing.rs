//! A loader that lost its partition writes nothing, and offsets have no gaps.

use reprise::store::{Advance, Store, StoreError};

use crate::changes::{advance, artist, change, one_of_each, partition};
use crate::place::{self, dump};

fn refused(store: &dyn Store, advance: &Advance) -> String {
    let before = (dump(store), store.ledger().expect("a ledger"));
    let outcome = store.apply(&[change(1, artist("late", "Late"))], &[*advance]);
    assert_eq!(before, (dump(store), store.ledger().expect("a ledger")), "a refused batch left something behind");
    match outcome {
        Err(StoreError::Fenced(problem)) => problem,
        other => panic!("expected to be fenced, found {other:?}"),
    }
}

#[test]
fn a_second_claim_fences_the_first() {
    for place in place::all() {
        let (first, second) = (place.store(), place.open());
        let old = first.claim(&[partition(0)]).expect("a claim")[0];
        first.apply(&one_of_each(), &[advance(&old, 10, 8)]).expect("the owner writes");
        let new = second.claim(&[partition(0)]).expect("a second claim")[0];
        assert_eq!((new.epoch, new.next_offset), (old.epoch + 1, Some(10)));
        let stale = Advance { from: Some(10), ..advance(&old, 11, 1) };
        assert!(refused(first.as_ref(), &stale).contains("music_transformed/0"));
        second.apply(&[change(2, artist("a1", "New"))], &[advance(&new, 11, 1)]).expect("the new owner writes");
    }
}

#[test]
fn offsets_that_do_not_join_on_are_refused() {
    for place in place::all() {
        let store = place.store();
        let claim = store.claim(&[partition(0)]).expect("a claim")[0];
        assert_eq!(claim.next_offset, None);
        store.apply(&[], &[advance(&claim, 5, 5)]).expect("the first batch");
        for (from, to) in [(None, 6), (Some(4), 6), (Some(6), 7), (Some(5), 4)] {
            refused(store.as_ref(), &Advance { from, ..advance(&claim, to, 1) });
        }
        let never = Advance { at: partition(1), ..advance(&claim, 6, 1) };
        assert!(refused(store.as_ref(), &never).contains("never claimed"));
    }
}

#[test]
fn offsets_of_another_mailbox_are_forgotten_once_and_rows_never() {
    for place in place::all() {
        let store = place.store();
        assert!(!store.recognise("one", &[]).expect("a note"), "the first one is believed");
        let claim = store.claim(&[partition(0)]).expect("a claim")[0];
        store.apply(&one_of_each(), &[advance(&claim, 10, 8)]).expect("a batch");
        assert!(!store.recognise("one", &[]).expect("a note"));
        let before = (dump(store.as_ref()), store.ledger().expect("a ledger"));
        assert_eq!(before.1[0].0.next_offset, Some(10));
        assert!(place.open().recognise("other", &[]).expect("a note"));
        assert!(!store.recognise("other", &[]).expect("a note"));
        let ledger = store.ledger().expect("a ledger");
        assert_eq!((ledger[0].0.next_offset, ledger[0].1), (None, reprise::mailbox::Ledger::default()));
        assert_eq!(dump(store.as_ref()), before.0);
        // So are offsets beyond the end of the same one, and no others.
        let claim = store.claim(&[partition(0)]).expect("a claim")[0];
        store.apply(&[], &[advance(&claim, 20, 20)]).expect("a batch");
        assert!(store.recognise("other", &[partition(1)]).expect("a note"));
        assert_eq!(store.ledger().expect("a ledger")[0].0.next_offset, Some(20));
        assert!(store.recognise("other", &[partition(0)]).expect("a note"));
        assert_eq!(store.ledger().expect("a ledger")[0].0.next_offset, None);
        // Whoever was at work with the old offsets is shut out.
        refused(store.as_ref(), &Advance { from: Some(10), ..advance(&claim, 11, 1) });
    }
}

#[test]
fn a_batch_whose_data_is_refused_moves_no_offset() {
    for place in place::all() {
        let store = place.store();
        let claim = store.claim(&[partition(0)]).expect("a claim")[0];
        let before = (dump(store.as_ref()), store.ledger().expect("a ledger"));
        let batch = [change(1, artist("a1", "Fine")), change(1, artist("a2", ""))];
        assert!(matches!(store.apply(&batch, &[advance(&claim, 2, 2)]), Err(StoreError::Data(_))));
        assert_eq!(before, (dump(store.as_ref()), store.ledger().expect("a ledger")));
    }
}

#[test]
fn the_ledger_balances_when_records_win_lose_and_repeat() {
    for place in place::all() {
        let store = place.store();
        let claims = store.claim(&[partition(1), partition(0)]).expect("claims");
        let claim = claims[0];
        let mut batch = one_of_each();
        batch.extend([change(1, artist("a1", "Older")), change(5, artist("a1", "Radiohead"))]);
        batch.push(reprise::store::Change { at: partition(1), ..change(3, artist("a3", "Elsewhere")) });
        let mut step = advance(&claim, 20, 12);
        step.counts.dead_lettered = 2;
        let applied = store.apply(&batch, &[step, advance(&claims[1], 1, 1)]).expect("a batch");
        let lost: Vec<usize> = (0..batch.len()).filter(|index| !applied.won[*index]).collect();
        assert_eq!(lost, [8, 9]);
        let effect = applied.effects["artists"];
        assert_eq!((effect.inserted, effect.updated, effect.unchanged, effect.superseded), (2, 0, 1, 1));
        let ledger = store.ledger().expect("a ledger");
        assert_eq!(ledger.len(), 2);
        assert!(ledger.iter().all(|(_, ledger)| ledger.is_balanced()), "{ledger:?}");
        assert_eq!((ledger[0].1.emitted, ledger[0].1.superseded, ledger[0].0.next_offset), (8, 2, Some(20)));
        assert_eq!((ledger[1].1.emitted, ledger[1].0.next_offset), (1, Some(1)));
    }
}
