//! Accounts, and the one loop that every call to every API goes through.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rand::Rng as _;
use tokio::sync::Semaphore;

use crate::extract::options::HttpOptions;
use crate::observe::Metrics;
use crate::observe::metrics::{ApiWaitLabel, status_label};
use crate::records::now_micros;
use crate::stage::LONGEST_STEP;
use crate::supervision::Pulse;

use super::answer::{Answer, ApiError, Verdict};
use super::breaker::Breaker;
use super::calls::CallFile;
use super::gate::{Clock, Gate, Hold, Pause};
use super::park::ParkBook;
use super::request::ApiRequest;
use super::window::{CallLog, RateWindow};
use super::wire::{Fault, Wire};

mod budget;
mod failures;

use failures::Failures;

/// The one HTTP client. Cheap to clone; the last clone closes the connections.
#[derive(Debug, Clone)]
pub struct Http {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    options: HttpOptions,
    metrics: Metrics,
    logger: slog::Logger,
    parks: ParkBook,
    calls: CallFile,
    wire: Wire,
    started: Instant,
    accounts: Mutex<HashMap<String, Arc<State>>>,
}

/// What an API counts calls by: a developer account (Spotify), a key (Last.fm), this machine's address (Deezer).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountSpec {
    /// Metric label: `spotify`, `lastfm`, `deezer`, `itunes`, `musicbrainz`, `spotify_embed`, `clips`.
    pub api: &'static str,
    /// Names the account in the park book and among those that share its limits. Never a credential itself, at most its hash.
    pub name: String,
    /// No window may hold more calls than it allows.
    pub windows: Vec<RateWindow>,
    /// Most calls under way at once.
    pub max_concurrent: usize,
}

/// One account of one API. Clones, and accounts opened again under the same name, share limits, parks and breaker.
#[derive(Debug, Clone)]
pub struct Account {
    http: Arc<Inner>,
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    api: &'static str,
    name: String,
    slots: Semaphore,
    gate: Mutex<Gate>,
    failures: Mutex<Failures>,
}

/// Waits below this are not worth a line in the status.
const UNREMARKABLE: Duration = Duration::from_secs(1);

/// First pause of a stage after a call used up its retries, which doubles with each such call, and the longest.
const EXHAUSTED_PAUSE: Duration = Duration::from_secs(5);
const EXHAUSTED_PAUSE_MAX: Duration = Duration::from_secs(60);

impl Http {
    /// Starts the client.
    ///
    /// # Errors
    /// When its thread or its TLS set-up cannot be started.
    pub fn new(options: HttpOptions, metrics: Metrics, logger: slog::Logger, parks: ParkBook) -> anyhow::Result<Http> {
        let (wire, warning) = Wire::new(&options)?;
        if let Some(warning) = warning {
            slog::warn!(logger, "{warning}");
        }
        let calls = CallFile::open(parks.beside("calls"), now_micros());
        let (started, accounts) = (Instant::now(), Mutex::default());
        Ok(Http { inner: Arc::new(Inner { options, metrics, logger, parks, calls, wire, started, accounts }) })
    }

    /// Where calls are counted; clients count there what they make of the answers.
    pub fn metrics(&self) -> &Metrics {
        &self.inner.metrics
    }

    /// The account of this name, opened with `spec` if it is new.
    pub fn account(&self, spec: AccountSpec) -> Account {
        let inner = &self.inner;
        let open = || {
            let breaker = Breaker::new(inner.options.breaker_failures, inner.options.breaker_pause.0);
            let mut log = CallLog::new(spec.windows);
            let now = inner.clock();
            log.remember(inner.calls.ages(&spec.name, now.wall).iter().map(|age| now.running.saturating_sub(*age)));
            let gate = Gate::new(log, breaker, inner.parks.parked(&spec.name));
            Arc::new(State {
                api: spec.api,
                name: spec.name.clone(),
                slots: Semaphore::new(spec.max_concurrent.max(1)),
                gate: Mutex::new(gate),
                failures: Mutex::default(),
            })
        };
        let state = Arc::clone(inner.accounts.lock().entry(spec.name.clone()).or_insert_with(open));
        Account { http: Arc::clone(inner), state }
    }

