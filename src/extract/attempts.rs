//! What to do after a clip could not be used: again, with a fresh link, or not at all. Pure.
//!
//! A fault that passes must not cost a clip (the database would depend on the weather), and a broken clip must not be
//! fetched for ever. Where both look alike, trying again tells them apart: the same bytes twice are the clip's fault.

/// One attempt that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attempt {
    /// The link has expired, or the clip is gone.
    Gone,
    /// A page or nothing in place of a clip.
    NotAudio,
    /// Larger than allowed.
    TooLarge,
    /// The link is not allowed, or its server never delivers it.
    Refused,
    /// The analysis could not use it.
    Unusable {
        /// A closed set: `undecodable`, `too_short`, `too_large`.
        reason: &'static str,
        /// What was analysed.
        clip_sha256: String,
    },
    /// The analysis took too long, because of the clip or because of the machine.
    Deadline,
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Download from the same link again.
    Again,
    /// Ask the provider for a fresh link first.
    Resolve,
    /// This provider has no usable clip, for this reason.
    GiveUp(&'static str),
}

/// A link may have expired once.
const GONE_MAX: usize = 2;
/// Pages in place of clips come from outages: several in a row are the clip's fault.
const NOT_AUDIO_MAX: usize = 4;
/// Oversized bodies are cut off without reading them where their size is announced, so trying again is cheap.
const TOO_LARGE_MAX: usize = 3;
/// A busy machine may miss a deadline once.
const DEADLINE_MAX: usize = 2;
/// Different bytes each time, none of them usable: some server that makes them up.
const UNUSABLE_MAX: usize = 3;

/// What to do after these attempts, the last of which failed last.
pub fn next_step(history: &[Attempt]) -> Step {
    let Some(last) = history.last() else { return Step::Again };
    let same_kind = |attempt: &&Attempt| std::mem::discriminant(*attempt) == std::mem::discriminant(last);
    let count = history.iter().filter(same_kind).count();
    let again = |max: usize, step: Step, reason: &'static str| if count < max { step } else { Step::GiveUp(reason) };
    match last {
        Attempt::Gone => again(GONE_MAX, Step::Resolve, "no_preview"),
        Attempt::NotAudio => again(NOT_AUDIO_MAX, Step::Again, "undecodable"),
        Attempt::TooLarge => again(TOO_LARGE_MAX, Step::Again, "too_large"),
        Attempt::Refused => Step::GiveUp("refused"),
        Attempt::Deadline => again(DEADLINE_MAX, Step::Again, "undecodable"),
        Attempt::Unusable { reason, .. } => {
            let repeated = history.iter().filter(|attempt| *attempt == last).count() > 1;
            if repeated { Step::GiveUp(reason) } else { again(UNUSABLE_MAX, Step::Again, reason) }
        }
    }
}

/// Reasons from the one that says most about the track's clips to the one that says least.
const TELLING: [&str; 6] = ["undecodable", "too_short", "too_large", "refused", "no_match", "no_preview"];

/// The reason to record when every provider had one.
pub fn most_telling(reasons: &[&'static str]) -> &'static str {
    let rank = |reason: &&&'static str| TELLING.iter().position(|known| known == *reason).unwrap_or(TELLING.len());
    reasons.iter().min_by_key(rank).copied().unwrap_or("no_preview")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn unusable(clip_sha256: &str) -> Attempt {
        Attempt::Unusable { reason: "undecodable", clip_sha256: clip_sha256.to_owned() }
    }

    #[test]
    fn an_expired_link_is_resolved_again_once() {
        assert_eq!(next_step(&[Attempt::Gone]), Step::Resolve);
        assert_eq!(next_step(&[Attempt::Gone, Attempt::Gone]), Step::GiveUp("no_preview"));
    }

    #[test]
    fn the_same_unusable_bytes_twice_are_the_clips_fault() {
        assert_eq!(next_step(&[unusable("a")]), Step::Again);
        assert_eq!(next_step(&[unusable("a"), unusable("a")]), Step::GiveUp("undecodable"));
        assert_eq!(next_step(&[unusable("a"), Attempt::NotAudio, unusable("a")]), Step::GiveUp("undecodable"));
        assert_eq!(next_step(&[unusable("a"), unusable("b")]), Step::Again);
        assert_eq!(next_step(&[unusable("a"), unusable("b"), unusable("c")]), Step::GiveUp("undecodable"));
    }

    #[test]
    fn a_page_in_place_of_a_clip_is_tried_again() {
        assert_eq!(next_step(&[Attempt::NotAudio, Attempt::NotAudio]), Step::Again);
        assert_eq!(next_step(&vec![Attempt::NotAudio; NOT_AUDIO_MAX]), Step::GiveUp("undecodable"));
    }

    #[test]
    fn the_most_telling_reason_is_recorded() {
        assert_eq!(most_telling(&["no_preview", "no_match"]), "no_match");
        assert_eq!(most_telling(&["undecodable", "no_preview"]), "undecodable");
        assert_eq!(most_telling(&[]), "no_preview");
    }

    proptest! {
        #[test]
        fn every_history_ends(kinds in proptest::collection::vec(0..6_u8, 20)) {
            let mut history = Vec::new();
            for (at, kind) in kinds.into_iter().enumerate() {
                history.push(match kind {
                    0 => Attempt::Gone,
                    1 => Attempt::NotAudio,
                    2 => Attempt::TooLarge,
                    3 => Attempt::Refused,
                    4 => Attempt::Deadline,
                    _ => unusable(&at.to_string()),
                });
                if matches!(next_step(&history), Step::GiveUp(_)) {
                    return Ok(());
                }
            }
            prop_assert!(false, "twenty attempts without an end");
        }
    }
}
