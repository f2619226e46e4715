//! The functions that a deploy publishes to: shipfront's own for the target, and no others.

use super::{FUNCTIONS, PUBLISH, attach, function, leads, live, publish, world, writes};
use crate::world::site::{ALWAYS, BUCKET, World, denied};

#[tokio::test(flavor = "multi_thread")]
async fn a_function_of_somebody_else_or_of_another_target_is_refused_where_there_are_rules_for_it() {
    let world = world(&[("index.html", "one")]).await;
    world.write("_redirects", "/old /index.html\n");
    for comment in ["directory indexes", "shipfront s3://www.example.com/docs", "shipfront s3://www.example.org", ""] {
        world.edge.put_function(&function("site-request", comment, "request")).unwrap();
        let code = live(&world.edge, "site-request");
        world.edge.clear_requests();
        let run = publish(&world).expect(6);
        assert!(run.stderr.contains("the function site-request"), "{}", run.stderr);
        assert!(run.stderr.contains(&format!("the comment \"shipfront s3://{BUCKET}\"")), "{}", run.stderr);
        assert_eq!((writes(&world), live(&world.edge, "site-request")), (vec![], code));
        world.plan(&PUBLISH).expect(6);
    }
    // Without lines for it, a deploy ignores it.
    world.remove("_redirects");
    let code = live(&world.edge, "site-request");
    publish(&world).expect(0);
    assert_eq!(live(&world.edge, "site-request"), code);
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_that_no_function_serves_are_one_sentence_and_none_where_one_does() {
    let world = World::new(&[("index.html", "one")]).await;
    world.close_the_record().await;
    world.write("_redirects", "/a /b\n/c /d\n/e /f\n/g /h\n");
    world.write("_headers", "/*\n  X-A: b\n");
    let sentence = |options: &[&str]| world.deploy(options).expect(0).warnings();
    let none = "4 redirects and 1 header are not active; 'shipfront rules --attach' shows what to do\n";
    assert_eq!((sentence(&[]).as_str(), sentence(&["--publish-rules"]).as_str()), (none, none));
    attach(&world.edge, BUCKET, &world.distribution);
    let attached = "4 redirects and 1 header are not published by this deploy; add 'publish-rules = true' to shipfront.toml, \
                    or pass --publish-rules\n";
    assert_eq!(sentence(&[]), attached);
    assert_eq!(sentence(&["--publish-rules"]), "");
    world.remove("_headers");
    let mut changed = world.edge.distribution(&world.distribution).unwrap();
    changed.default_behavior.functions.retain(|function| function.event_type == "viewer-response");
    world.edge.put_distribution(changed).unwrap();
    assert_eq!(
        sentence(&["--publish-rules"]),
        "4 redirects are not active; 'shipfront rules --attach' shows what to do\n"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_configuration_cannot_be_read_nothing_is_published() {
    let world = world(&[("index.html", "one")]).await;
    world.fault("GetDistributionConfig", 0, ALWAYS, denied());
    let run = world.deploy(&["--publish-rules", "--distribution", &world.distribution]).expect(6);
    assert!(run.stderr.contains("and so its functions"), "{}", run.stderr);
    assert_eq!(writes(&world), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_record_no_rules_are_published() {
    let world = world(&[("index.html", "one")]).await;
    world.deploy(&["--publish-rules", "--no-record"]).expect(2).says("--publish-rules cannot be used with --no-record");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_attach_prints_makes_rules_live() {
    let world = World::new(&[("index.html", "one")]).await;
    world.write("_redirects", "/old /index.html\n");
    let run = world.run(&["rules", "--attach", &format!("s3://{BUCKET}"), "--json"]).expect(0);
    assert_eq!(run.json["behaviors"][0]["path_pattern"], "*");
    let comment = run.json["comment"].as_str().unwrap().to_owned();
    let mut changed = world.edge.distribution(&world.distribution).unwrap();
    for (pair, returned) in run.json["functions"].as_array().unwrap().iter().zip(["request", "response"]) {
        let (event, name) = (pair[0].as_str().unwrap(), pair[1].as_str().unwrap());
        world.edge.put_function(&function(name, &comment, returned)).unwrap();
        changed = changed.with_function(event, name);
    }
    world.edge.put_distribution(changed).unwrap();
    publish(&world).expect(0);
    assert_eq!(leads(&world, "/old").await.0, 301);
    let text = world.run(&["rules", "--attach", &format!("s3://{BUCKET}")]).expect(0).stdout;
    for (event, _) in FUNCTIONS {
        assert!(text.contains(&format!("> {event}.js")), "{text}");
    }
    assert!(text.contains("publish-rules = true") && text.contains("shipfront policy"), "{text}");
    assert_eq!(world.count("UpdateDistribution"), 0);
}

/// Two behaviors of a site may have functions of their own.
#[tokio::test(flavor = "multi_thread")]
async fn each_function_of_the_sites_behaviors_gets_the_rules() {
    let world = world(&[("index.html", "one")]).await;
    let comment = format!("shipfront s3://{BUCKET}");
    world.edge.put_function(&function("blog-request", &comment, "request")).unwrap();
    let mut changed = world.edge.distribution(&world.distribution).unwrap();
    let mut blog = changed.default_behavior.clone();
    blog.path_pattern = "/blog/*".to_owned();
    blog.functions[0].arn = blog.functions[0].arn.replace("site-request", "blog-request");
    changed.behaviors.push(blog);
    world.edge.put_distribution(changed).unwrap();
    world.write("_redirects", "/blog/old /index.html\n");
    publish(&world).expect(0);
    assert_eq!(live(&world.edge, "blog-request"), live(&world.edge, "site-request"));
    assert_eq!(leads(&world, "/blog/old").await.0, 301);
}
