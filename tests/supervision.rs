//! Promises of the supervision tree: whatever ends an actor, it is noticed, named and healed, or given up in order.

#[path = "supervision/patient.rs"]
mod patient;

use std::time::{Duration, Instant};

use patient::{Ailment, Ward, within};
use reprise::supervision::{Backoff, ChildSpec, Control, Intensity, Restart, SupervisorSpec, TreeEnd};

fn spec(name: &str, children: Vec<ChildSpec>) -> SupervisorSpec {
    let mut spec = SupervisorSpec::new(name, children);
    spec.backoff.initial = Duration::from_millis(10);
    spec.backoff.max = Duration::from_millis(40);
    spec
}

/// One ailment on the first life; the second life is healthy.
fn heals(ailment: Ailment, kind: &str) {
    let ward = Ward::new();
    // Generous where nothing hangs: printing a panic's backtrace alone can take half a second on a busy machine.
    let limit = if kind == "hang" { Duration::from_secs(1) } else { Duration::from_secs(10) };
    let sick = ward.worker("sick", vec![ailment]).hang_after(limit);
    let calm = ward.worker("calm", vec![]);
    ward.run(spec("root", vec![calm, sick]), async |ward, _tree| {
        within(30, "the second life works", || ward.works_in_generation("sick", 2)).await;
        let report = ward.board.actor("sick").expect("on the board");
        assert_eq!(report.exits.first().map(|exit| exit.kind.as_str()), Some(kind), "{report:?}");
        assert_eq!(report.restarts, 1);
        assert_eq!(ward.board.actor("calm").map(|calm| calm.generation), Some(1), "siblings are unharmed");
    });
}

#[test]
fn a_panic_in_a_handler_is_healed() {
    heals(Ailment::PanicInHandler, "panic");
}

#[test]
fn a_panic_in_a_spawned_future_is_healed() {
    heals(Ailment::PanicInFuture, "panic");
}

#[test]
fn a_panic_in_started_is_healed() {
    heals(Ailment::PanicInStarted, "panic");
}

#[test]
fn a_panic_in_the_factory_is_healed() {
    heals(Ailment::PanicInFactory, "panic");
}

#[test]
fn an_error_of_the_factory_is_healed() {
    heals(Ailment::ErrorInFactory, "error");
}

#[test]
fn a_reported_error_is_healed() {
    heals(Ailment::Error, "error");
}

#[test]
fn a_hanging_future_is_killed_and_healed() {
    heals(Ailment::HangInFuture, "hang");
}

#[test]
fn a_blocked_thread_is_left_behind_and_replaced() {
    heals(Ailment::BlockThread, "hang");
}

#[test]
fn a_dead_thread_is_noticed_and_replaced() {
    heals(Ailment::StopArbiter, "arbiter");
}

#[test]
fn a_hang_is_healed_within_twice_the_limit() {
    let ward = Ward::new();
    let limit = Duration::from_secs(2);
    let sick = ward.worker("sick", vec![Ailment::HangInFuture]).hang_after(limit);
    ward.run(spec("root", vec![sick]), async |ward, _tree| {
        within(30, "it hangs", || ward.works_in_generation("sick", 1)).await;
        let since = Instant::now();
        within(30, "it is healed", || ward.works_in_generation("sick", 2)).await;
        assert!(since.elapsed() < limit * 2, "{:?}", since.elapsed());
    });
}

#[test]
fn a_declared_wait_is_no_hang() {
    let ward = Ward::new();
    let limit = Duration::from_secs(1);
    let patient = ward.worker("waiting", vec![Ailment::DeclaredWait(limit * 3)]).hang_after(limit);
    ward.run(spec("root", vec![patient]), async |ward, _tree| {
        within(30, "it says what it waits for", || ward.state("waiting") == "waiting").await;
        within(30, "it goes on by itself", || ward.state("waiting") == "running").await;
        assert_eq!(ward.board.actor("waiting").map(|report| report.restarts), Some(0));
    });
}

