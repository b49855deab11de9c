//! Every call that fails comes to what the table says.

use repl_harness::crash::matrix;

#[test]
fn every_call_that_fails_comes_to_what_the_table_says() {
    let report = matrix();
    assert!(report.failing.is_empty(), "{report}");
    assert!(report.cases > 500 && report.images > report.cases, "{report}");
    eprintln!("{report}");
}
