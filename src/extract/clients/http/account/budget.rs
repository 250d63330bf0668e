//! What each account may still send, for whoever looks on.

use crate::observe::endpoint::budgets::{Budget, Closed, Window};

use super::{Http, Inner, State};

impl Http {
    /// The budgets of all accounts opened so far, by API. Waits for nobody: a gate is only ever held for a look.
    pub fn budgets(&self) -> Vec<Budget> {
        let accounts = self.inner.accounts.lock();
        let mut budgets: Vec<Budget> = accounts.values().map(|state| budget(&self.inner, state)).collect();
        budgets.sort_by_key(|budget| budget.api);
        budgets
    }
}

fn budget(http: &Inner, state: &State) -> Budget {
    let (gate, clock) = (state.gate.lock(), http.clock());
    let window = |(window, used): (super::RateWindow, usize)| Window {
        calls: window.calls,
        per_s: window.per.as_secs_f64(),
        used: u32::try_from(used).unwrap_or(u32::MAX),
    };
    let closed = gate.closed(clock).map(|hold| Closed {
        kind: hold.label,
        reason: hold.reason,
        until: clock.wall.saturating_add(i64::try_from(hold.pause.as_micros()).unwrap_or(i64::MAX)),
    });
    Budget { api: state.api, windows: gate.used(clock).map(window).collect(), closed }
}
