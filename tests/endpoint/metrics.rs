//! Every metric of the contract, their number on the worst of days, and that what watches them asks for nothing else.

use std::collections::{BTreeMap, BTreeSet};

use reprise::observe::endpoint::samples::{Sample, samples};
use reprise::observe::metrics::{
    ActorLabel, ApiWaitLabel, DeadLabel, LagLabel, MatchLabel, OutcomeLabel, RestartLabel, RowLabel, StageLabel, StepLabel,
};
use reprise::store::TABLES;

use crate::client::{eventually, get};
use crate::fakes::{PARTITIONS, Stage, groups};
use crate::{TOKEN, actor, start};

const SUPERVISORS: [&str; 7] = ["root", "observe", "prepare", "loading", "transforming", "analysis", "extract"];
const WORKERS: [&str; 10] =
    ["endpoint", "setup", "load", "transform", "dsp", "audio", "listeners", "artists", "tracks", "scheduler"];

/// What a supervisor can see of a child's end.
const WORKER_ENDS: [&str; 6] = ["panic", "error", "hang", "arbiter", "operator", "normal"];
const SUPERVISOR_ENDS: [&str; 4] = ["escalated", "panic", "arbiter", "operator"];

/// Why a stage may give a message up; only the loader meets the database's constraints, and only extractors an API's refusal.
fn dead_reasons(stage: &str) -> Vec<&'static str> {
    let any = ["undecodable", "schema_version", "required_field", "poison"];
    let more: &[&str] = match stage {
        "load" => &["constraint", "unencodable"],
        "transform" => &[],
        _ => &["rejected"],
    };
    any.into_iter().chain(more.iter().copied()).collect()
}

/// The worst of days of a whole deployment in one process: everything that can happen has happened.
fn let_everything_happen(stage: &Stage) {
    let metrics = &stage.metrics;
    for (actors, ends) in [(&SUPERVISORS[1..], &SUPERVISOR_ENDS[..]), (&WORKERS, &WORKER_ENDS)] {
        for actor in actors {
            metrics.actor_up.get_or_create(&ActorLabel::new(actor)).set(1);
            metrics.actor_heartbeat_age.get_or_create(&ActorLabel::new(actor)).set(0.1);
            for end in ends {
                metrics.actor_restarts.get_or_create(&RestartLabel::new(actor, end)).inc();
            }
        }
    }
    metrics.actor_mailbox_depth.get_or_create(&ActorLabel::new("dsp")).set(1);
    metrics.records.get_or_create(&OutcomeLabel::new("transform", "nulled_field")).inc();
    for group in groups() {
        let name = group.stage.as_str();
        for outcome in ["emitted", "superseded", "dead_lettered"] {
            metrics.records.get_or_create(&OutcomeLabel::new(name, outcome)).inc();
        }
        metrics.batch.get_or_create(&StageLabel::new(name)).observe(0.1);
        metrics.actor_busy.get_or_create(&ActorLabel::new(name)).inc_by(0.1);
        metrics.actor_mailbox_depth.get_or_create(&ActorLabel::new(name)).set(1);
        for reason in dead_reasons(name) {
            metrics.dead_letters.get_or_create(&DeadLabel::new(name, reason)).inc();
        }
        for topic in &group.topics {
            for partition in 0..PARTITIONS {
                let label = LagLabel::new(topic.default_name(), &partition.to_string(), &group.group);
                metrics.lag.get_or_create(&label).set(3);
            }
        }
    }
    for api in ["spotify", "lastfm", "deezer", "itunes", "spotify_embed", "musicbrainz", "clips"] {
        metrics.api_answered(api, "429");
        (100..600).for_each(|status| metrics.api_answered(api, &status.to_string()));
        for reason in ["limiter", "retry_after", "backoff", "quota", "breaker"] {
            metrics.api_wait.get_or_create(&ApiWaitLabel::new(api, reason)).inc_by(0.1);
        }
    }
    for table in TABLES {
        for effect in ["inserted", "updated", "unchanged", "superseded"] {
            metrics.rows.get_or_create(&RowLabel::new(table, effect)).inc();
        }
    }
    for subject in ["artist", "track"] {
        for outcome in ["accepted", "rejected"] {
            metrics.match_score.get_or_create(&MatchLabel::new(subject, outcome)).observe(0.9);
        }
    }
    for step in ["resolve", "download", "analyze"] {
        metrics.clip.get_or_create(&StepLabel::new(step)).observe(0.1);
    }
}

