//! The dashboard over a made-up pipeline, to look at it while changing it, and to test it in a browser without any server:
//! `cargo run --example dashboard_preview -- [idle|busy|failed|hostile] [PORT]`. The token of the controls is `let-me-in`.

#[path = "../tests/endpoint/fakes.rs"]
mod fakes;

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use fakes::{FakeMailbox, PARTITIONS, Stage, groups};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use reprise::config::Secret;
use reprise::mailbox::TopicPartition;
use reprise::observe::endpoint::budgets::{Budget, Closed, Window};
use reprise::observe::endpoint::{Endpoint, EndpointOptions, EndpointSources, factory};
use reprise::observe::metrics::{ActorLabel, ApiLabel, ApiWaitLabel, DeadLabel, OutcomeLabel, RowLabel, StageLabel, StepLabel};
use reprise::records::{
    AlbumRow, ArtistNameRow, ArtistProfileRow, DeadLetter, DeadReason, MissRow, Row, SearchRequest, SongListenersRow, SongRow,
    Topic, Transformed, now_micros,
};
use reprise::supervision::{ChildSpec, Exit, Tree};

const TICK: Duration = Duration::from_millis(100);

fn main() -> anyhow::Result<()> {
    let mood = std::env::args().nth(1).unwrap_or_else(|| "busy".to_owned());
    let port: u16 = std::env::args().nth(2).and_then(|port| port.parse().ok()).unwrap_or(9464);
    actix_rt::System::new().block_on(async move {
        let stage = Arc::new(Stage::new());
        let listen = SocketAddr::from(([127, 0, 0, 1], port));
        let sources = EndpointSources {
            board: stage.board.clone(),
            metrics: stage.metrics.clone(),
            mailbox: stage.mailbox.clone(),
            store: stage.store.clone(),
            groups: groups(),
            run_id: "made-up".to_owned(),
        };
        let options = EndpointOptions { listen, token: Secret::new("let-me-in") };
        let hard_times = mood == "failed";
        let endpoint = Endpoint::new(options, sources).showing(Arc::new(move || budgets(hard_times)));
        let address = endpoint.address();
        let mut tree = Tree::start(stage.tree(vec![ChildSpec::worker("endpoint", factory(endpoint))]), &stage.board);
        let played = Arc::clone(&stage);
        thread::spawn(move || Play::new(played, &mood).run());
        while address.get().is_none() {
            tokio::time::sleep(TICK).await;
        }
        println!("http://{}/ (token: let-me-in)", address.get().map_or_else(String::new, |address| address.to_string()));
        println!("the tree ended: {:?}", tree.ended().await);
        Ok(())
    })
}

/// Made-up limits, filled by the clock.
fn budgets(hard_times: bool) -> Vec<Budget> {
    let second = now_micros() / 1_000_000;
    let window = |calls: u32, per_s: u32| Window {
        calls,
        per_s: f64::from(per_s),
        used: u32::try_from(second * 7 % i64::from(calls + 1)).unwrap_or(0),
    };
    let open = |api: &'static str, window: Window| Budget { api, windows: vec![window], closed: None };
    let reason = "quota of the day is used up".to_owned();
    let closed = Closed { kind: "retry_after", reason, until: now_micros() + 7_800_000_000 };
    vec![
        open("deezer", window(50, 5)),
        Budget { closed: hard_times.then_some(closed), ..open("spotify", window(90, 30)) },
        Budget { api: "lastfm", windows: vec![Window { calls: 5, per_s: 1.0, used: 5 }], closed: None },
    ]
}

/// Moves made-up messages through the stages.
struct Play {
    stage: Arc<Stage>,
    mood: String,
    rng: StdRng,
}

/// A stage: its name, what it reads, what it writes, and how many messages a tick it can take.
const FLOW: [(&str, &[Topic], Option<Topic>, i64); 6] = [
    ("tracks", &[Topic::MusicQueries], Some(Topic::MusicTopTracks), 2),
    ("artists", &[Topic::MusicTopTracks], Some(Topic::ArtistGenres), 5),
    ("listeners", &[Topic::MusicTopTracks], Some(Topic::LastfmArtist), 3),
    ("audio", &[Topic::MusicTopTracks], Some(Topic::MusicAudioFeatures), 1),
    (
        "transform",
        &[Topic::MusicTopTracks, Topic::ArtistGenres, Topic::LastfmArtist, Topic::MusicAudioFeatures],
        Some(Topic::MusicTransformed),
        12,
    ),
    ("load", &[Topic::MusicTransformed], None, 20),
];

