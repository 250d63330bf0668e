//! Every mailbox keeps the same promises: one list, run on the embedded log, on librdkafka's mock broker as far as that goes, and
//! on a real Kafka when `REPRISE_TEST_KAFKA=HOST:PORT` names one (`tests/services/kafka.sh start DIR` starts one).

#[path = "mailbox/damaged.rs"]
mod damaged;
#[path = "mailbox/embedded.rs"]
mod embedded;
#[path = "mailbox/kafka.rs"]
mod kafka;
#[path = "mailbox/mock.rs"]
mod mock;
#[path = "mailbox/promises.rs"]
mod promises;
#[path = "mailbox/rig.rs"]
mod rig;
#[path = "mailbox/write_ahead.rs"]
mod write_ahead;
