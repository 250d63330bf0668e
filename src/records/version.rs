//! Which of two records about the same thing wins.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Raise it when the transformer's output changes for the same input: of two results for the same observation, the one of
/// the newer transformer wins, so that replaying raw topics after a fix repairs what was stored.
pub const TRANSFORM_REVISION: u16 = 1;

/// A total order over all observations of one key: last writer wins by `observed_at`, ties are broken by the content,
/// so that the winner does not depend on the order of arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Version {
    /// When the source answered: microseconds since the Unix epoch, UTC.
    pub observed_at: i64,
    /// Transformer revision in the upper 16 bits, content hash in the lower 47: never negative.
    pub tiebreak: i64,
}

impl Version {
    /// The version of `content` (any canonical bytes) observed at `observed_at`.
    pub fn new(observed_at: i64, revision: u16, content: &[u8]) -> Version {
        let digest = Sha256::digest(content);
        let mut head = [0_u8; 8];
        head.copy_from_slice(&digest[..8]);
        let hash = u64::from_be_bytes(head) >> 17;
        let revision = u64::from(revision & 0x7fff) << 47;
        Version { observed_at, tiebreak: i64::try_from(revision | hash).unwrap_or(i64::MAX) }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.observed_at, self.tiebreak)
    }
}

impl FromStr for Version {
    type Err = String;

    fn from_str(text: &str) -> Result<Version, String> {
        let (observed_at, tiebreak) =
            text.split_once('.').ok_or_else(|| format!("a version is OBSERVED_AT.TIEBREAK, found {text:?}"))?;
        let number = |part: &str| {
            part.parse::<i64>().map_err(|error| format!("a version's parts are integers, found {part:?}: {error}"))
        };
        Ok(Version { observed_at: number(observed_at)?, tiebreak: number(tiebreak)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_version_survives_its_header(at in any::<i64>(), revision in any::<u16>(), content in any::<Vec<u8>>()) {
            let version = Version::new(at, revision, &content);
            prop_assert_eq!(version.to_string().parse::<Version>(), Ok(version));
            prop_assert!(version.tiebreak >= 0);
        }

        #[test]
        fn a_newer_observation_wins_whatever_its_content(at in 0..i64::MAX, a in any::<Vec<u8>>(), b in any::<Vec<u8>>()) {
            prop_assert!(Version::new(at + 1, 1, &a) > Version::new(at, 9, &b));
        }

        #[test]
        fn a_newer_transformer_wins_for_the_same_observation(at in any::<i64>(), a in any::<Vec<u8>>(), b in any::<Vec<u8>>()) {
            prop_assert!(Version::new(at, 2, &a) > Version::new(at, 1, &b));
        }
    }
}