const SONGS: [(&str, &str, &str); 8] = [
    ("Feeling Good", "Nina Simone", "jazz"),
    ("Teardrop", "Massive Attack", "trip hop"),
    ("Weird Fishes / Arpeggi", "Radiohead", "art rock"),
    ("Hoppípolla", "Sigur Rós", "post-rock"),
    ("So What", "Miles Davis", "cool jazz"),
    ("Hyperballad", "Björk", "art pop"),
    ("Água de Beber", "Astrud Gilberto", "bossa nova"),
    ("Gymnopédie No. 1", "Erik Satie", "classical"),
];

/// What the outside world may send, and the page must not obey.
const HOSTILE: (&str, &str, &str) = ("<img src=x onerror=alert(1)>", "Bobby \"Tables\" <b>", "<script>alert(2)</script>");

impl Play {
    fn new(stage: Arc<Stage>, mood: &str) -> Play {
        Play { stage, mood: mood.to_owned(), rng: StdRng::seed_from_u64(7) }
    }

    fn run(mut self) {
        for tick in 0_u64.. {
            if self.mood != "idle" {
                self.tick();
            } else if tick == 10 {
                (0..20).for_each(|_| self.tick());
                (0..2000).for_each(|_| self.work());
            }
            if tick == 20 {
                self.stage_directions();
            }
            if tick % 150 == 100 && self.mood == "busy" {
                self.stage.puppet("artists").crash();
            }
            thread::sleep(TICK);
        }
    }

    fn stage_directions(&mut self) {
        let second = 1_000_000;
        match self.mood.as_str() {
            "busy" => {
                self.stage
                    .puppet("listeners")
                    .wait(Some("lastfm: rate limit of 5 requests a second"), Some(now_micros() + 600 * second));
            }
            "failed" => {
                self.stage
                    .puppet("audio")
                    .fail(Exit::Stopped("the clip directory /var/lib/reprise/clips is not writable".into()));
                self.stage
                    .puppet("load")
                    .wait(Some("database: connection to db.internal:5432 refused"), Some(now_micros() + 600 * second));
                self.stage.store.break_with(Some("connection to db.internal:5432 refused"));
            }
            _ => {}
        }
    }

    fn tick(&mut self) {
        if self.rng.random_bool(0.5) {
            let request_id = format!("preview/{}", now_micros());
            let request = SearchRequest { request_id, q: "genre:jazz".into(), market: None, max_tracks: 50, cursor: None };
            let partition = self.rng.random_range(0..PARTITIONS);
            self.stage.mailbox.append(partition, request);
        }
        self.work();
        self.ask_apis();
    }

    fn work(&mut self) {
        for (name, reads, writes, most) in FLOW {
            let state = self.stage.board.actor(name).map_or("starting", |actor| actor.state);
            if !matches!(state, "running" | "starting") {
                continue;
            }
            let mut done = 0;
            for topic in reads {
                for partition in 0..PARTITIONS {
                    let at = TopicPartition { topic: *topic, partition };
                    let batch = self.rng.random_range(0..=most);
                    let count = self.stage.mailbox.work_off(&format!("reprise.{name}"), at, batch);
                    let factor = if name == "tracks" { 12 } else { 1 };
                    (0..count * factor).for_each(|_| self.write(writes, partition));
                    done += count;
                }
            }
            self.count(name, u64::try_from(done).unwrap_or(0));
        }
    }

    fn write(&mut self, topic: Option<Topic>, partition: i32) {
        match topic {
            Some(Topic::MusicTransformed) => {
                let row = self.row();
                self.stage.mailbox.append(partition, Transformed { revision: 1, artist_id: "a".repeat(22), row });
            }
            Some(topic) => self.push(topic, partition),
            None => {}
        }
    }

    fn push(&self, topic: Topic, partition: i32) {
        let mailbox: &FakeMailbox = &self.stage.mailbox;
        mailbox.push(TopicPartition { topic, partition }, String::new(), b"{}".to_vec(), None);
    }

