//! Progress bars, drawn where there is a terminal.

use indicatif::{ProgressBar, ProgressStyle};

/// A bar of this length.
pub(crate) fn bar(length: u64, message: &'static str) -> ProgressBar {
    let style = ProgressStyle::with_template("{wide_bar} {percent:>3} % {msg}");
    let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(length).with_style(style).with_message(message)
}
