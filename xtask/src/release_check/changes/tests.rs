use super::*;

const OLD: &str = "\
use std::io;

pub enum Kind {
    A,
    B { x: u8 },
}
impl Clone for Kind;
impl Kind {
    pub fn f(self, x: u8) -> u8;
}

#[cfg(feature = \"x\")]
#[non_exhaustive]
pub enum Open {
    A,
}

pub struct Plain {
    pub x: u8,
}

pub struct Hidden {
    pub x: u8,
    ..
}

pub trait Trait {
    fn a(&self);
}

pub mod inner {
    pub fn g(
        x: u8,
        y: u8,
    ) -> io::Result<()>;
}
";

/// What is found if `this` in the listing is replaced by `that`.
fn changed(this: &str, that: &str) -> Changes {
    assert!(OLD.contains(this), "{this}");
    let mut changes = Changes::default();
    changes.compare("a", OLD, &OLD.replace(this, that));
    changes
}

#[test]
fn what_is_gone_or_changed_is_breaking() {
    for (this, that, gone) in [
        ("    pub fn f(self, x: u8) -> u8;\n", "", "impl Kind { pub fn f(self, x: u8) -> u8;"),
        ("x: u8) -> u8", "x: u16) -> u8", "impl Kind { pub fn f(self, x: u8) -> u8;"),
        ("impl Clone for Kind;\n", "", "impl Clone for Kind;"),
        ("B { x: u8 }", "B { x: u16 }", "pub enum Kind { B { x: u8 },"),
        ("use std::io;", "use x::io;", "use std::io;"),
        (
            "x: u8,\n        y: u8,",
            "y: u8,\n        x: u8,",
            "pub mod inner { pub fn g( x: u8, y: u8, ) -> io::Result<()>;",
        ),
        ("pub trait Trait {", "pub trait Trait: Send {", "pub trait Trait {"),
    ] {
        let changes = changed(this, that);
        assert_eq!(changes.breaking[0], format!("a: - {gone}"), "{this}");
        assert_eq!(changes.kind(), Kind::Breaking);
    }
}

#[test]
fn what_a_dependent_need_not_know_is_an_addition() {
    for (this, that) in [
        ("impl Clone for Kind;\n", "impl Clone for Kind;\nimpl Copy for Kind;\n"),
        ("impl Kind {", "impl Kind {\n    pub fn new() -> Self;"),
        ("pub enum Open {\n", "pub enum Open {\n    B,\n"),
        ("    pub x: u8,\n    ..", "    pub x: u8,\n    pub y: u8,\n    .."),
        ("fn a(&self);", "fn a(&self);\n    fn b(&self) { .. }"),
        ("pub mod inner {", "pub mod inner {\n    pub struct New {\n        pub x: u8,\n    }"),
    ] {
        let changes = changed(this, that);
        assert_eq!(changes.additions.len(), 1, "{this}: {changes:?}");
        assert_eq!(changes.kind(), Kind::Addition, "{this}: {changes:?}");
    }
}

#[test]
fn what_a_dependent_must_know_is_breaking_though_nothing_is_gone() {
    for (this, that) in [
        ("pub enum Kind {\n", "pub enum Kind {\n    C,\n"),
        ("pub struct Plain {\n", "pub struct Plain {\n    pub y: u8,\n"),
        ("pub struct Plain {\n", "pub struct Plain {\n    ..\n"),
        ("fn a(&self);", "fn a(&self);\n    fn b(&self);"),
    ] {
        let changes = changed(this, that);
        assert_eq!((changes.breaking.len(), changes.additions.len()), (1, 0), "{this}");
        assert!(changes.breaking[0].starts_with("a: + "), "{changes:?}");
    }
}

#[test]
fn order_must_use_and_comments_change_nothing() {
    for (this, that) in [
        ("pub trait Trait", "// Words.\n#[must_use]\npub trait Trait"),
        ("    A,\n    B { x: u8 },\n", "    B { x: u8 },\n    A,\n"),
    ] {
        assert_eq!(changed(this, that).kind(), Kind::None, "{this}");
    }
}