    /// The book of parks and notes, for clients that learn about their account.
    pub fn parks(&self) -> &ParkBook {
        &self.inner.parks
    }

    /// For clients that have something to say to the operator.
    pub fn logger(&self) -> &slog::Logger {
        &self.inner.logger
    }
}

impl Account {
    /// Sends `request` until `judge` accepts an answer, within the account's limits. Waits longer than `max_wait_in_place`
    /// are handed to the caller before anything is sent.
    ///
    /// # Errors
    /// What the stage has to do instead: see [`ApiError`].
    pub async fn call(
        &self,
        request: &ApiRequest,
        judge: &(dyn Fn(&Answer) -> Verdict + Send + Sync),
        pulse: &Pulse,
    ) -> Result<Answer, ApiError> {
        self.ask_for_second_opinion(request, judge, pulse).await?;
        let (mut failures, mut throttles) = (0, 0);
        let mut last = String::new();
        loop {
            let answer = match self.attempt(request, pulse).await {
                // A call that its own failures ended is a failed call, though the breaker says so and not the retries.
                Err(wait @ ApiError::Wait { .. }) if failures > 0 && self.is_broken() => {
                    return Err(self.hopeless(request, &last).unwrap_or(wait));
                }
                answer => answer?,
            };
            match self.verdict(request, &answer, judge) {
                Verdict::Accept => return self.accepted(request, answer),
                Verdict::Missing(reason) => {
                    self.served(request);
                    return Err(ApiError::Missing { reason });
                }
                Verdict::Retry(reason) => {
                    failures += 1;
                    slog::debug!(self.http.logger, "{}: {reason}", self.state.api; "request" => request.describe(), "failures" => failures);
                    if failures > self.http.options.retries {
                        return Err(self.hopeless(request, &reason).unwrap_or_else(|| self.exhausted(request, &reason)));
                    }
                    self.back_off(failures, &reason, pulse).await;
                    last = reason;
                }
                Verdict::WaitFor { reason, pause } => {
                    self.throttled(reason, pause.map_or(Pause::Unsaid, Pause::Said), &mut throttles)?;
                }
                Verdict::WaitLonger { reason, first } => self.throttled(reason, Pause::Guessed(first), &mut throttles)?,
                Verdict::Reauthorize => return Err(ApiError::Reauthorize),
                Verdict::Reject(detail) => {
                    self.served(request);
                    return Err(ApiError::Rejected(format!("{}: {detail} ({})", self.state.api, request.describe())));
                }
                Verdict::Stop(advice) => return Err(ApiError::Stop(self.label(&advice))),
            }
        }
    }

    /// One attempt once the gates allow it.
    async fn attempt(&self, request: &ApiRequest, pulse: &Pulse) -> Result<Result<Answer, Fault>, ApiError> {
        let slot = self.remark(pulse, "a free slot", self.state.slots.acquire());
        // The semaphore is never closed; were it, the call would go unlimited in number only.
        let _slot = slot.await;
        let call = self.pass(pulse).await?;
        let answer = self.remark(pulse, "an answer", self.http.wire.attempt(request)).await;
        let healthy = match &answer {
            Ok(answer) => answer.status < 500,
            Err(Fault::Timeout | Fault::Connect | Fault::Body) => false,
            Err(_) => true,
        };
        let opened = {
            let mut gate = self.state.gate.lock();
            gate.settle(call, self.clock());
            gate.report(healthy, self.clock())
        };
        let status = answer.as_ref().map_or_else(|fault| fault.label().to_owned(), |answer| status_label(answer.status));
        if opened {
            slog::warn!(
                self.http.logger,
                "{}: not answering ({status}), pausing for {}",
                self.state.api,
                self.http.options.breaker_pause
            );
        }
        self.http.metrics.api_answered(self.state.api, &status);
        pulse.alive();
        Ok(answer)
    }

