//! Parses arguments and hands over to the commands.

use std::process::ExitCode;

fn main() -> ExitCode {
    reprise::cli::main()
}
