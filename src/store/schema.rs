//! The tables as Diesel sees them, for typed queries on either database (`diesel print-schema`, see `diesel.toml`).

diesel::table! {
    albums (album_id) {
        album_id -> Text,
        album_title -> Text,
        artist_id -> Nullable<Text>,
        album_type -> Nullable<Text>,
        album_total_tracks -> Nullable<Int4>,
        created_at -> Nullable<Timestamp>,
        updated_at -> Nullable<Timestamp>,
        track_observed_at -> Nullable<Int8>,
        track_tiebreak -> Nullable<Int8>,
    }
}

diesel::table! {
    artist_genres (artist_id, genre_id) {
        artist_id -> Text,
        genre_id -> Int4,
        created_at -> Nullable<Timestamp>,
        source -> Nullable<Text>,
    }
}

diesel::table! {
    artists (artist_id) {
        artist_id -> Text,
        artist_name -> Text,
        on_tour -> Nullable<Bool>,
        total_listeners -> Nullable<Int8>,
        total_playcount -> Nullable<Int8>,
        plays_per_listener -> Nullable<Float8>,
        artist_popularity -> Nullable<Int4>,
        artist_followers -> Nullable<Int4>,
        has_genres -> Nullable<Bool>,
        created_at -> Nullable<Timestamp>,
        updated_at -> Nullable<Timestamp>,
        track_name -> Nullable<Text>,
        profile_name -> Nullable<Text>,
        profile_genres -> Nullable<Text>,
        lastfm_tags -> Nullable<Text>,
        lastfm_match_score -> Nullable<Float8>,
        lastfm_match_quality -> Nullable<Text>,
        track_observed_at -> Nullable<Int8>,
        track_tiebreak -> Nullable<Int8>,
        profile_observed_at -> Nullable<Int8>,
        profile_tiebreak -> Nullable<Int8>,
        lastfm_observed_at -> Nullable<Int8>,
        lastfm_tiebreak -> Nullable<Int8>,
    }
}

diesel::table! {
    genres (genre_id) {
        genre_id -> Int4,
        genre_name -> Text,
        created_at -> Nullable<Timestamp>,
    }
}

diesel::table! {
    loader_progress (topic, partition) {
        topic -> Text,
        partition -> Int4,
        next_offset -> Nullable<Int8>,
        epoch -> Int8,
        consumed -> Int8,
        emitted -> Int8,
        superseded -> Int8,
        dead_lettered -> Int8,
        produced -> Int8,
        updated_at -> Nullable<Timestamp>,
    }
}

diesel::table! {
    song_audio_features (song_id) {
        song_id -> Text,
        bpm -> Nullable<Float8>,
        energy -> Nullable<Float8>,
        spectral_centroid -> Nullable<Float8>,
        zero_crossing_rate -> Nullable<Float8>,
        danceability -> Nullable<Float8>,
        preview_url -> Nullable<Text>,
        harmonic_ratio -> Nullable<Float8>,
        percussive_ratio -> Nullable<Float8>,
        analysis_date -> Nullable<Timestamp>,
        duration_s -> Nullable<Float8>,
        bpm_confidence -> Nullable<Float8>,
        bpm_reference -> Nullable<Float8>,
        loudness_lufs -> Nullable<Float8>,
        loudness_range_lu -> Nullable<Float8>,
        music_key -> Nullable<Text>,
        music_mode -> Nullable<Text>,
        key_strength -> Nullable<Float8>,
        onset_rate -> Nullable<Float8>,
        beat_regularity -> Nullable<Float8>,
        spectral_bandwidth -> Nullable<Float8>,
        spectral_rolloff -> Nullable<Float8>,
        spectral_flatness -> Nullable<Float8>,
        spectral_contrast -> Nullable<Text>,
        chroma -> Nullable<Text>,
        mfcc -> Nullable<Text>,
        provider -> Nullable<Text>,
        clip_sha256 -> Nullable<Text>,
        features_version -> Nullable<Int4>,
        audio_observed_at -> Nullable<Int8>,
        audio_tiebreak -> Nullable<Int8>,
    }
}

diesel::table! {
    songs (song_id) {
        song_id -> Text,
        song_name -> Text,
        artist_id -> Nullable<Text>,
        album_id -> Nullable<Text>,
        song_listeners -> Nullable<Int4>,
        mbid -> Nullable<Text>,
        duration_ms -> Nullable<Int4>,
        duration_seconds -> Nullable<Int4>,
        duration_minutes -> Nullable<Float8>,
        engagement_ratio -> Nullable<Float8>,
        release_date -> Nullable<Text>,
        release_date_precision -> Nullable<Text>,
        is_explicit -> Nullable<Bool>,
        popularity -> Nullable<Int4>,
        track_number -> Nullable<Int4>,
        is_playable -> Nullable<Bool>,
        created_at -> Nullable<Timestamp>,
        updated_at -> Nullable<Timestamp>,
        isrc -> Nullable<Text>,
        lastfm_match_score -> Nullable<Float8>,
        lastfm_match_quality -> Nullable<Text>,
        track_observed_at -> Nullable<Int8>,
        track_tiebreak -> Nullable<Int8>,
        lastfm_observed_at -> Nullable<Int8>,
        lastfm_tiebreak -> Nullable<Int8>,
    }
}

diesel::table! {
    source_misses (entity, entity_id, source) {
        entity -> Text,
        entity_id -> Text,
        source -> Text,
        reason -> Text,
        features_version -> Int4,
        observed_at -> Int8,
        tiebreak -> Int8,
        created_at -> Nullable<Timestamp>,
        updated_at -> Nullable<Timestamp>,
    }
}

diesel::joinable!(albums -> artists (artist_id));
diesel::joinable!(artist_genres -> artists (artist_id));
diesel::joinable!(artist_genres -> genres (genre_id));
diesel::joinable!(song_audio_features -> songs (song_id));
diesel::joinable!(songs -> albums (album_id));
diesel::joinable!(songs -> artists (artist_id));

diesel::allow_tables_to_appear_in_same_query!(
    albums,
    artist_genres,
    artists,
    genres,
    loader_progress,
    song_audio_features,
    songs,
    source_misses,
);
