//! Runs the program, which the library of this package implements.

use std::process::ExitCode;

fn main() -> ExitCode {
    parallel_apply::main()
}
