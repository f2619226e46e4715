//! `--report FILE.md` as GitHub renders it: with its own fork of cmark, and then in a browser.

use crate::world::browser;
use crate::world::command::{clean, run_with_input};
use crate::world::site::{ALWAYS, EXACT, World, denied};
use crate::world::tools;

/// Names that would be something else in Markdown or HTML.
const NAMES: [&str; 8] = [
    "<img src=x onerror=document.title='taken'>.html",
    "[a link](https:evil.example) | ![x](x.png).html",
    "`code` **bold** _it_ ~~no~~ | | .html",
    "@octocat #1 :tada: www.evil.example.html",
    "</code></td></table></details><h1>taken<h1>.html",
    "&lt;b&gt; &#64; \\| \\`.html",
    "- [ ] task.html",
    "# heading.html",
];

/// Renders as GitHub does, before it removes what is not allowed: `None` if its renderer is missing.
fn rendered(markdown: &str) -> Option<String> {
    const RENDER: &str = "import sys, cmarkgfm\nfrom cmarkgfm.cmark import Options\n\
        sys.stdout.write(cmarkgfm.github_flavored_markdown_to_html(sys.stdin.read(), Options.CMARK_OPT_UNSAFE))";
    if !tools::has("python3") {
        return None;
    }
    let mut python = clean("python3");
    python.env("PYTHONIOENCODING", "utf-8").args(["-c", RENDER]);
    let run = run_with_input(&mut python, markdown);
    if run.stderr.contains("No module named 'cmarkgfm'") {
        tools::skipped("there is no cmarkgfm, GitHub's renderer, for python3");
        return None;
    }
    Some(run.ended_with(0).stdout)
}

/// A browser's document for it.
fn in_browser(world: &World, html: &str) -> Option<String> {
    let page = world.outside().join("page.html");
    std::fs::write(&page, format!("<!doctype html><meta charset=utf-8><title>kept</title>{html}")).unwrap();
    browser::document(&format!("file://{}", page.display()), 500)
}

/// Text as a browser writes it.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_summary_shows_every_name_as_it_is_and_takes_none_for_markup() {
    let world = World::deployed(&[("index.html", "welcome")]).await;
    for name in NAMES {
        world.write(name, "hostile");
    }
    let path = world.outside().join("summary.md");
    world.deploy(&[&EXACT[..], &["--report", path.to_str().unwrap()]].concat()).expect(0);
    let markdown = std::fs::read_to_string(&path).unwrap();
    assert!(markdown.starts_with("## Deployed\n"), "{markdown}");
    let Some(html) = rendered(&markdown) else { return };
    assert!(html.contains("<h2>Deployed</h2>") && html.contains("<th align=\"right\">uploaded</th>"), "{html}");
    let Some(document) = in_browser(&world, &html) else { return };
    assert!(document.contains("<title>kept</title>"), "{document}");
    for element in ["<img", "<h1", "<b>", "<strong", "<em", "<del", "<input", "<li"] {
        assert!(!document.contains(element), "{element} in {document}");
    }
    assert_eq!(document.matches("<a ").count(), 1, "the site alone is a link: {document}");
    for name in NAMES {
        // A slash in a name is a folder of the source.
        assert!(document.contains(&format!("<td><code>{}</code></td>", escaped(name))), "{name} in {document}");
    }
    assert!(document.contains("<summary>8 changes</summary>"), "{document}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_summary_of_a_deploy_that_fails_has_its_errors_as_the_log_has_them() {
    let world = World::deployed(&[("index.html", "welcome")]).await;
    world.write(NAMES[0], "hostile");
    world.write("index.html", "an edit");
    world.fault_of("PutObject", NAMES[0], 0, ALWAYS, denied());
    let path = world.outside().join("summary.md");
    world.deploy(&["--report", path.to_str().unwrap(), "--keep-going"]);
    let markdown = std::fs::read_to_string(&path).unwrap();
    let Some(html) = rendered(&markdown) else { return };
    let Some(document) = in_browser(&world, &html) else { return };
    assert!(document.contains("<title>kept</title>") && !document.contains("<img"), "{document}");
    assert!(
        document.contains("<pre>error: not allowed: PutObject on s3://www.example.com/&lt;img src=x"),
        "{document}"
    );
    assert!(document.contains("\nhint: ") && document.contains(", failed</td>"), "{document}");

    world.deploy(&["--report", path.to_str().unwrap(), "--no-such-thing"]).expect(2);
    let gone = world.outside().join("gone");
    let refused =
        world.run(&["deploy", gone.to_str().unwrap(), "s3://www.example.com", "--report", path.to_str().unwrap()]);
    assert_ne!(refused.exit, 0);
    let markdown = std::fs::read_to_string(&path).unwrap();
    assert!(markdown.starts_with("## Nothing was changed\n\n<p><code>"), "{markdown}");
}
