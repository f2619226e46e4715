//! One bucket behind several origins, as folders, as a website and as a fallback.

use super::audience::{audience, configure, items};
use crate::world::site::World;
use shipfront_edge::{CacheBehavior, Origin, OriginGroup, OriginKind};

fn origin(id: &str, path: &str, kind: OriginKind) -> Origin {
    let host = if kind == OriginKind::Website { "s3-website-us-east-1" } else { "s3.us-east-1" };
    let domain_name = format!("www.example.com.{host}.amazonaws.com");
    Origin { id: id.to_owned(), domain_name, origin_path: path.to_owned(), kind }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_website_endpoint_answers_for_directories_and_redirects_to_them() {
    const SITE: [&str; 5] = ["404.html", "docs/guide/index.html", "docs/index.html", "index.html", "page.html"];
    let world = World::new(&SITE.map(|key| (key, key))).await;
    configure(&world, |distribution| {
        distribution.origins[0] = origin(&distribution.origins[0].id, "", OriginKind::Website);
        distribution.default_root_object = String::new();
        distribution.error_responses[0].error_caching_min_ttl = 300;
    });
    world.deploy(&[]).expect(0);
    let touched = ["docs/guide/index.html", "index.html", "news/index.html"];
    let mut everybody = audience(&world).of(&SITE).touching(&touched);
    everybody.fill().await;
    assert_eq!(everybody.see("/docs/guide").await.status, 302);
    for key in touched {
        world.write(key, "another");
    }
    let run = world.deploy(&[]).expect(0);
    assert_eq!(everybody.check(&run).await.len(), 0);
    assert_eq!((everybody.see("/news").await.status, everybody.see("/news/").await.body.as_str()), (302, "another"));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_behavior_shows_its_own_folder_of_the_bucket() {
    const SITE: [&str; 6] = [
        "docs/docs/index.html",
        "docs/docs/setup.html",
        "docs/index.html",
        "main/docs/setup.html",
        "main/index.html",
        "main/shop/index.html",
    ];
    let world = World::new(&SITE.map(|key| (key, key))).await;
    configure(&world, |distribution| {
        distribution.origins[0].origin_path = "/main".to_owned();
        distribution.origins.push(origin("docs", "/docs", OriginKind::S3));
        distribution.origins.push(origin("spare", "/spare", OriginKind::S3));
        let members = vec![distribution.origins[0].id.clone(), "spare".to_owned()];
        let group = OriginGroup { id: "group".to_owned(), members, status_codes: vec![404] };
        distribution.origin_groups.push(group);
        distribution.behaviors.push(CacheBehavior::new("/docs/*", "docs"));
        distribution.behaviors.push(CacheBehavior::new("/shop/*", "group"));
    });
    world.deploy(&[]).expect(0);
    let mut everybody = audience(&world)
        .of(&["docs/index.html", "index.html", "shop/index.html"])
        .touching(&["docs/setup.html", "shop/sale.html"]);
    everybody.fill().await;
    assert_eq!(everybody.see("/docs/setup.html").await.body, "docs/docs/setup.html");
    // No viewer ever sees this one, because `/docs/*` belongs to another folder.
    world.write("main/docs/setup.html", "unseen");
    world.write("docs/docs/setup.html", "seen");
    world.write("spare/shop/sale.html", "only in the spare folder");
    let run = world.deploy(&[]).expect(0);
    assert_eq!(items(&run), ["/docs/setup.html", "/shop/sale.html"]);
    assert_eq!(everybody.check(&run).await.len(), 0);

    world.write("main/docs/setup.html", "unseen again");
    let run = world.deploy(&[]).expect(0);
    assert_eq!(items(&run), [""; 0], "nobody's cache is emptied for what nobody sees");
}
