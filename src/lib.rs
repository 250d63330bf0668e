//! `reprise`: a supervised, restart-tolerant music ETL. Any part can be killed, restarted or replayed, and the database comes
//! out the same.
//!
//! ```text
//! scheduler, search -> music_queries -> tracks -> music_top_tracks -+-> artists   -> artist_genres --------+
//!                                                                   +-> listeners -> lastfm_artist --------+
//!                                                                   +-> audio     -> music_audio_features -+
//!                                                                   +--------------------------------------+-> transform
//!                                     six tables <- load <- music_transformed (compacted) <---------------------+
//! ```
//!
//! The map of the house, from the pure core to the shell:
//! - [`records`]: the data contract, one file a topic; [`dsp`]: a clip in, its features out; [`matching`]: are these two names
//!   the same; [`transform`]: raw record in, rows out. Pure, with laws for tests.
//! - [`mailbox`]: durable topics between actor groups, on Kafka or SQLite; [`store`]: the database, on PostgreSQL or SQLite;
//!   [`sqlite`]: how the embedded ones of both open their files.
//! - [`supervision`]: restarts, watchdog, escalation, status board; [`stage`]: the one actor that runs every
//!   [`stage::Processor`]; [`pool`]: the threads that analyse clips.
//! - [`extract`]: what the music APIs are asked; [`load`]: the writer.
//! - [`replay`]: applies what the topics hold to the database once more, or rebuilds it; [`export`]: the database as files.
//! - [`report`]: what is in the database, counted and drawn as one page. Pure.
//! - [`service`]: everything put together from the [`config`]; [`observe`]: metrics, dashboard, logs; [`sandbox`]: stand-in
//!   APIs; [`cli`]: one file a command.
//!
//! Dependencies point one way: `cli -> service -> (extract, transform, load) -> stage -> (supervision, mailbox) -> records`.

pub mod cli;
pub mod config;
pub mod dsp;
pub mod export;
pub mod extract;
pub mod load;
pub mod mailbox;
pub mod matching;
pub mod observe;
pub mod pool;
pub mod records;
pub mod replay;
pub mod report;
pub mod sandbox;
pub mod service;
pub mod sqlite;
pub mod stage;
pub mod store;
pub mod supervision;
pub mod transform;
