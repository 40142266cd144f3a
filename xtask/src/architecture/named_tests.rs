//! Tests that a document names, as `file::test` between back ticks, so that what it promises cannot outlive them.

/// A test as a document names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedTest {
    /// Its file, from the root.
    pub file: String,
    /// The function.
    pub name: String,
}

/// Every test that the text names.
pub fn named_tests(text: &str) -> Vec<NamedTest> {
    // What stands between back ticks is every second part.
    let spans = text.split('`').skip(1).step_by(2);
    let named = spans.filter_map(|span| span.rsplit_once("::"));
    let in_a_file = named.filter(|(file, _)| file.ends_with(".rs"));
    in_a_file.map(|(file, name)| NamedTest { file: file.to_owned(), name: name.to_owned() }).collect()
}

/// Whether the source has a test of this name: a function of that name with an attribute or a macro of tests before it.
pub fn has_test(source: &str, name: &str) -> bool {
    const TESTS: [&str; 3] = ["#[test]", "#[tokio::test", "proptest!"];
    let declaration = format!("fn {name}(");
    let mut is_test = false;
    for line in source.lines().map(str::trim_start) {
        if TESTS.iter().any(|test| line.starts_with(test)) {
            is_test = true;
        } else if line.contains("fn ") {
            if line.contains(&declaration) {
                return is_test;
            }
            // The attribute belonged to this function.
            is_test = false;
        }
    }
    false
}