    /// Waits for park, windows and breaker, in place or by handing the wait to the stage.
    async fn pass(&self, pulse: &Pulse) -> Result<u64, ApiError> {
        loop {
            let entered = self.state.gate.lock().enter(self.clock());
            match entered {
                Ok(call) => {
                    if let Err(error) = self.http.calls.note(&self.state.name, now_micros()) {
                        slog::debug!(self.http.logger, "limits hold in this process only: {error}");
                    }
                    return Ok(call);
                }
                Err(hold) if hold.pause <= self.http.options.max_wait_in_place.0 => self.hold(&hold, pulse).await,
                Err(hold) => {
                    // Whole, so that the status tells its end; counted by the step after which the stage comes back.
                    self.count_wait(hold.label, hold.pause.min(LONGEST_STEP));
                    return Err(ApiError::Wait { reason: self.label(&hold.reason), pause: hold.pause });
                }
            }
        }
    }

    fn verdict(
        &self,
        request: &ApiRequest,
        answer: &Result<Answer, Fault>,
        judge: &(dyn Fn(&Answer) -> Verdict + Send + Sync),
    ) -> Verdict {
        match answer {
            Ok(answer) => judge(answer),
            Err(Fault::TooLarge) => request.oversize.clone(),
            Err(Fault::Forbidden(rule)) => Verdict::Reject(rule.clone()),
            Err(Fault::Unsendable(part)) => Verdict::Stop(part.clone()),
            Err(fault) => Verdict::Retry(fault.label().to_owned()),
        }
    }

    fn accepted(&self, request: &ApiRequest, answer: Result<Answer, Fault>) -> Result<Answer, ApiError> {
        self.served(request);
        // Only an oversize verdict of `Accept` leads here without an answer, and there is nothing to hand over then.
        answer.map_err(|fault| ApiError::Missing { reason: fault.label().to_owned() })
    }

    /// The server gave an answer that settles this request.
    fn served(&self, request: &ApiRequest) {
        self.state.failures.lock().settled(request);
        let is_calm = self.state.gate.lock().calm(self.clock());
        if is_calm && let Err(error) = self.http.parks.clear_over(&self.state.name, now_micros()) {
            slog::warn!(self.http.logger, "cannot clear a pause that is over: {error}"; "account" => &self.state.name);
        }
    }

    /// A whole call failed once more: is it this request, and not the server?
    fn hopeless(&self, request: &ApiRequest, reason: &str) -> Option<ApiError> {
        let options = &self.http.options;
        let mut failures = self.state.failures.lock();
        let failed = failures.failed(request, Instant::now());
        let its_fault = failed.rounds >= options.give_up_rounds && failed.others_served;
        if !its_fault && failed.lasting < options.give_up_after.0 {
            return None;
        }
        failures.forget(request);
        let (api, rounds) = (self.state.api, failed.rounds);
        Some(ApiError::Rejected(format!("{api}: {reason} in each of {rounds} rounds of retries ({})", request.describe())))
    }

    /// All retries of a call failed: the stage waits and tries again later.
    fn exhausted(&self, request: &ApiRequest, reason: &str) -> ApiError {
        let rounds = self.state.failures.lock().rounds(request);
        let pause = EXHAUSTED_PAUSE.saturating_mul(1 << rounds.saturating_sub(1).min(8)).min(EXHAUSTED_PAUSE_MAX);
        self.count_wait("backoff", pause);
        ApiError::Wait { reason: self.label(reason), pause }
    }

