//! Metrics, HTTP endpoint, dashboard, logs.
pub mod dashboard;
pub mod endpoint;
pub mod log;
pub mod metrics;
pub use metrics::Metrics;