    fn row(&mut self) -> Row {
        let number = self.rng.random_range(0..SONGS.len());
        let hostile = self.mood == "hostile" && number % 2 == 0;
        let (title, artist, genre) = if hostile { HOSTILE } else { SONGS[number] };
        let (song_id, artist_id) = (format!("song{number:018}"), format!("artist{number:016}"));
        match self.rng.random_range(0..6) {
            0 => Row::ArtistName(ArtistNameRow { artist_id, artist_name: artist.into() }),
            1 => Row::ArtistProfile(ArtistProfileRow {
                artist_id,
                artist_name: artist.into(),
                artist_popularity: Some(60),
                artist_followers: Some(self.rng.random_range(1000..9_000_000)),
                genres: Some(vec![genre.into()]),
            }),
            2 => Row::Album(AlbumRow {
                album_id: format!("album{number:017}"),
                album_title: format!("{title} (Deluxe)"),
                artist_id: Some(artist_id),
                album_type: Some("album".into()),
                album_total_tracks: Some(12),
            }),
            3 => Row::SongListeners(SongListenersRow {
                song_id,
                song_listeners: Some(self.rng.random_range(1000..900_000)),
                mbid: None,
                engagement_ratio: Some(3.1),
                match_score: 0.97,
                match_quality: "high".into(),
            }),
            4 => Row::Miss(MissRow {
                entity: "song".into(),
                entity_id: song_id,
                source: "audio".into(),
                reason: "no_preview".into(),
                features_version: 1,
            }),
            _ => Row::Song(song(song_id, title, artist_id)),
        }
    }

    fn count(&mut self, name: &str, done: u64) {
        let metrics = &self.stage.metrics;
        let old = done / 8;
        metrics.records.get_or_create(&OutcomeLabel::new(name, "emitted")).inc_by(done - old);
        metrics.records.get_or_create(&OutcomeLabel::new(name, "superseded")).inc_by(old);
        metrics.batch.get_or_create(&StageLabel::new(name)).observe(0.05);
        metrics.actor_busy.get_or_create(&ActorLabel::new(name)).inc_by(0.05);
        if name == "load" {
            for (table, share) in
                [("songs", 4), ("artists", 9), ("albums", 6), ("song_audio_features", 7), ("artist_genres", 5)]
            {
                let rows = done / share;
                self.stage.store.add_rows(table, i64::try_from(rows).unwrap_or(0));
                metrics.rows.get_or_create(&RowLabel::new(table, "inserted")).inc_by(rows);
            }
        }
        if name == "audio" {
            metrics.clip.get_or_create(&StepLabel::new("analyze")).observe(0.12);
            if done > 0 && self.rng.random_bool(0.03) {
                self.bury();
            }
        }
    }

    fn bury(&mut self) {
        let reasons = [
            ("undecodable", "expected value at line 1 column 1: found \"<!DOCTYPE html>\", expected JSON"),
            ("required_field", "artist_id: found \"\", expected a Spotify id"),
            ("poison", "this message killed the actor again and again"),
        ];
        let (kind, detail) = reasons[self.rng.random_range(0..reasons.len())];
        self.stage.metrics.dead_letters.get_or_create(&DeadLabel::new("audio", kind)).inc();
        let letter = DeadLetter {
            stage: "audio".into(),
            reason: DeadReason::new(kind, detail),
            origin_topic: Topic::MusicTopTracks.default_name().into(),
            origin_partition: 3,
            origin_offset: self.rng.random_range(0..10_000),
            origin_time: now_micros() - 60_000_000,
            origin_key: "4u7EnebtmKWzUH433cf5Qv".into(),
            payload_base64: DeadLetter::encode_payload(
                b"<!DOCTYPE html><script>alert('xss')</script>\n{\"schema_version\": 1}",
            ),
        };
        self.stage.mailbox.append(self.rng.random_range(0..PARTITIONS), letter);
    }

    fn ask_apis(&mut self) {
        let metrics = &self.stage.metrics;
        for (api, status, chance) in [
            ("spotify", "200", 0.9),
            ("spotify", "429", 0.05),
            ("lastfm", "200", 0.8),
            ("deezer", "200", 0.5),
            ("deezer", "404", 0.1),
            ("itunes", "timeout", 0.02),
        ] {
            if self.rng.random_bool(chance) {
                metrics.api_requests.get_or_create(&ApiLabel::new(api, status)).inc();
            }
        }
        metrics.api_wait.get_or_create(&ApiWaitLabel::new("lastfm", "limiter")).inc_by(0.08);
        metrics.api_wait.get_or_create(&ApiWaitLabel::new("spotify", "retry_after")).inc_by(0.02);
    }
}

fn song(song_id: String, title: &str, artist_id: String) -> SongRow {
    SongRow {
        song_id,
        song_name: title.to_owned(),
        artist_id,
        album_id: None,
        duration_ms: Some(200_000),
        duration_seconds: Some(200),
        duration_minutes: Some(3.33),
        release_date: Some("1965-06-01".to_owned()),
        release_date_precision: Some("day".to_owned()),
        is_explicit: Some(false),
        popularity: Some(71),
        track_number: Some(3),
        is_playable: Some(true),
        isrc: None,
    }
}
