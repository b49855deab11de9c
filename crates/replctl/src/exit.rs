//! Exit statuses: what a script learns of a command.

use std::process::ExitCode;

/// The exit status of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Everything that the command checks is good.
    Good = 0,
    /// Something is damaged, and no older generation stands in for it; or it is older than the
    /// newest generation, which is whole.
    Damage = 1,
    /// The command line is wrong.
    Usage = 2,
    /// Not known: locked, unreadable, of another version or codec, or nothing is there.
    Unknown = 3,
    /// The newest generation is damaged, and an older one is whole.
    FallBack = 4,
    /// A safety rule refuses what was asked for.
    Refused = 5,
}

impl Exit {
    /// What it is called in JSON.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Exit::Good => "good",
            Exit::Damage => "damage",
            Exit::Usage => "usage",
            Exit::Unknown => "unknown",
            Exit::FallBack => "usable",
            Exit::Refused => "refused",
        }
    }
}

impl Exit {
    /// The same for people.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Exit::Unknown => "cannot tell",
            Exit::FallBack => "usable by falling back",
            exit => exit.name(),
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}
