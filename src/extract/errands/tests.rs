use super::*;
use crate::records::ArtistProfile;
use std::cell::RefCell;

/// A batch of as many messages as plans.
fn batch(len: usize) -> Vec<Message> {
    let at = TopicPartition { topic: Topic::MusicTopTracks, partition: 3 };
    let message = |offset: usize| Message {
        at,
        offset: i64::try_from(offset).unwrap_or(0),
        key: String::new(),
        payload: Vec::new(),
        appended_at: 1,
        version: None,
    };
    (0..len).map(message).collect()
}

fn wants(keys: &[&'static str]) -> Plan<&'static str> {
    Plan::Run(keys.iter().map(|key| Errand { key: (*key).to_owned(), ask: *key }).collect())
}

fn record(id: &str) -> Envelope<ArtistProfile> {
    let body = ArtistProfile {
        artist_id: id.to_owned(),
        name: id.to_owned(),
        popularity: None,
        followers: None,
        genres: None,
        missing: None,
    };
    Envelope::new(1, "test", body)
}

fn answer(ask: &str) -> Result<Envelope<ArtistProfile>, Trouble> {
    match ask.split_once(':') {
        Some(("dead", _)) => Err(Trouble::GiveUp(DeadReason::new("rejected", ask))),
        Some(("wait", why)) => Err(Trouble::Halt(StageError::wait(why, Duration::from_secs(9)))),
        Some(("stop", why)) => Err(Trouble::Halt(StageError::Stop(why.to_owned()))),
        _ => Ok(record(ask)),
    }
}

/// Works on a batch; answers what became of it and what was asked.
fn work(
    desk: &mut Desk<ArtistProfile>,
    plans: Vec<Plan<&'static str>>,
    at_once: usize,
) -> (Result<Processed, StageError>, Vec<&'static str>) {
    let asked = RefCell::new(Vec::new());
    let (batch, pulse) = (batch(plans.len()), Pulse::new());
    let run = |ask| {
        asked.borrow_mut().push(ask);
        async move { answer(ask) }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime = runtime.unwrap_or_else(|error| panic!("{error}"));
    let processed = runtime.block_on(desk.work(&batch, plans, at_once, &pulse, run));
    (processed, asked.into_inner())
}

/// The endings in short: the keys emitted, or how else it ended.
fn told(processed: &Processed) -> Vec<String> {
    let one = |ending: &Ending| match ending {
        Ending::Emitted(records) => records.iter().map(|record| record.key.as_str()).collect::<Vec<_>>().join("+"),
        Ending::Superseded(reason) => (*reason).to_owned(),
        Ending::Dead(reason) | Ending::Buried(reason) => reason.kind.clone(),
    };
    processed.endings.iter().map(one).collect()
}

fn done(result: (Result<Processed, StageError>, Vec<&'static str>)) -> (Processed, Vec<&'static str>) {
    (result.0.unwrap_or_else(|error| panic!("{error}")), result.1)
}

#[test]
fn every_message_ends_in_order_and_nothing_is_asked_twice() {
    let mut desk = Desk::default();
    let unreadable = Plan::Dead(DeadReason::new("undecodable", "x"));
    let plans = vec![wants(&["a", "x"]), unreadable, wants(&["a", "y"]), wants(&["a", "x"]), wants(&[])];
    let (processed, asked) = done(work(&mut desk, plans, 3));
    assert_eq!(told(&processed), ["a+x", "undecodable", "y", "fresh", "fresh"]);
    assert_eq!((asked, processed.wait), (vec!["a", "x", "y"], None));
}

#[test]
fn a_wait_hands_over_the_prefix_and_keeps_what_came_later() {
    let mut desk = Desk::default();
    let plans = vec![wants(&["a"]), wants(&["wait:quota", "b"]), wants(&["c"])];
    let (processed, asked) = done(work(&mut desk, plans, 4));
    assert_eq!(told(&processed), ["a"]);
    assert_eq!(processed.wait, Some(Wait { reason: "quota".to_owned(), pause: Duration::from_secs(9) }));
    assert_eq!(asked, ["a", "wait:quota", "b", "c"]);
    // The rest comes back, and what waited is answered now.
    let (processed, asked) = done(work(&mut desk, vec![wants(&["d", "b"]), wants(&["c"])], 4));
    assert_eq!((told(&processed), asked), (vec!["d+b".to_owned(), "c".to_owned()], vec!["d"]));
}

#[test]
fn after_a_wait_nothing_new_is_started() {
    let mut desk = Desk::default();
    let plans = vec![wants(&["a"]), wants(&["wait:quota"]), wants(&["b"]), wants(&["c"])];
    let (processed, asked) = done(work(&mut desk, plans, 1));
    assert_eq!((told(&processed), asked), (vec!["a".to_owned()], vec!["a", "wait:quota"]));
}

#[test]
fn a_refusal_kills_one_message_and_loses_no_finding() {
    let mut desk = Desk::default();
    let plans = vec![wants(&["a", "dead:x"]), wants(&["a", "b"])];
    let (processed, asked) = done(work(&mut desk, plans, 4));
    assert_eq!(told(&processed), ["rejected", "a+b"]);
    assert_eq!(asked.len(), 3);
    let plans = vec![wants(&["dead:artist", "a"]), wants(&["dead:artist", "b"])];
    assert_eq!(told(&done(work(&mut desk, plans, 4)).0), ["rejected", "b"], "charged to the first only");
}

#[test]
fn what_was_finished_before_a_stop_is_handed_over_first() {
    let mut desk = Desk::default();
    let (processed, _) = done(work(&mut desk, vec![wants(&["a"]), wants(&["stop:key suspended"])], 1));
    assert_eq!(told(&processed), ["a"]);
    assert_eq!(processed.wait.map(|wait| wait.pause), Some(Duration::ZERO));
    assert!(matches!(desk.reopen(), Err(StageError::Stop(reason)) if reason == "key suspended"));
    assert!(desk.reopen().is_ok(), "told once");
    let (stopped, _) = work(&mut desk, vec![wants(&["stop:key suspended"])], 1);
    assert!(matches!(stopped, Err(StageError::Stop(_))), "with nothing finished it stops at once");
}

#[test]
fn what_does_not_come_back_is_forgotten() {
    let mut desk = Desk::default();
    drop(work(&mut desk, vec![wants(&["wait:quota"]), wants(&["a"])], 4));
    drop(work(&mut desk, vec![wants(&["b"])], 4));
    let (_, asked) = work(&mut desk, vec![wants(&["a"])], 4);
    assert_eq!(asked, ["a"], "the partition moved away and came back: asked anew");
}

#[test]
fn only_what_is_stale_is_planned() {
    let bodies = vec![Ok("fresh"), Ok("stale"), Err(DeadReason::new("undecodable", "x"))];
    let plans = plan(bodies, |body| vec![Errand { key: (*body).to_owned(), ask: *body }], |key| key == "fresh");
    assert_eq!(plans, [wants(&[]), wants(&["stale"]), Plan::Dead(DeadReason::new("undecodable", "x"))]);
}
