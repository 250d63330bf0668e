//! The demo's faults: crashes and kills at fixed points of the work, so that every demo shows the same.

use std::time::Duration;

use actix_rt::task::JoinHandle;

use crate::service::progress::standing;
use crate::service::{Service, StageName};
use crate::supervision::Control;

/// What happens to whom.
#[derive(Debug, Clone, Copy)]
enum Blow {
    /// Its next message handler panics.
    Crash,
    /// It is killed where it stands.
    Kill,
}

/// After how many messages of the stage what happens to which actor.
const PLAN: [(StageName, u64, &str, Blow); 6] = [
    (StageName::Artists, 20, "artists", Blow::Crash),
    (StageName::Transform, 60, "transform", Blow::Crash),
    (StageName::Listeners, 60, "listeners", Blow::Kill),
    (StageName::Audio, 32, "dsp", Blow::Crash),
    (StageName::Audio, 64, "audio", Blow::Kill),
    (StageName::Load, 150, "load", Blow::Crash),
];

/// Strikes as planned while the demo runs.
pub(super) fn inject(service: Service) -> JoinHandle<()> {
    actix_rt::spawn(async move {
        let mut left = PLAN.to_vec();
        while !left.is_empty() {
            tokio::time::sleep(Duration::from_millis(100)).await;
            let mut kept = Vec::with_capacity(left.len());
            for (stage, after, actor, blow) in left {
                if !(has_done(&service, stage, after).await && strike(&service, actor, blow)) {
                    kept.push((stage, after, actor, blow));
                }
            }
            left = kept;
        }
    })
}

async fn has_done(service: &Service, stage: StageName, after: u64) -> bool {
    let mailbox = std::sync::Arc::clone(&service.mailbox);
    let look = tokio::task::spawn_blocking(move || standing(&*mailbox, stage)).await;
    look.is_ok_and(|standing| standing.is_ok_and(|standing| standing.ledger.consumed >= after))
}

fn strike(service: &Service, actor: &str, blow: Blow) -> bool {
    match blow {
        Blow::Crash => service.board.control(actor, Control::Crash),
        Blow::Kill => service.board.restart(actor),
    }
}
