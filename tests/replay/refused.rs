//! What makes no sense is refused with what would; what is damaged is named, never passed over.

use std::io::{Read, Seek, SeekFrom, Write};

use reprise::records::Topic;

use crate::rig::{embedded, rigs, tracks};

#[test]
fn a_request_that_makes_no_sense_says_what_would() {
    for rig in rigs() {
        rig.publish(&tracks(0..5, 1_000, 0.9));
        let cases: [(&[&str], &[&str]); 8] = [
            (&["replay", "--topic", "music"], &["does not exist", "music_transformed", "music_audio_features"]),
            (&["replay", "--topic", "music_queries"], &["quota", "reprise search"]),
            (&["replay", "--topic", "music_dead_letters"], &["dead-letters retry"]),
            (&["replay", "--since", "2999-01-01T00:00:00Z"], &["future"]),
            (&["replay", "--since", "yesterday"], &["7d"]),
            (&["replay", "--topic", "music_top_tracks", "--from-offset", "0:99999"], &["offsets 0 to "]),
            (&["replay", "--topic", "music_top_tracks", "--from-offset", "7:0"], &["partitions are 0 to 2"]),
            (&["replay", "--topic", "artist_genres", "--rebuild"], &["music_transformed alone"]),
        ];
        for (args, parts) in cases {
            let said = rig.refusal(args, 2);
            assert!(parts.iter().all(|part| said.contains(part)), "{args:?}: {said}");
        }
        assert!(!rig.refusal(&["replay", "--from-offset", "0:1"], 2).is_empty());
        assert!(!rig.refusal(&["replay", "--rate", "0"], 2).is_empty());
    }
}

#[test]
fn a_replay_that_meets_damage_says_where() {
    let rig = embedded();
    rig.publish(&tracks(0..30, 1_000, 0.9));
    rig.work_off();
    let digest = rig.digest();
    let path = rig.dir.path().join("mailbox.db");
    let mut file = std::fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).unwrap();
    let needle = b"\"popularity\":17,";
    let places: Vec<usize> = (0..bytes.len() - needle.len()).filter(|at| bytes[*at..].starts_with(needle)).collect();
    assert!(!places.is_empty(), "the record is not in the file");
    for place in places {
        file.seek(SeekFrom::Start(place as u64 + 14)).unwrap();
        file.write_all(b"8").unwrap();
    }
    drop(file);
    let said = rig.refusal(&["replay", "--topic", Topic::ArtistGenres.default_name()], 1);
    assert!(["damaged", "artist_genres/", "offset", "repair"].iter().all(|part| said.contains(part)), "{said}");
    assert_eq!(rig.digest(), digest, "what stands before the damage changes nothing, what stands behind was not touched");
    let whole = std::fs::metadata(&path).unwrap().len();
    std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(whole / 2).unwrap();
    let said = rig.refusal(&["replay"], 1);
    assert!(said.contains("cut off"), "{said}");
}