#[test]
fn failures_without_progress_escalate_and_end_the_tree_with_the_reason() {
    let ward = Ward::new();
    let sick = ward.worker("sick", vec![Ailment::ErrorInFactory; 100]);
    let calm = ward.worker("calm", vec![]);
    let mut group = spec("group", vec![sick]);
    group.intensity = Intensity { restarts: 2, within: Duration::from_secs(10) };
    let mut root = spec("root", vec![calm, ChildSpec::supervisor(group)]);
    root.intensity = Intensity { restarts: 1, within: Duration::from_secs(10) };
    ward.run(root, async |ward, mut tree| {
        let end = tokio::time::timeout(Duration::from_secs(30), tree.ended()).await.expect("it gives up in time");
        let TreeEnd::GaveUp(why) = end else { panic!("{end:?}") };
        assert!(why.contains("group") && why.contains("sick") && why.contains("more than 2 restarts"), "{why}");
        assert_eq!(ward.state("calm"), "stopped", "siblings were stopped in order");
    });
}

#[test]
fn a_child_that_only_ever_hangs_ends_the_tree_however_slowly_it_does() {
    let ward = Ward::new();
    let sick = ward.worker("sick", vec![Ailment::HangInFuture; 100]).hang_after(Duration::from_millis(300));
    let mut root = spec("root", vec![sick]);
    // No two hangs are ever within this.
    root.intensity = Intensity { restarts: 1, within: Duration::from_millis(10) };
    ward.run(root, async |_ward, mut tree| {
        let end = tokio::time::timeout(Duration::from_secs(60), tree.ended()).await.expect("it gives up in time");
        let TreeEnd::GaveUp(why) = end else { panic!("{end:?}") };
        assert!(why.contains("sick") && why.contains("more than 2 restarts in a row without progress"), "{why}");
    });
}

#[test]
fn an_actor_that_makes_progress_may_fail_for_ever() {
    let ward = Ward::new();
    let sick = ward.worker("sick", vec![Ailment::PanicAfterWork; 30]);
    let mut root = spec("root", vec![sick]);
    root.intensity = Intensity { restarts: 3, within: Duration::from_secs(60) };
    ward.run(root, async |ward, _tree| {
        within(60, "the thirty-first life works", || ward.works_in_generation("sick", 31)).await;
    });
}

#[test]
fn panic_to_work_again_takes_less_than_a_second_in_the_median() {
    let ward = Ward::new();
    let sick = ward.worker("sick", vec![Ailment::PanicAfterWork; 100]);
    let mut root = SupervisorSpec::new("root", vec![sick]);
    root.backoff = Backoff::default();
    ward.run(root, async |ward, _tree| {
        within(60, "a hundred lives", || ward.works_in_generation("sick", 101)).await;
        let mut gaps = ward.gaps("sick");
        gaps.sort();
        let median = gaps[gaps.len() / 2];
        assert!(median < Duration::from_secs(1), "median {median:?}");
    });
}

#[test]
fn children_drain_from_last_to_first() {
    let ward = Ward::new();
    let children = ["sink", "middle", "source"].map(|name| ward.worker(name, vec![])).to_vec();
    ward.run(spec("root", children), async |ward, mut tree| {
        within(30, "all work", || ["sink", "middle", "source"].iter().all(|name| ward.works_in_generation(name, 1))).await;
        assert!(tree.drain());
        assert_eq!(tree.ended().await, TreeEnd::Stopped);
        assert_eq!(ward.drained(), ["source", "middle", "sink"]);
    });
}

#[test]
fn a_child_that_ignores_the_drain_is_killed_after_its_grace() {
    let ward = Ward::new();
    let deaf = ward.worker("deaf", vec![Ailment::IgnoreDrain]).grace(Duration::from_millis(200));
    ward.run(spec("root", vec![deaf]), async |ward, mut tree| {
        within(30, "it works", || ward.works_in_generation("deaf", 1)).await;
        tree.drain();
        let end = tokio::time::timeout(Duration::from_secs(30), tree.ended()).await.expect("the tree ends");
        assert_eq!(end, TreeEnd::Stopped);
    });
}

#[test]
fn restart_policies_are_kept() {
    let ward = Ward::new();
    let transient = ward.worker("transient", vec![Ailment::EndNormally]).restart(Restart::Transient);
    let temporary = ward.worker("temporary", vec![Ailment::PanicAfterWork]).restart(Restart::Temporary);
    let permanent = ward.worker("permanent", vec![Ailment::EndNormally]);
    let hopeless = ward.worker("hopeless", vec![Ailment::StopForGood]);
    ward.run(spec("root", vec![transient, temporary, permanent, hopeless]), async |ward, _tree| {
        within(30, "permanent lives again", || ward.works_in_generation("permanent", 2)).await;
        within(30, "the others ended", || {
            ward.state("transient") == "stopped" && ward.state("temporary") == "failed" && ward.state("hopeless") == "failed"
        })
        .await;
        for name in ["transient", "temporary", "hopeless"] {
            assert_eq!(ward.board.actor(name).map(|report| report.generation), Some(1), "{name}");
        }
        let reason = ward.board.actor("hopeless").and_then(|report| report.reason).unwrap_or_default();
        assert!(reason.contains("wrong key"), "{reason}");
    });
}

