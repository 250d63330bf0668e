//! Supervision as in Erlang/OTP, on actix contexts.
mod pulse;
pub use pulse::{Pulse, WaitGuard, Waiting};
