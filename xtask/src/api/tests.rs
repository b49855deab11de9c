use super::diff::diff;
use super::listing;
use crate::source::tests::planted;

const LIB: &str = "mod a; mod b; pub use a::{Kind, Store, Trait, f, MAX}; pub mod inner;";

const A: &str = "
    use std::fmt::{self, Debug};
    use std::io;
    use crate::b::Hidden;

    /// Docs.
    #[derive(Debug, Clone)]
    #[must_use = \"a reason\"]
    pub struct Store<D: Debug = u8> { pub path: std::path::PathBuf, disk: D, hidden: Hidden }
    pub enum Kind { A, B(u64), C { x: u8 } }
    pub trait Trait: Send {
        type Out; const N: u8;
        fn a(&self); fn b(&self) -> Self::Out { todo!() }
    }
    pub fn f(mut x: &[Kind], (y, _): (u8, u8)) -> io::Result<()> { loop {} }
    pub const MAX: u64 = 1 << 3;
    struct Private;
    impl<D: Debug> Store<D> {
        pub fn open(&self, kind: Kind) -> Result<D, io::Error> { loop {} }
        fn g() {}
    }
    impl fmt::Display for Kind {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { loop {} }
    }
    impl Trait for Kind { type Out = (); const N: u8 = 1; fn a(&self) {} }
    impl Private { pub fn unseen() {} }
";

const B: &str = "
    use crate::a::Store;
    pub(crate) struct Hidden;
    trait Sealed {}
    impl Sealed for Store {}
    impl Store { pub(crate) fn own(&self) {} }
    impl<D: std::fmt::Debug> Store<D> { pub fn close(self) {} }
    impl From<Hidden> for Store { fn from(_: Hidden) -> Store { loop {} } }
    impl From<Store> for u64 { fn from(_: Store) -> u64 { 0 } }
";

const INNER: &str = "
    use super::Kind;
    #[non_exhaustive] pub struct Pair(pub Kind, u8, pub u16);
    pub struct Opaque(u8);
    pub type Kinds = Vec<Kind>;
    impl Pair {
        pub const ZERO: Self = todo!();
        #[must_use] pub fn kinds(&mut self) -> Kinds { todo!() }
    }
";

fn listing(a: &str, b: &str, inner: &str) -> String {
    let files = [("lib.rs", LIB), ("a.rs", a), ("b.rs", b), ("inner.rs", inner)];
    listing::of(&planted(&files).unwrap()).unwrap()
}

/// The lines that go and those that come if this in `A` is replaced by that.
fn changed(this: &str, that: &str) -> (Vec<String>, Vec<String>) {
    assert!(A.contains(this) || B.contains(this), "{this}");
    let (before, after) =
        (listing(A, B, INNER), listing(&A.replace(this, that), &B.replace(this, that), INNER));
    let difference = diff(&before, &after);
    let marked = |mark: &str| {
        let lines = difference.lines().filter_map(|line| line.strip_prefix(mark));
        lines.map(|line| line.trim().to_owned()).collect()
    };
    (marked("-"), marked("+"))
}

const NONE: [&str; 0] = [];

#[test]
fn a_listing_holds_signatures_and_no_more() {
    let expected = "\
// The public surface of planted, without docs, bodies and auto traits.
// Written by `cargo xtask api --write`.

use std::fmt::Debug;
use std::fmt::Display;
use std::io;
use std::path::PathBuf;

pub enum Kind {
    A,
    B(u64),
    C { x: u8 },
}
impl Display for Kind;
impl Trait for Kind {
    type Out = ();
}

pub const MAX: u64;

#[must_use]
pub struct Store<D: Debug = u8> {
    pub path: PathBuf,
    ..
}
impl<D: Debug + Clone> Clone for Store<D>;
impl<D: Debug> Debug for Store<D>;
impl From<Store> for u64;
impl<D: Debug> Store<D> {
    pub fn close(self);
    pub fn open(&self, kind: Kind) -> Result<D, io::Error>;
}

pub trait Trait: Send {
    type Out;
    const N: u8;
    fn a(&self);
    fn b(&self) -> Self::Out { .. }
}

pub fn f(x: &[Kind], _: (u8, u8)) -> io::Result<()>;

pub mod inner {
    pub type Kinds = Vec<crate::Kind>;

    pub struct Opaque { .. }

    #[non_exhaustive]
    pub struct Pair(pub crate::Kind, _, pub u16);
    impl Pair {
        pub const ZERO: Self;
        #[must_use]
        pub fn kinds(&mut self) -> Kinds;
    }
}
";
    let found = listing(A, B, INNER);
    assert_eq!(found, expected, "{found}");
}

