//! Every failing call has the documented outcome.

use repl_harness::crash::matrix;

#[test]
fn every_failing_call_has_the_documented_outcome() {
    let report = matrix();
    assert!(report.failing.is_empty(), "{report}");
    assert!(report.cases > 500 && report.images > report.cases, "{report}");
    eprintln!("{report}");
}