#[test]
fn an_operator_restarts_pauses_and_resumes() {
    let ward = Ward::new();
    let patient = ward.worker("patient", vec![]);
    ward.run(spec("root", vec![patient]), async |ward, _tree| {
        within(30, "it works", || ward.works_in_generation("patient", 1)).await;
        assert!(ward.board.restart("patient"));
        within(30, "it lives again", || ward.works_in_generation("patient", 2)).await;
        assert!(ward.board.control("patient", Control::Pause));
        within(30, "it is paused", || ward.state("patient") == "paused").await;
        assert!(ward.board.control("patient", Control::Resume));
        within(30, "it runs", || ward.state("patient") == "running").await;
        assert!(!ward.board.restart("nobody"));
    });
}

#[test]
fn what_is_paused_with_its_group_stays_so_when_it_is_restarted() {
    let ward = Ward::new();
    let (patient, server) = (ward.worker("patient", vec![]), ward.worker("server", vec![]).never_pauses());
    let group = ChildSpec::supervisor(spec("group", vec![patient, server]));
    ward.run(spec("root", vec![group]), async |ward, _tree| {
        within(30, "both work", || ["patient", "server"].iter().all(|name| ward.works_in_generation(name, 1))).await;
        assert!(ward.board.control("group", Control::Pause));
        within(30, "it is paused", || ward.state("patient") == "paused").await;
        assert!(ward.board.restart("patient"));
        within(30, "it lives again", || ward.works_in_generation("patient", 2)).await;
        within(30, "it is still paused", || ward.state("patient") == "paused").await;
        assert_eq!(ward.state("server"), "running", "it has nothing to pause");
        assert!(ward.board.control("group", Control::Resume));
        within(30, "it runs", || ward.state("patient") == "running").await;
    });
}

#[test]
fn who_was_ended_by_an_operator_is_told_from_who_died() {
    let ward = Ward::new();
    let group = ChildSpec::supervisor(spec("group", vec![ward.worker("patient", vec![Ailment::PanicInFuture])]));
    ward.run(spec("root", vec![group]), async |ward, _tree| {
        within(30, "the second life works", || ward.works_in_generation("patient", 2)).await;
        assert!(!ward.board.was_killed("patient"));
        assert!(ward.board.restart("patient"));
        within(30, "the third life works", || ward.works_in_generation("patient", 3)).await;
        assert!(ward.board.was_killed("patient"));
    });
    let ward = Ward::new();
    let group = ChildSpec::supervisor(spec("group", vec![ward.worker("patient", vec![])]));
    ward.run(spec("root", vec![group]), async |ward, _tree| {
        within(30, "it works", || ward.works_in_generation("patient", 1)).await;
        assert!(ward.board.restart("group"));
        within(30, "it was ended with its group", || ward.board.was_killed("patient")).await;
        within(30, "it lives again", || ward.state("patient") == "running").await;
    });
}

#[test]
fn who_fails_while_its_supervisor_gives_up_has_not_failed_for_good() {
    let ward = Ward::new();
    let mut group = spec("group", vec![ward.worker("patient", vec![Ailment::Error; 9])]);
    group.intensity = Intensity { restarts: 1, within: Duration::from_secs(60) };
    let mut root = spec("root", vec![ChildSpec::supervisor(group)]);
    root.intensity = Intensity { restarts: 1, within: Duration::from_secs(60) };
    ward.run(root, async |ward, mut tree| {
        assert!(matches!(tree.ended().await, TreeEnd::GaveUp(_)));
        assert_eq!(ward.state("patient"), "failed");
        assert_eq!(ward.board.failed_for_good(), None, "somebody above had to say so");
    });
    let ward = Ward::new();
    let hopeless = ward.worker("hopeless", vec![Ailment::StopForGood]);
    ward.run(spec("root", vec![hopeless]), async |ward, _tree| {
        within(30, "it failed", || ward.state("hopeless") == "failed").await;
        assert_eq!(ward.board.failed_for_good().map(|report| report.name).as_deref(), Some("hopeless"));
    });
}