#[test]
fn a_changed_signature_changes_the_listing() {
    let (gone, new) =
        changed("kind: Kind) -> Result<D, io::Error>", "kind: &Kind) -> Result<D, u8>");
    assert_eq!(gone, ["pub fn open(&self, kind: Kind) -> Result<D, io::Error>;"]);
    assert_eq!(new, ["pub fn open(&self, kind: &Kind) -> Result<D, u8>;"]);
    // The same words that name another type.
    let (gone, new) = changed("use std::io;", "use x::io;");
    assert_eq!((gone, new), (vec!["use std::io;".to_owned()], vec!["use x::io;".to_owned()]));
}

#[test]
fn a_public_method_in_another_block_or_file_changes_the_listing() {
    let (gone, new) = changed("pub fn close(self) {}", "pub fn close(self) {} pub fn d(&self) {}");
    assert_eq!((gone.len(), new), (0, vec!["pub fn d(&self);".to_owned()]));
    let (gone, new) = changed("pub(crate) fn own(&self) {}", "pub fn own(&self) {}");
    assert_eq!(gone, NONE);
    assert_eq!(new, ["impl Store {", "pub fn own(&self);", "}"]);
}

#[test]
fn a_derive_an_impl_and_its_types_change_the_listing() {
    let (gone, new) = changed("#[derive(Debug, Clone)]", "#[derive(Debug)]");
    assert_eq!(gone, ["impl<D: Debug + Clone> Clone for Store<D>;"]);
    assert_eq!(new, NONE);
    let (gone, new) = changed("type Out = ();", "type Out = u8;");
    assert_eq!((gone.join(""), new.join("")), ("type Out = ();".into(), "type Out = u8;".into()));
    let (_, new) = changed("#[derive(Debug, Clone)]", "#[cfg_attr(feature = \"x\", derive(Hash))]");
    assert_eq!(new[1..], ["#[cfg(feature = \"x\")]", "impl<D: Debug + Hash> Hash for Store<D>;"]);
}

#[test]
fn fields_and_variants_change_the_listing() {
    let (gone, new) = changed("disk: D", "pub disk: D");
    assert_eq!((gone.len(), new), (0, vec!["pub disk: D,".to_owned()]));
    let (gone, new) = changed("B(u64)", "B(u32)");
    assert_eq!((gone, new), (vec!["B(u64),".to_owned()], vec!["B(u32),".to_owned()]));
    let (_, new) = changed("pub enum Kind", "#[non_exhaustive] pub enum Kind");
    assert_eq!(new, ["#[non_exhaustive]"]);
}

#[test]
fn a_required_method_is_told_from_one_with_a_body() {
    let (gone, new) = changed("fn b(&self) -> Self::Out { todo!() }", "fn b(&self) -> Self::Out;");
    assert_eq!(gone, ["fn b(&self) -> Self::Out { .. }"]);
    assert_eq!(new, ["fn b(&self) -> Self::Out;"]);
}

#[test]
fn what_is_private_does_not_change_the_listing() {
    let private = [
        ("hidden: Hidden", "hidden: u8, more: u16"),
        ("fn g() {}", "fn g(x: u8) {}"),
        ("struct Private;", "struct Private { pub x: u8 }"),
        ("pub fn unseen()", "pub fn unseen(x: u8)"),
        ("pub(crate) fn own(&self) {}", ""),
        ("impl Sealed for Store {}", ""),
        ("impl From<Hidden> for Store", "impl From<Vec<Hidden>> for Store"),
        ("1 << 3", "1 << 4"),
        ("/// Docs.", ""),
        ("todo!()", "panic!()"),
        ("mut x", "x"),
    ];
    for (this, that) in private {
        let (gone, new) = changed(this, that);
        assert!(gone.is_empty() && new.is_empty(), "{this}: {gone:?} {new:?}");
    }
}

#[test]
fn names_that_two_types_share_are_told_apart() {
    let lib = "use std::{fmt, io}; use core::fmt::Write; pub struct Debug;
               pub fn f(a: &io::Error, b: fmt::Error, c: &dyn Write, d: &dyn fmt::Debug, e: &Debug,
               f: std::option::Option<u8>, g: <Vec<u8> as std::ops::Deref>::Target) {}";
    let found = listing::of(&planted(&[("lib.rs", lib)]).unwrap()).unwrap();
    let (_, found) = found.split_once("\n\n").unwrap();
    let expected = "\
use std::fmt::Write;
use std::fmt;
use std::io;
use std::ops::Deref;

pub struct Debug;

pub fn f(
    a: &io::Error,
    b: fmt::Error,
    c: &dyn Write,
    d: &dyn fmt::Debug,
    e: &Debug,
    f: Option<u8>,
    g: <Vec<u8> as Deref>::Target,
);
";
    assert_eq!(found, expected, "{found}");
}
