//! Every knob: `reprise.toml`, then environment, then flags.
mod period;
mod secret;
pub use period::Period;
pub use secret::Secret;
