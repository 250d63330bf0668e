//! Every knob: its unit, its default, its environment name.
//!
//! Sources, each over the one before: built-in defaults, `reprise.toml` (or `--config FILE`), `.env`, the environment
//! (`REPRISE__SPOTIFY__CLIENT_ID` is `spotify.client_id`), flags. Unknown keys are errors. A wrong value is refused with
//! the key, what was found and what was expected.

mod check;
mod load;
mod period;
mod secret;
mod sections;

pub use load::{ConfigError, Sources, load};
pub use period::Period;
pub use secret::Secret;
pub use sections::{
    AudioSection, Config, DatabaseSection, KafkaSection, LoadSection, LogFormat, LogSection, MailboxKind, MailboxSection,
    MatchingSection, ObserveSection, SupervisionSection, TopicsSection,
};
