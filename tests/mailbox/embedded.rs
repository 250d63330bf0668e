//! The embedded log: the common promises, and what only files can suffer.

use std::path::Path;
use std::sync::Arc;

use reprise::mailbox::{EmbeddedMailbox, EmbeddedOptions, Mailbox};
use reprise::records::TopicNames;

use crate::promises::keeps;
use crate::rig::Rig;

pub fn open(dir: &Path) -> EmbeddedMailbox {
    EmbeddedMailbox::open(EmbeddedOptions { dir: dir.to_owned(), names: TopicNames::default() }).unwrap()
}

fn rig() -> Option<Rig> {
    let dir = tempfile::tempdir().unwrap();
    Some(Rig { open: Box::new(move || Arc::new(open(dir.path())) as Arc<dyn Mailbox>), topics_exist: false })
}

keeps! { rig();
    what_is_confirmed_survives_reopening,
    a_message_arrives_as_it_was_sent,
    consume_produce_and_commit_are_one,
    only_the_newer_of_two_sessions_publishes,
    a_rewind_reads_again_what_is_not_committed,
    a_seek_reads_from_there,
    messages_of_a_partition_come_in_order,
    heads_follow_the_last_record_of_a_key,
    the_ledger_adds_up_and_survives,
    groups_do_not_disturb_each_other,
    a_session_without_transactions_commits_too,
    lag_is_what_waits,
    an_offset_is_found_by_its_time,
    reading_out_of_range_is_refused,
    topics_that_do_not_exist_are_named,
    topics_are_made_once,
    a_record_too_large_is_refused,
    progress_on_a_foreign_partition_is_refused,
    a_waiting_poll_wakes_for_a_message,
}
