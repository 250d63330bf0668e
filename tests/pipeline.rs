//! The whole pipeline as its users run it: the real binary in processes of its own, against the sandbox.
//!
//! Where Kafka or PostgreSQL are needed, `REPRISE_TEST_KAFKA=HOST:PORT` and `REPRISE_TEST_POSTGRES=URL` name them
//! (`tests/services/*.sh start DIR` starts private ones); without, those tests say that they did not run.

mod process;

#[path = "pipeline/allowance.rs"]
mod allowance;
#[path = "pipeline/backends.rs"]
mod backends;
#[path = "pipeline/bad_clips.rs"]
mod bad_clips;
#[path = "pipeline/bad_messages.rs"]
mod bad_messages;
#[path = "endpoint/client.rs"]
#[allow(dead_code, reason = "shared with the endpoint's own tests")]
mod client;
#[path = "pipeline/configuration.rs"]
mod configuration;
#[path = "pipeline/demo.rs"]
mod demo;
#[path = "pipeline/export.rs"]
mod export;
#[path = "pipeline/faults.rs"]
mod faults;
#[path = "pipeline/logs.rs"]
mod logs;
#[path = "pipeline/observed.rs"]
mod observed;
#[path = "pipeline/outages.rs"]
mod outages;
#[path = "pipeline/quota.rs"]
mod quota;
#[path = "pipeline/restarts.rs"]
mod restarts;
#[path = "pipeline/scene.rs"]
mod scene;
#[path = "pipeline/schedule.rs"]
mod schedule;
#[path = "pipeline/scrape.rs"]
mod scrape;
#[path = "pipeline/truth.rs"]
mod truth;
