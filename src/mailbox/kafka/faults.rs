//! What librdkafka's errors mean for a session.

use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

use super::KafkaOptions;
use crate::mailbox::MailboxError;

/// The error of `doing` something, told apart.
pub(super) fn explain(options: &KafkaOptions, doing: &str, error: &KafkaError) -> MailboxError {
    let Some(code) = code(error) else {
        return MailboxError::Failed(format!("kafka at {}: {doing}: {error}", options.brokers));
    };
    from_code(options, doing, code, &error.to_string())
}

/// As [`explain`], from the code.
pub(super) fn from_code(options: &KafkaOptions, doing: &str, code: Code, detail: &str) -> MailboxError {
    let text = format!("kafka at {}: {doing}: {detail}", options.brokers);
    match code {
        Code::Fenced
        | Code::FencedInstanceId
        | Code::ProducerFenced
        | Code::InvalidProducerEpoch
        | Code::InvalidProducerIdMapping => MailboxError::Fenced(text),
        Code::IllegalGeneration
        | Code::UnknownMemberId
        | Code::RebalanceInProgress
        | Code::AssignmentLost
        | Code::WaitingForCoordinator
        | Code::StaleMemberEpoch => MailboxError::Revoked(text),
        Code::MessageSizeTooLarge => MailboxError::Invalid(text),
        // Every topic was seen when the session was opened: either this broker is behind, or the topic is gone. Opening anew tells.
        _ if unknown(code) => MailboxError::Failed(text),
        _ if passes(code) => MailboxError::Unavailable(text),
        _ => MailboxError::Failed(text),
    }
}

/// The code behind an error, where there is one.
pub(super) fn code(error: &KafkaError) -> Option<Code> {
    match error {
        KafkaError::AdminOp(code) => Some(*code),
        other => other.rdkafka_error_code(),
    }
}

/// Whether the broker that answers does not know the topic or the partition. Not yet, it may be: one that has just started or has
/// lost touch with the others answers so of topics that exist.
pub(super) fn unknown(code: Code) -> bool {
    matches!(code, Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownPartition)
}

/// Whether waiting may help: the broker is away, starting, electing or full.
pub(super) fn passes(code: Code) -> bool {
    matches!(
        code,
        Code::AllBrokersDown
            | Code::BrokerTransportFailure
            | Code::Resolve
            | Code::OperationTimedOut
            | Code::MessageTimedOut
            | Code::TimedOutQueue
            | Code::RequestTimedOut
            | Code::QueueFull
            | Code::CoordinatorNotAvailable
            | Code::CoordinatorLoadInProgress
            | Code::NotCoordinator
            | Code::LeaderNotAvailable
            | Code::NotLeaderForPartition
            | Code::ReplicaNotAvailable
            | Code::BrokerNotAvailable
            | Code::NetworkException
            | Code::NotEnoughReplicas
            | Code::NotEnoughReplicasAfterAppend
            | Code::NotController
            | Code::KafkaStorageError
            | Code::UnstableOffsetCommit
            | Code::ConcurrentTransactions
            | Code::InvalidReplicationFactor
            | Code::ISRInsufficient
            | Code::OffsetNotAvailable
            | Code::FencedLeaderEpoch
            | Code::UnknownLeaderEpoch
            | Code::PreferredLeaderNotAvailable
            | Code::EligibleLeadersNotAvailable
            | Code::ListenerNotFound
            | Code::ThrottlingQuotaExceeded
            | Code::Retry
            | Code::PurgeQueue
            | Code::PurgeInflight
    )
}
