//! Versions, and which of them a change of the public interface needs.

use std::fmt::{self, Display};

use super::changes::Kind;

/// A version, without what follows its three numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version {
    pub(super) major: u64,
    pub(super) minor: u64,
    pub(super) patch: u64,
}

impl Version {
    /// Parses `1.2.3`, with or without a suffix such as `-rc.1`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let numbers = text.split(['-', '+']).next()?;
        let mut numbers = numbers.split('.').map(|number| number.parse().ok());
        let version =
            Self { major: numbers.next()??, minor: numbers.next()??, patch: numbers.next()?? };
        numbers.next().is_none().then_some(version)
    }

    /// Returns the first version after this one that cargo takes for a change of this kind. Below
    /// 1.0, the first number that is not 0 counts as the major one.
    pub(super) fn after(self, kind: Kind) -> Self {
        let Self { major, minor, patch } = self;
        match (kind, major, minor) {
            (Kind::None, ..) => self,
            (Kind::Breaking, 1.., _) => Self { major: major + 1, minor: 0, patch: 0 },
            (Kind::Breaking, 0, 1..) | (Kind::Addition, 1.., _) => {
                Self { major, minor: minor + 1, patch: 0 }
            }
            (Kind::Breaking, 0, 0) | (Kind::Addition, 0, _) => {
                Self { major, minor, patch: patch + 1 }
            }
        }
    }
}

impl Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_breaking_change_needs_the_next_version_that_cargo_never_takes_by_itself() {
        let after = |version: &str, kind| Version::parse(version).unwrap().after(kind).to_string();
        for (version, breaking, addition) in [
            ("1.2.3", "2.0.0", "1.3.0"),
            ("0.2.3", "0.3.0", "0.2.4"),
            ("0.0.3", "0.0.4", "0.0.4"),
            ("0.2.3-rc.1", "0.3.0", "0.2.4"),
        ] {
            assert_eq!(after(version, Kind::Breaking), breaking);
            assert_eq!(after(version, Kind::Addition), addition);
            assert_eq!(after(version, Kind::None), version.split('-').next().unwrap());
        }
    }

    #[test]
    fn other_text_is_no_version() {
        for text in ["", "1", "1.2", "1.2.x", "1.2.3.4", "v1.2.3"] {
            assert_eq!(Version::parse(text), None, "{text}");
        }
    }
}
