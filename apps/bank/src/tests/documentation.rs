//! What a browser is given at `/docs`: a page that needs nothing from elsewhere, under a policy that allows all it does.

use super::bank::{Answer, Bank};

/// The values of an attribute of a page.
fn values<'a>(page: &'a str, attribute: &str) -> Vec<&'a str> {
    let begin = format!("{attribute}=\"");
    page.split(begin.as_str())
        .skip(1)
        .filter_map(|rest| rest.split_once('"'))
        .map(|(value, _)| value)
        .collect()
}

/// What a directive of the page's policy allows; without one of its own, what is allowed by default.
fn allowed<'a>(page: &'a Answer, directive: &str) -> Vec<&'a str> {
    let policy = page.header("content-security-policy").unwrap();
    let sources = |name: &str| {
        let mut directives = policy.split(';').map(|directive| directive.split_whitespace());
        directives.find_map(|mut words| (words.next() == Some(name)).then(|| words.collect::<Vec<_>>()))
    };
    sources(directive).or_else(|| sources("default-src")).unwrap()
}

#[tokio::test]
async fn the_documentation_works_in_a_browser_without_a_network() {
    let bank = Bank::open().await;
    let moved = bank.get("/docs").send().await.must_be(303);
    assert_eq!(moved.header("location"), Some("/docs/"));
    let page = bank.get("/docs/").send().await.must_be(200);
    assert_eq!(page.media_type(), Some("text/html"));

    // Everything it loads is the bank's own, and of the kind that the browser was told (`nosniff`).
    for (attribute, directive, media_types) in [
        ("src", "script-src", &["text/javascript", "application/javascript"][..]),
        ("href", "style-src", &["text/css", "image/png"]),
    ] {
        assert!(allowed(&page, directive).contains(&"'self'"), "{directive}");
        let assets = values(page.text(), attribute);
        assert!(!assets.is_empty(), "the page has no {attribute}");
        for asset in assets {
            assert!(!asset.contains("//"), "{asset} is elsewhere");
            let asset =
                bank.get(format!("/docs/{}", asset.trim_start_matches("./"))).send().await.must_be(200);
            assert!(
                media_types.contains(&asset.media_type().unwrap()),
                "{}: {:?}",
                asset.asked,
                asset.headers
            );
            assert!(!asset.body.is_empty(), "{}", asset.asked);
        }
    }
    // No script is written into the page, so the policy need not allow any; styles and pictures are.
    for (index, _) in page.text().match_indices("<script") {
        let script = page.text()[index..].split_once("</script>").unwrap().0;
        let (tag, inside) = script.split_once('>').unwrap();
        assert!(tag.contains("src=") && inside.trim().is_empty(), "{script}");
    }
    assert!(!allowed(&page, "script-src").iter().any(|source| source.contains("unsafe")));
    assert!(allowed(&page, "style-src").contains(&"'unsafe-inline'"));
    assert!(allowed(&page, "img-src").contains(&"data:"));
    // The page asks the bank itself for the document, and lets people try the operations.
    assert!(allowed(&page, "connect-src").contains(&"'self'"));
    bank.close().await;
}

#[tokio::test]
async fn the_documentation_shows_the_document_and_tells_nobody() {
    let bank = Bank::open().await;
    let settings = bank.get("/docs/swagger-initializer.js").send().await.must_be(200);
    assert!(settings.text().contains(r#""url": "/openapi.json""#), "{}", settings.text());
    // By default it would send the document's address to a validator on the internet.
    assert!(settings.text().contains(r#""validatorUrl": "none""#), "{}", settings.text());
    assert_eq!(bank.get("/docs/nowhere.js").send().await.problem(404), "NOT_FOUND");
    let document = bank.get("/openapi.json").send().await.must_be(200);
    assert_eq!(document.media_type(), Some("application/json"));
    bank.close().await;
}
