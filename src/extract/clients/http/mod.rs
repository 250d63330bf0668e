//! The one HTTP client underneath all APIs.
//!
//! **Guarantee.** A call through an [`Account`] ends in an answer that its judge accepted, or in an [`ApiError`] that says what
//! the stage has to do: wait, record a miss, give the message up, or stop. No rolling window of the account ever holds more
//! calls than allowed, a pause that a server asked for is kept across restarts ([`ParkBook`]), no answer takes more memory
//! than its request allows, and no credential appears in an error, a log line, a metric or `Debug` output.
//!
//! Mechanism: [`Account::call`] passes the account's gates (park, breaker, concurrency, rolling windows), sends one attempt on
//! a runtime of its own ([`Http`] owns it: actors and their arbiters come and go, pooled connections stay), and asks the judge
//! what the answer means, by status *and* body: Deezer throttles with 200, Last.fm reports errors in 200s, Spotify's most
//! important 403 is plain text. Transient failures are tried again with exponential backoff and full jitter.

mod account;
mod answer;
mod breaker;
mod calls;
mod destination;
mod gate;
mod park;
mod request;
mod window;
mod wire;

pub use account::{Account, AccountSpec, Http};
pub use answer::{Answer, ApiError, Verdict, retry_after};
pub use destination::Hosts;
pub use park::ParkBook;
pub use request::{ApiRequest, Method};
pub use window::RateWindow;