#[test]
fn every_metric_of_the_contract_is_there_and_their_number_is_bounded_on_the_worst_of_days() {
    let service = start(TOKEN);
    let_everything_happen(&service.stage);
    service.stage.puppet("tracks").crash();
    eventually("a restart", || actor(&service, "tracks")["restarts"] == 1);
    let text = get(service.address, "/metrics").body;
    for name in [
        "reprise_actor_up{actor=",
        "reprise_actor_restarts_total{actor=\"tracks\",reason=\"panic\"} 2",
        "reprise_actor_heartbeat_age_seconds{actor=",
        "reprise_actor_mailbox_depth{actor=",
        "reprise_actor_busy_seconds_total{actor=",
        "reprise_records_total{stage=\"load\",outcome=\"emitted\"}",
        "reprise_batch_seconds_bucket{",
        "reprise_batch_seconds_count{stage=\"audio\"}",
        "reprise_consumer_lag{topic=\"music_transformed\",partition=\"5\",group=\"reprise.load\"} 3",
        "reprise_dead_letters_total{stage=\"audio\",reason=\"poison\"}",
        "reprise_api_requests_total{api=\"spotify\",status=\"429\"}",
        "reprise_api_wait_seconds_total{api=\"spotify\",reason=\"quota\"}",
        "reprise_rows_total{table=\"songs\",effect=\"inserted\"}",
        "reprise_match_score_bucket{",
        "reprise_clip_seconds_bucket{",
        "reprise_build_info{version=",
    ] {
        assert!(text.contains(name), "{name} is missing");
    }
    assert!(text.ends_with("# EOF\n"));
    let series = text.lines().filter(|line| !line.starts_with('#')).count();
    eprintln!("{series} series on the worst of days");
    assert!(series < 500, "{series} series");
}

/// What a query asks for: names of ours with the labels it selects, groups or joins by.
fn asked_for(text: &str) -> BTreeMap<String, BTreeSet<String>> {
    let word = |char: char| char.is_ascii_alphanumeric() || char == '_';
    let mut asked: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (start, _) in text.match_indices("reprise_") {
        let rest = text.get(start..).unwrap_or_default();
        let name: String = rest.chars().take_while(|char| word(*char)).collect();
        let labels = asked.entry(name.clone()).or_default();
        let Some(selector) = rest.get(name.len()..).and_then(|after| after.strip_prefix('{')) else { continue };
        let selector = selector.split('}').next().unwrap_or_default();
        labels.extend(selector.split(',').filter_map(|part| Some(part.split(['=', '!']).next()?.trim().to_owned())));
    }
    asked
}

/// Every `expr` of alerts and dashboard.
fn queries() -> Vec<String> {
    let read =
        |path: &str| std::fs::read_to_string(format!("{}/deploy/{path}", env!("CARGO_MANIFEST_DIR"))).expect("it is there");
    let board: serde_json::Value = serde_json::from_str(&read("grafana/reprise.json")).expect("JSON");
    let panels = board["panels"].as_array().expect("panels").iter();
    let targets = panels.flat_map(|panel| panel["targets"].as_array().cloned().unwrap_or_default());
    let mut queries: Vec<String> = targets.filter_map(|target| target["expr"].as_str().map(str::to_owned)).collect();
    // Annotations name no metrics: the whole file will do.
    queries.push(read("prometheus/alerts.yml"));
    queries
}

#[test]
fn alerts_and_dashboard_ask_only_for_metrics_and_labels_that_there_are() {
    let service = start(TOKEN);
    let_everything_happen(&service.stage);
    let there = samples(&get(service.address, "/metrics").body);
    // What Prometheus adds to every series.
    let added = ["instance", "job", "le"];
    let queries = queries();
    assert!(queries.len() > 15, "{queries:?}");
    for query in &queries {
        for (name, labels) in asked_for(query) {
            let series: Vec<&Sample> = there.iter().filter(|sample| sample.name == name).collect();
            assert!(!series.is_empty(), "no series {name}: {query}");
            let has = |label: &str| added.contains(&label) || series.iter().any(|sample| sample.labels.contains_key(label));
            let unknown: Vec<&String> = labels.iter().filter(|label| !has(label)).collect();
            assert!(unknown.is_empty(), "{name} has no {unknown:?}: {query}");
        }
    }
    let told: BTreeSet<&str> = there.iter().map(|sample| sample.name.as_str()).collect();
    let asked: BTreeSet<String> = queries.iter().flat_map(|query| asked_for(query).into_keys()).collect();
    let base =
        |name: &str| ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name).to_owned();
    let unseen: BTreeSet<String> =
        told.iter().map(|name| base(name)).filter(|name| !asked.iter().any(|asked| base(asked) == *name)).collect();
    assert_eq!(unseen, BTreeSet::from(["reprise_build_info".to_owned()]), "a metric that nobody looks at");
}
