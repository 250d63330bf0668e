//! Tracks in, Last.fm figures of their primary artists and of themselves out.
//!
//! Artist and track are separate records under separate keys, so that each is asked for only when it is stale. What comes back
//! is believed only if it is what was asked for: names are matched and thresholded, ghosts and placeholders are refused; all
//! of these are recorded as misses with their reason and asked again only after `refresh_after`.

use std::sync::Arc;
use std::time::Instant;

use futures::future::LocalBoxFuture;

use super::begun::Begun;
use super::clients::http::ApiError;
use super::clients::lastfm::Lastfm;
use super::clients::lastfm::answer::{ArtistAnswer, TrackAnswer};
use super::clients::lastfm::judge;
use super::clients::musicbrainz::MusicBrainz;
use super::clients::previews::candidate::note;
use super::errands::{self, Desk, Errand, Trouble};
use super::freshness::{Freshness, Question};
use crate::mailbox::Message;
use crate::matching::{MatchResult, Matcher, TrackQuery};
use crate::observe::Metrics;
use crate::observe::metrics::MatchLabel;
use crate::records::{
    ArtistFigures, DeadReason, Envelope, FigureOutcome, ListenerFigures, Subject, TopTrack, Topic, TrackFigures, Validate as _,
    now_micros,
};
use crate::stage::{Processed, Processor, StageError, StepContext, Subscription};
use crate::store::{KnownKey, KnownSource};
use crate::supervision::Pulse;

/// Messages a batch, each of which needs up to two calls. Larger: fewer transactions; smaller: less is asked for again when the
/// process dies before a batch is published, and allowance is what this stage is short of.
const BATCH_MAX: usize = 10;

/// Calls prepared at once. The account's limits decide how many are really under way; a few more keep it busy.
const AT_ONCE: usize = 8;

/// The stage's processor.
#[derive(Debug)]
pub struct Listeners {
    inquiry: Inquiry,
    freshness: Freshness,
    desk: Desk<ListenerFigures>,
}

/// What is asked of Last.fm.
#[derive(Debug, Clone, PartialEq)]
enum Ask {
    Artist { id: String, name: String },
    Track(Box<TopTrack>),
}

/// Asks, and judges what comes back.
#[derive(Debug)]
struct Inquiry {
    lastfm: Lastfm,
    musicbrainz: Option<MusicBrainz>,
    matcher: Arc<Matcher>,
    metrics: Metrics,
    begun: Begun<FigureOutcome<TrackFigures>>,
}

impl Listeners {
    /// A processor that asks `lastfm`, and `musicbrainz`, if there is one, for the MBIDs that Last.fm does not give.
    pub fn new(
        lastfm: Lastfm,
        musicbrainz: Option<MusicBrainz>,
        matcher: Arc<Matcher>,
        freshness: Freshness,
        metrics: Metrics,
    ) -> Listeners {
        let inquiry = Inquiry { lastfm, musicbrainz, matcher, metrics, begun: Begun::default() };
        Listeners { inquiry, freshness, desk: Desk::default() }
    }
}

impl Processor for Listeners {
    fn subscription(&self) -> Subscription {
        Subscription {
            topics: vec![Topic::MusicTopTracks],
            heads: vec![Topic::LastfmArtist],
            batch_max: BATCH_MAX,
            transactional: true,
        }
    }

    fn process<'a>(
        &'a mut self,
        batch: &'a [Message],
        context: &'a StepContext<'a>,
    ) -> LocalBoxFuture<'a, Result<Processed, StageError>> {
        Box::pin(async move {
            self.desk.reopen()?;
            let tracks = errands::bodies::<TopTrack>(batch);
            let keys = errands::keys(batch, &tracks, wants);
            self.inquiry.begun.retain(&keys);
            let fresh = errands::fresh_keys(&self.freshness, context, Topic::LastfmArtist, &keys, question).await?;
            let plans = errands::plan(tracks, wants, |key| fresh.contains(key));
            let (inquiry, pulse, run_id) = (&self.inquiry, context.pulse, context.run_id);
            self.desk.work(batch, plans, AT_ONCE, pulse, |ask| inquiry.answer(ask, run_id, pulse)).await
        })
    }
}

/// What a track needs: its primary artist's figures, and its own.
fn wants(track: &TopTrack) -> Vec<Errand<Ask>> {
    let Some(artist) = track.primary_artist() else { return Vec::new() };
    let ask = Ask::Artist { id: artist.id.clone(), name: artist.name.clone() };
    vec![
        Errand { key: format!("artist/{}", artist.id), ask },
        Errand { key: song_key(track), ask: Ask::Track(Box::new(track.clone())) },
    ]
}

