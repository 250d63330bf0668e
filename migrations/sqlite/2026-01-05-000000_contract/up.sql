-- The six tables of the contract. Beside each column of a source stand the version columns of that source
-- (`<source>_observed_at`, `<source>_tiebreak`): they live on the row itself, so that a row deleted by hand heals on replay.
-- NULL there means: this source was never heard about this row.
--
-- The same as for PostgreSQL, but: key columns say NOT NULL (SQLite allows NULL in a text primary key), and checks carry the
-- names that PostgreSQL gives by itself, so that an error names the constraint on both.

CREATE TABLE artists (
    artist_id              TEXT NOT NULL PRIMARY KEY,
    artist_name            TEXT NOT NULL CONSTRAINT artists_artist_name_check CHECK (length(artist_name) > 0),
    on_tour                BOOLEAN DEFAULT FALSE,
    total_listeners        BIGINT DEFAULT 0 CONSTRAINT artists_total_listeners_check CHECK (total_listeners >= 0),
    total_playcount        BIGINT DEFAULT 0 CONSTRAINT artists_total_playcount_check CHECK (total_playcount >= 0),
    plays_per_listener     FLOAT,
    artist_popularity      INT,
    artist_followers       INT,
    has_genres             BOOLEAN,
    created_at             TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    updated_at             TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    -- What each source said, kept apart: artist_name, has_genres and artist_genres follow from these alone.
    track_name             TEXT,
    profile_name           TEXT,
    profile_genres         TEXT,
    lastfm_tags            TEXT,
    lastfm_match_score     FLOAT,
    lastfm_match_quality   TEXT,
    track_observed_at      BIGINT,
    track_tiebreak         BIGINT,
    profile_observed_at    BIGINT,
    profile_tiebreak       BIGINT,
    lastfm_observed_at     BIGINT,
    lastfm_tiebreak        BIGINT
);

CREATE TABLE albums (
    album_id               TEXT NOT NULL PRIMARY KEY,
    album_title            TEXT NOT NULL,
    artist_id              TEXT REFERENCES artists (artist_id),
    album_type             TEXT CONSTRAINT albums_album_type_check CHECK (album_type IN ('single', 'compilation', 'album')),
    album_total_tracks     INT CONSTRAINT albums_album_total_tracks_check CHECK (album_total_tracks > 0 AND album_total_tracks <= 200),
    created_at             TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    updated_at             TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    track_observed_at      BIGINT,
    track_tiebreak         BIGINT
);

CREATE TABLE songs (
    song_id                TEXT NOT NULL PRIMARY KEY,
    song_name              TEXT NOT NULL,
    artist_id              TEXT REFERENCES artists (artist_id),
    album_id               TEXT REFERENCES albums (album_id),
    song_listeners         INT DEFAULT 0 CONSTRAINT songs_song_listeners_check CHECK (song_listeners >= 0),
    mbid                   TEXT,
    duration_ms            INT CONSTRAINT songs_duration_ms_check CHECK (duration_ms > 1000 AND duration_ms < 10800000),
    duration_seconds       INT CONSTRAINT songs_duration_seconds_check CHECK (duration_seconds > 1 AND duration_seconds < 10800),
    duration_minutes       FLOAT CONSTRAINT songs_duration_minutes_check CHECK (duration_minutes > .016 AND duration_minutes < 180.0),
    engagement_ratio       FLOAT CONSTRAINT songs_engagement_ratio_check CHECK (engagement_ratio >= 0),
    release_date           TEXT,
    release_date_precision TEXT CONSTRAINT songs_release_date_precision_check CHECK (release_date_precision IN ('year', 'month', 'day')),
    is_explicit            BOOLEAN,
    popularity             INT CONSTRAINT songs_popularity_check CHECK (popularity >= 0 AND popularity <= 100),
    track_number           INT CONSTRAINT songs_track_number_check CHECK (track_number > 0 AND track_number <= 100),
    is_playable            BOOLEAN,
    created_at             TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    updated_at             TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    isrc                   TEXT,
    lastfm_match_score     FLOAT,
    lastfm_match_quality   TEXT,
    track_observed_at      BIGINT,
    track_tiebreak         BIGINT,
    lastfm_observed_at     BIGINT,
    lastfm_tiebreak        BIGINT
);

