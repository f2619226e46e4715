//! Rules as they are shown: by `plan`, by `rules`, by `doctor`; and the template that `rules --attach` prints.

use super::{PUBLISH, function, publish, world, writes};
use crate::world::command::{clean, run};
use crate::world::site::{BUCKET, TARGET, World};
use crate::world::tools;

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_shows_lines_that_are_new_changed_gone_and_without_effect() {
    let world = world(&[("about/index.html", "about"), ("index.html", "one")]).await;
    world.write("_redirects", "/a /b\n/c /d\n/e /f\n");
    world.write("_headers", "/*\n  X-A: secret-of-a\n");
    publish(&world).expect(0);
    world.write("_redirects", "/a /b\n/c /x\n/about/ /y\n/g/* /h/:splat\n/g/1 /z\n");
    world.write("_headers", "/*\n  X-A: another\n");
    world.edge.clear_requests();
    let plan = world.plan(&PUBLISH).expect(0);
    assert_eq!(writes(&world), [""; 0]);
    let rules = plan.json["rules"].as_array().unwrap();
    let lines = |at: usize| {
        let lines = rules[at]["lines"].as_array().unwrap().iter();
        let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        lines.map(|line| (text(&line["rule"]), text(&line["change"]))).collect::<Vec<_>>()
    };
    let owned =
        |lines: &[(&str, &str)]| lines.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect::<Vec<_>>();
    let expected = [
        ("/c /x", "changed"),
        ("/about/ /y", "new"),
        ("/g/* /h/:splat", "new"),
        ("/g/1 /z", "new"),
        ("/e /f", "gone"),
        ("/about/ /y", "no-effect"),
        ("/g/1 /z", "no-effect"),
    ];
    assert_eq!((rules[0]["change"].as_str(), lines(0)), (Some("changed"), owned(&expected)));
    assert_eq!(lines(1), owned(&[("/* x-a", "changed")]));
    let text = world.run(&["plan", world.source().to_str().unwrap(), TARGET, "--publish-rules"]).expect(0).stdout;
    for line in [
        "rules (viewer-request, function site-request): changed",
        "  ~ /c /x  changed",
        "  - /e /f  gone",
        "    /about/ /y  no effect: /about is the file about/index.html, which comes first",
        "    /g/1 /z  no effect: ",
        "  ~ /* x-a  changed",
    ] {
        assert!(text.contains(line), "{line:?} is not in {text}");
    }
    assert!(!text.contains("another"), "{text}");
    world
        .run(&["plan", world.source().to_str().unwrap(), TARGET, "--publish-rules", "--detailed-exit-code"])
        .expect(10);
    publish(&world).expect(0);
    let plan = world.plan(&PUBLISH).expect(0);
    assert_eq!(plan.json["rules"][0]["change"], "unchanged");
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_shows_what_is_live_and_what_is_not() {
    let world = world(&[("index.html", "one")]).await;
    let shown = || world.run(&["rules", TARGET]).expect(0).stdout;
    world.run(&["deploy", world.source().to_str().unwrap(), TARGET]).expect(0);
    assert!(shown().contains("no deploy has published rules"), "{}", shown());
    world.write("_redirects", "/old   /index.html\n");
    publish(&world).expect(0);
    let text = shown();
    for line in ["viewer-request: site-request, live", "viewer-response: site-response, live", "  /old /index.html"] {
        assert!(text.contains(line), "{line:?} is not in {text}");
    }
    let comment = format!("shipfront s3://{BUCKET}");
    world.edge.put_function(&function("site-request", &comment, "request")).unwrap();
    assert!(shown().contains("site-request, has other code"), "{}", shown());
    world.edge.put_function(&function("site-request", "mine", "request")).unwrap();
    assert!(shown().contains("site-request, not shipfront's"), "{}", shown());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_says_whether_the_functions_are_attached() {
    let world = World::deployed(&[("index.html", "one")]).await;
    let seen = |world: &World| {
        let run = world.run(&["doctor", TARGET, "--publish-rules", "--verbose"]);
        run.stdout.lines().filter(|line| line.contains("rules (")).map(str::to_owned).collect::<Vec<_>>()
    };
    let missing = seen(&world);
    assert!(
        missing.len() == 2 && missing[0].starts_with('!') && missing[0].contains("no function is attached"),
        "{missing:?}"
    );
    let world = super::world(&[("index.html", "one")]).await;
    publish(&world).expect(0);
    let right = seen(&world);
    assert!(right.len() == 2 && right.iter().all(|line| line.starts_with('✓')), "{right:?}");
    world.edge.put_function(&function("site-request", "mine", "request")).unwrap();
    assert!(seen(&world)[0].starts_with('✗'), "{:?}", seen(&world));
    let quiet = world.run(&["doctor", TARGET, "--verbose"]).stdout;
    assert!(quiet.contains("site-request is attached, but publish-rules is off"), "{quiet}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_template_that_attach_prints_passes_cfn_lint() {
    let world = World::new(&[]).await;
    let text = world.run(&["rules", "--attach=cloudformation", TARGET]).expect(0).stdout;
    assert!(text.contains(&format!("Comment: \"shipfront s3://{BUCKET}\"")), "{text}");
    if !tools::has("cfn-lint") {
        return;
    }
    let template = world.outside().join("rules.yaml");
    std::fs::write(&template, text).unwrap();
    let ended = run(clean("cfn-lint").arg(&template));
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
}

/// Only the function knows that the redirect from `/dir` to `/dir/` makes a line endless.
#[tokio::test(flavor = "multi_thread")]
async fn a_line_that_leads_round_in_a_circle_is_shown_as_one_without_effect() {
    let world = world(&[("index.html", "one")]).await;
    world.write("_redirects", "/* /all 302\n");
    let plan = world.plan(&super::PUBLISH).expect(0);
    let line = &plan.json["rules"][0]["lines"][1];
    assert_eq!(line["change"], "no-effect", "{}", plan.stdout);
    assert!(line["reason"].as_str().unwrap().contains("redirects in a loop"), "{line}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_that_cannot_be_done_is_called_so_in_the_plan_and_among_the_live_rules() {
    let world = world(&[("index.html", "one")]).await;
    world.write("_redirects", "/x /y 404\n/old /index.html\n");
    let plan = world.run(&["plan", world.source().to_str().unwrap(), TARGET, "--publish-rules"]).expect(0).stdout;
    assert!(plan.contains("  ! /x /y 404  not done: /x answers with status 404\n"), "{plan}");
    assert!(plan.contains("  + /old /index.html  new\n") && !plan.contains("+ /x"), "{plan}");
    publish(&world).expect(0);
    let shown = world.run(&["rules", TARGET]).expect(0).stdout;
    assert!(shown.contains("! /x /y 404  not done: /x answers with status 404\n  /old /index.html\n"), "{shown}");
    let json = world.run(&["rules", TARGET, "--json"]).expect(0).json;
    assert_eq!((json["not_done"].as_array().unwrap().len(), &json["redirects"][0]), (1, &"/x /y 404".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_any_rules_none_is_said_to_be_live() {
    let world = world(&[("index.html", "one")]).await;
    publish(&world).expect(0);
    let shown = world.run(&["rules", TARGET]).expect(0).stdout;
    assert!(shown.starts_with(&format!("no redirect or header rules of {TARGET}")), "{shown}");
    assert!(shown.contains("site-request, live, without rules"), "{shown}");
}
