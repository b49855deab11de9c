//! The program.

fn main() -> std::process::ExitCode {
    trials::main()
}
