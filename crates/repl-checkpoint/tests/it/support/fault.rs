//! Which call of a disk fails, and how.

/// Which calls fail, and how.
#[derive(Debug, Clone)]
pub(crate) struct Fault {
    /// Only calls whose record starts like this count.
    pub(crate) on: &'static str,
    /// How many of them still succeed.
    pub(crate) after: usize,
    /// How many fail from there on.
    pub(crate) times: usize,
    pub(crate) how: How,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum How {
    /// Nothing is done.
    Errno(i32),
    /// It is done all the same, as on a network disk that loses the answer.
    DoneBut(i32),
    /// A write takes this many bytes.
    Short(usize),
}