fn song_key(track: &TopTrack) -> String {
    format!("song/{}", track.id)
}

/// How to ask whether a record key is fresh.
fn question(key: &str) -> Option<Question> {
    let (source, id) = match key.split_once('/')? {
        ("artist", id) => (KnownSource::ArtistListeners, id),
        ("song", id) => (KnownSource::SongListeners, id),
        _ => return None,
    };
    Some(Question::new(key, KnownKey { source, id: id.to_owned() }))
}

impl Inquiry {
    async fn answer(&self, ask: Ask, run_id: &str, pulse: &Pulse) -> Result<Envelope<ListenerFigures>, Trouble> {
        let (artist_id, subject) = match ask {
            Ask::Artist { id, name } => {
                let figures = match self.artist(&name, pulse).await {
                    // Every track of this artist would ask again, and take its own figures down with it.
                    Err(ApiError::Rejected(_)) => missing("rejected"),
                    answer => answer?,
                };
                (id, Subject::Artist { figures })
            }
            Ask::Track(track) => {
                let artist = track.primary_artist().map(|artist| (artist.id.clone(), artist.name.clone())).unwrap_or_default();
                let figures = self.track(&artist.1, &track, pulse).await?;
                (artist.0, Subject::Track { song_id: track.id, figures })
            }
        };
        let mut body = ListenerFigures { artist_id, subject };
        let nulled = body.validate().map_err(|error| Trouble::GiveUp(DeadReason::from(&error)))?;
        self.metrics.nulled("listeners", &nulled);
        Ok(Envelope::new(now_micros(), run_id, body))
    }

    async fn artist(&self, name: &str, pulse: &Pulse) -> Result<FigureOutcome<ArtistFigures>, ApiError> {
        if judge::is_placeholder_name(name) {
            return Ok(missing("placeholder"));
        }
        let answer = self.lastfm.artist(name, pulse).await?;
        let (figures, found) = artist_figures(&self.matcher, name, answer);
        self.count("artist", found);
        Ok(figures)
    }

    /// What Last.fm answered is kept while MusicBrainz has to be waited for.
    async fn track(&self, artist: &str, track: &TopTrack, pulse: &Pulse) -> Result<FigureOutcome<TrackFigures>, ApiError> {
        if judge::is_placeholder_name(artist) {
            return Ok(missing("placeholder"));
        }
        let key = song_key(track);
        let (since, mut figures) = match self.begun.take(&key) {
            Some(told) => told,
            None => {
                let answer = self.lastfm.track(artist, &track.name, pulse).await?;
                let (figures, found) = track_figures(&self.matcher, artist, &track.name, answer);
                self.count("track", found);
                (Instant::now(), figures)
            }
        };
        if let FigureOutcome::Found(found) = &mut figures
            && found.mbid.is_none()
        {
            match self.mbid(track, pulse).await {
                Ok(mbid) => found.mbid = mbid,
                Err(error) => {
                    self.begun.keep(&key, since, figures);
                    return Err(error);
                }
            }
        }
        Ok(figures)
    }

    /// A refusal of the optional source costs the MBID, not the message.
    async fn mbid(&self, track: &TopTrack, pulse: &Pulse) -> Result<Option<String>, ApiError> {
        let (Some(musicbrainz), Some(isrc)) = (&self.musicbrainz, &track.isrc) else { return Ok(None) };
        match musicbrainz.recording(isrc, pulse).await {
            Err(ApiError::Rejected(_)) => Ok(None),
            answer => answer,
        }
    }

    fn count(&self, subject: &str, found: Option<(f64, bool)>) {
        if let Some((score, matched)) = found {
            let outcome = if matched { "accepted" } else { "rejected" };
            self.metrics.match_score.get_or_create(&MatchLabel::new(subject, outcome)).observe(score);
        }
    }
}

fn missing<T>(reason: &str) -> FigureOutcome<T> {
    FigureOutcome::Missing { reason: reason.to_owned() }
}

/// The score and whether it was enough, where names were compared.
pub type Scored = Option<(f64, bool)>;

/// Figures of the artist asked for, or why what came back is none.
pub fn artist_figures(matcher: &Matcher, asked: &str, answer: Option<ArtistAnswer>) -> (FigureOutcome<ArtistFigures>, Scored) {
    let Some(answer) = answer else { return (missing("not_found"), None) };
    if let Some(flaw) = judge::artist_flaw(&answer) {
        return (missing(flaw), None);
    }
    scored(matcher.artist(asked, &answer.name), |matched| ArtistFigures {
        name: answer.name,
        mbid: answer.mbid,
        on_tour: answer.on_tour,
        listeners: answer.listeners,
        playcount: answer.playcount,
        tags: answer.tags,
        matched,
    })
}