    /// Before another round of a request that failed in many while nothing else was asked: is anything answered at all?
    async fn ask_for_second_opinion(
        &self,
        request: &ApiRequest,
        judge: &(dyn Fn(&Answer) -> Verdict + Send + Sync),
        pulse: &Pulse,
    ) -> Result<(), ApiError> {
        let asked = self.state.failures.lock().second_opinion(request, self.http.options.give_up_rounds);
        let Some(other) = asked else { return Ok(()) };
        let answer = self.attempt(&other, pulse).await?;
        let verdict = self.verdict(&other, &answer, judge);
        if matches!(verdict, Verdict::Accept | Verdict::Missing(_) | Verdict::Reject(_) | Verdict::Reauthorize) {
            self.state.failures.lock().server_lives(request);
        }
        Ok(())
    }

    /// Nothing is sent because of failures in a row.
    fn is_broken(&self) -> bool {
        self.state.gate.lock().closed(self.clock()).is_some_and(|hold| hold.label == "breaker")
    }

    /// Parks the account; a call that was throttled once too often is handed back.
    fn throttled(&self, reason: String, pause: Pause, throttles: &mut u32) -> Result<(), ApiError> {
        *throttles += 1;
        self.park(&reason, pause);
        if *throttles > self.http.options.retries {
            return Err(ApiError::Wait { reason: self.label(&reason), pause: UNREMARKABLE });
        }
        Ok(())
    }

    /// The whole account pauses, in this process and the next.
    fn park(&self, reason: &str, pause: Pause) {
        let park = self.state.gate.lock().park(reason.to_owned(), pause, self.clock());
        let until = chrono::DateTime::from_timestamp_micros(park.until).map(|until| until.to_rfc3339());
        slog::warn!(
            self.http.logger,
            "{}: {}; nothing is sent until {}",
            self.state.api,
            park.reason,
            until.unwrap_or_default()
        );
        if let Err(error) = self.http.parks.park(&self.state.name, &park) {
            slog::warn!(self.http.logger, "the pause will not survive a restart: {error}"; "account" => &self.state.name);
        }
    }

    /// Exponential, with full jitter: a crowd of callers does not come back as a crowd.
    async fn back_off(&self, failures: u32, reason: &str, pulse: &Pulse) {
        let options = &self.http.options;
        let most = options.backoff_base.0.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(options.backoff_max.0);
        let pause = most.mul_f64(rand::rng().random_range(0.0..=1.0));
        let reason = format!("next try after {reason}");
        self.hold(&Hold { label: "backoff", reason, pause }, pulse).await;
    }

    /// Sleeps, declared as a wait if it is worth remarking.
    async fn hold(&self, hold: &Hold, pulse: &Pulse) {
        self.count_wait(hold.label, hold.pause);
        let until = now_micros().saturating_add(i64::try_from(hold.pause.as_micros()).unwrap_or(i64::MAX));
        let _waiting = (hold.pause >= UNREMARKABLE).then(|| pulse.waiting(self.label(&hold.reason), Some(until)));
        tokio::time::sleep(hold.pause).await;
    }

    /// Runs `work`; once it takes longer than unremarkable, the pulse says what is waited for. Its own time-outs bound it.
    async fn remark<T>(&self, pulse: &Pulse, what: &str, work: impl Future<Output = T>) -> T {
        let mut work = std::pin::pin!(work);
        if let Ok(done) = tokio::time::timeout(UNREMARKABLE, &mut work).await {
            return done;
        }
        let _waiting = pulse.waiting(self.label(&format!("waiting for {what}")), None);
        work.await
    }

    fn count_wait(&self, label: &str, pause: Duration) {
        self.http.metrics.api_wait.get_or_create(&ApiWaitLabel::new(self.state.api, label)).inc_by(pause.as_secs_f64());
    }

    fn label(&self, reason: &str) -> String {
        format!("{}: {reason}", self.state.api)
    }

    fn clock(&self) -> Clock {
        self.http.clock()
    }
}

/// The clock of the call logs began this long before the process: calls of its predecessor have a place on it.
const BEFORE: Duration = Duration::from_secs(3_600);

impl Inner {
    fn clock(&self) -> Clock {
        Clock { running: BEFORE + self.started.elapsed(), wall: now_micros() }
    }
}
