//! What the store promises, on SQLite always and on PostgreSQL where `REPRISE_TEST_POSTGRES=postgres://...` is set (each test
//! there makes a schema of its own and drops it).

mod changes;
mod convergence;
mod errors;
mod export;
mod fencing;
mod operator;
mod place;
mod quiet;
mod races;
mod scan;
