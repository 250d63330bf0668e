//! What replays promise, by the program itself: on embedded topics and SQLite always, and on Kafka and PostgreSQL where
//! `REPRISE_TEST_KAFKA=HOST:PORT` or `REPRISE_TEST_POSTGRES=postgres://...` name them.

#[path = "replay/interrupted.rs"]
mod interrupted;
#[path = "replay/lossy.rs"]
mod lossy;
#[path = "replay/quiet.rs"]
mod quiet;
#[path = "replay/rebuild.rs"]
mod rebuild;
#[path = "replay/refused.rs"]
mod refused;
#[path = "replay/rig.rs"]
mod rig;
