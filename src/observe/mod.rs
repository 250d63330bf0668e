//! Metrics, HTTP endpoint, dashboard, logs.
pub mod metrics;
pub use metrics::Metrics;
