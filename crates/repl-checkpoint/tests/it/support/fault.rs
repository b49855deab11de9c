//! Which call of a disk fails, and how.

/// Which calls fail, and how.
#[derive(Debug, Clone)]
pub(crate) struct Fault {
    /// Only calls whose record starts with this count.
    pub(crate) on: &'static str,
    /// The number of them that still succeed.
    pub(crate) after: usize,
    /// The number of them that fail after that.
    pub(crate) times: usize,
    pub(crate) how: How,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum How {
    /// The call does nothing and fails with this number.
    Errno(i32),
    /// The call is done and fails, as on a network disk that loses the answer.
    DoneBut(i32),
    /// A write takes this many bytes.
    Short(usize),
}