/// Figures of the track asked for, or why what came back is none. Only names are compared: Last.fm's durations and albums
/// are those of any release, and often unknown.
pub fn track_figures(
    matcher: &Matcher,
    artist: &str,
    title: &str,
    answer: Option<TrackAnswer>,
) -> (FigureOutcome<TrackFigures>, Scored) {
    let Some(answer) = answer else { return (missing("not_found"), None) };
    if let Some(flaw) = judge::track_flaw(&answer) {
        return (missing(flaw), None);
    }
    let asked = TrackQuery { title, artist, ..TrackQuery::default() };
    let answered = TrackQuery { title: &answer.name, artist: answer.artist.as_deref().unwrap_or(""), ..TrackQuery::default() };
    scored(matcher.track(&asked, &answered), |matched| TrackFigures {
        name: answer.name.clone(),
        mbid: answer.mbid.clone(),
        listeners: answer.listeners,
        playcount: answer.playcount,
        matched,
    })
}

fn scored<T>(found: MatchResult, figures: impl FnOnce(crate::records::MatchNote) -> T) -> (FigureOutcome<T>, Scored) {
    let scored = Some((found.score, found.matched));
    let outcome = if found.matched { FigureOutcome::Found(figures(note(found))) } else { missing("no_match") };
    (outcome, scored)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason<T>(outcome: &FigureOutcome<T>) -> &str {
        match outcome {
            FigureOutcome::Found(_) => "found",
            FigureOutcome::Missing { reason } => reason,
        }
    }

    fn artist(name: &str, listeners: i64) -> ArtistAnswer {
        ArtistAnswer {
            name: name.to_owned(),
            listeners: Some(listeners),
            tags: vec!["rock".to_owned()],
            ..ArtistAnswer::default()
        }
    }

    #[test]
    fn an_artist_is_believed_only_under_its_own_name() {
        let judged = |answer| artist_figures(&Matcher::default(), "Beyoncé", answer);
        let (found, score) = judged(Some(artist("Beyonce", 5_000_000)));
        assert_eq!((reason(&found), score.map(|(_, matched)| matched)), ("found", Some(true)));
        let (other, score) = judged(Some(artist("Motörhead", 2_000_000)));
        assert_eq!((reason(&other), score.map(|(_, matched)| matched)), ("no_match", Some(false)));
        assert_eq!(reason(&judged(None).0), "not_found");
        assert_eq!(reason(&judged(Some(artist("[unknown]", 3_000_000))).0), "placeholder");
        assert_eq!(reason(&judged(Some(ArtistAnswer { name: "Beyoncé".to_owned(), ..ArtistAnswer::default() })).0), "ghost");
    }

    #[test]
    fn a_track_is_believed_only_with_its_title_and_artist() {
        let answer = |name: &str, artist: &str| TrackAnswer {
            name: name.to_owned(),
            artist: Some(artist.to_owned()),
            listeners: Some(9_000),
            has_tags: true,
            ..TrackAnswer::default()
        };
        let judged = |found| track_figures(&Matcher::default(), "Queen", "Under Pressure", Some(found)).0;
        assert_eq!(reason(&judged(answer("Under Pressure", "Queen"))), "found");
        assert_eq!(reason(&judged(answer("Under Pressure", "Karaoke Kings"))), "no_match");
        assert_eq!(reason(&judged(answer("Untitled Session Tape 12", "Queen"))), "no_match");
        assert_eq!(
            reason(&judged(TrackAnswer { listeners: Some(2), has_tags: false, ..answer("Under Pressure", "Queen") })),
            "ghost"
        );
    }

    #[test]
    fn a_track_needs_its_artist_and_itself() {
        let track = super::super::clients::previews::candidate::tests::track("Queen", "'39");
        let keys: Vec<String> = wants(&track).into_iter().map(|errand| errand.key).collect();
        assert_eq!(keys, ["artist/0gxyHStUsqpMadRV0Di1Qt", "song/4uLU6hMCjMI75M1A2tKUQC"]);
        let sources: Vec<_> = keys.iter().filter_map(|key| question(key)).map(|question| question.known.source).collect();
        assert_eq!(sources, [KnownSource::ArtistListeners, KnownSource::SongListeners]);
        assert_eq!(question("x"), None);
    }
}
