//! The program; the library of this package explains and does it.

use std::process::ExitCode;

fn main() -> ExitCode {
    parallel_apply::main()
}
