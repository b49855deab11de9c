//! Addresses of servers, where a path may stand.

use std::path::{Path, PathBuf};

/// Whether this is the address of a server, and not a path.
pub(crate) fn is_url(place: &Path) -> bool {
    place.to_str().is_some_and(|place| place.contains("://"))
}

/// The URL without what is before the host, and without parameters: each may hold a password.
pub(crate) fn without_password(url: &Path) -> PathBuf {
    let url = url.to_string_lossy();
    let (scheme, rest) = url.split_once("://").unwrap_or_default();
    let rest = rest.split('?').next().unwrap_or_default();
    let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    PathBuf::from(format!("{scheme}://{host}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_password_is_shown() {
        for (url, shown) in [
            ("postgres://ann:secret@db/engine", "postgres://db/engine"),
            ("postgres://ann:se@cret@db:5432/engine", "postgres://db:5432/engine"),
            ("postgresql://db/engine?user=ann&password=secret", "postgresql://db/engine"),
            ("s3://bucket/prefix", "s3://bucket/prefix"),
        ] {
            assert!(is_url(Path::new(url)));
            assert_eq!(without_password(Path::new(url)), PathBuf::from(shown));
        }
        assert!(!is_url(Path::new("/var/lib/engine")));
    }
}