CREATE TABLE song_audio_features (
    song_id                TEXT NOT NULL PRIMARY KEY REFERENCES songs (song_id) ON DELETE CASCADE,
    bpm                    FLOAT CONSTRAINT song_audio_features_bpm_check CHECK (bpm >= 30 AND bpm <= 300),
    energy                 FLOAT CONSTRAINT song_audio_features_energy_check CHECK (energy >= 0 AND energy <= 1),
    spectral_centroid      FLOAT CONSTRAINT song_audio_features_spectral_centroid_check CHECK (spectral_centroid >= 0 AND spectral_centroid <= 10000),
    zero_crossing_rate     FLOAT CONSTRAINT song_audio_features_zero_crossing_rate_check CHECK (zero_crossing_rate >= 0 AND zero_crossing_rate <= 1),
    danceability           FLOAT CONSTRAINT song_audio_features_danceability_check CHECK (danceability >= 0 AND danceability <= 1),
    preview_url            TEXT,
    harmonic_ratio         FLOAT CONSTRAINT song_audio_features_harmonic_ratio_check CHECK (harmonic_ratio >= 0 AND harmonic_ratio <= 1),
    percussive_ratio       FLOAT CONSTRAINT song_audio_features_percussive_ratio_check CHECK (percussive_ratio >= 0 AND percussive_ratio <= 1),
    analysis_date          TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    duration_s             FLOAT,
    bpm_confidence         FLOAT,
    bpm_reference          FLOAT,
    loudness_lufs          FLOAT,
    loudness_range_lu      FLOAT,
    music_key              TEXT,
    music_mode             TEXT,
    key_strength           FLOAT,
    onset_rate             FLOAT,
    beat_regularity        FLOAT,
    spectral_bandwidth     FLOAT,
    spectral_rolloff       FLOAT,
    spectral_flatness      FLOAT,
    -- JSON arrays of numbers.
    spectral_contrast      TEXT,
    chroma                 TEXT,
    mfcc                   TEXT,
    provider               TEXT,
    clip_sha256            TEXT,
    features_version       INT,
    audio_observed_at      BIGINT,
    audio_tiebreak         BIGINT
);

CREATE TABLE genres (
    genre_id               INTEGER PRIMARY KEY AUTOINCREMENT,
    genre_name             TEXT UNIQUE NOT NULL,
    created_at             TIMESTAMP DEFAULT CURRENT_TIMESTAMP
);

CREATE TABLE artist_genres (
    artist_id              TEXT NOT NULL REFERENCES artists (artist_id) ON DELETE CASCADE,
    genre_id               INT NOT NULL REFERENCES genres (genre_id) ON DELETE CASCADE,
    created_at             TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    -- 'profile' or 'lastfm': who says so.
    source                 TEXT,
    PRIMARY KEY (artist_id, genre_id)
);

CREATE INDEX idx_songs_engagement_ratio ON songs (engagement_ratio);
CREATE INDEX idx_songs_release_date     ON songs (release_date);
CREATE INDEX idx_albums_total_tracks    ON albums (album_total_tracks);
CREATE INDEX idx_artist_name            ON artists (artist_name);
CREATE INDEX idx_songs_popularity       ON songs (popularity DESC);
-- Beyond the contract: asked at every change of an artist's genres (is the genre still linked?).
CREATE INDEX idx_artist_genres_genre    ON artist_genres (genre_id);

-- A source that had nothing about an entity: asked again only after `refresh_after`.
CREATE TABLE source_misses (
    entity                 TEXT NOT NULL,
    entity_id              TEXT NOT NULL,
    source                 TEXT NOT NULL,
    reason                 TEXT NOT NULL,
    features_version       INT NOT NULL DEFAULT 0,
    observed_at            BIGINT NOT NULL,
    tiebreak               BIGINT NOT NULL,
    created_at             TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    updated_at             TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    PRIMARY KEY (entity, entity_id, source)
);

-- Where the loader stands, moved in the same transaction as the rows. `epoch` is raised by each claim: a loader that
-- lost its partition writes nothing.
CREATE TABLE loader_progress (
    topic                  TEXT NOT NULL,
    "partition"            INT NOT NULL,
    next_offset            BIGINT,
    epoch                  BIGINT NOT NULL DEFAULT 0,
    consumed               BIGINT NOT NULL DEFAULT 0,
    emitted                BIGINT NOT NULL DEFAULT 0,
    superseded             BIGINT NOT NULL DEFAULT 0,
    dead_lettered          BIGINT NOT NULL DEFAULT 0,
    produced               BIGINT NOT NULL DEFAULT 0,
    updated_at             TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    PRIMARY KEY (topic, "partition")
);
