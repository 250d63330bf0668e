//! Whose thread this is: an event that does not say which actor it is about is about the one whose thread logs it.

use std::cell::RefCell;

use tokio::task::JoinHandle;

thread_local! {
    static SERVED: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// From now on this thread's events are about this actor.
pub fn this_thread_serves(actor: &str) {
    SERVED.with_borrow_mut(|served| *served = Some(actor.to_owned()));
}

/// The actor this thread serves, or the thread's own name: what belongs to no actor says at least where it comes from.
pub fn current() -> String {
    // A thread that is being taken down has no such memory any more.
    let served = SERVED.try_with(|served| served.borrow().clone()).ok().flatten();
    served.unwrap_or_else(|| std::thread::current().name().unwrap_or("unnamed").to_owned())
}

/// As [`tokio::task::spawn_blocking`]; what is logged in there is still about the actor that asked for it.
pub fn spawn_blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    let actor = current();
    tokio::task::spawn_blocking(move || {
        this_thread_serves(&actor);
        work()
    })
}
