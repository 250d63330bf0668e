//! Metrics, HTTP endpoint, dashboard, logs.
pub mod log;
pub mod metrics;
pub use metrics::Metrics;
