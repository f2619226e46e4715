//! The rules of another tool's settings, from their import to what viewers get.

use crate::world::aws::s3;
use crate::world::site::{BUCKET, World, run};
use std::fs;

#[tokio::test(flavor = "multi_thread")]
async fn rules_that_are_imported_give_the_same_files_the_same_headers() {
    let world =
        World::new(&[("app.js", "app"), ("data.json", "{}"), ("index.html", "home"), ("app.js.map", "map")]).await;
    let s3deploy = "\
bucket: www.example.com
routes:
    - route: '^.+\\.(js|css)$'
      headers:
         Cache-Control: 'max-age=630720000, no-transform, public'
    - route: '^.+\\.(html|json|js)$'
      headers:
         Cache-Control: 'max-age=60'
    - route: '(?i)^a(?=b)'
      headers:
         Cache-Control: 'no-store'
";
    fs::write(world.outside().join(".s3deploy.yml"), s3deploy).unwrap();
    let imported = run(world.command(&["import", ".s3deploy.yml"]).current_dir(world.outside())).expect(0);
    assert!(imported.stderr.contains("no glob is equivalent"), "{}", imported.stderr);
    fs::write(world.outside().join("shipfront.toml"), format!("source = \"public\"\n{}", imported.stdout)).unwrap();
    run(world.command(&["deploy"]).current_dir(world.outside())).expect(0);
    for (key, cache_control) in [
        // Only the first route that matches applies.
        ("app.js", Some("max-age=630720000, no-transform, public")),
        ("data.json", Some("max-age=60")),
        ("index.html", Some("max-age=60")),
        ("app.js.map", None),
    ] {
        let head = s3(&world.edge).head_object().bucket(BUCKET).key(key).send().await.unwrap();
        assert_eq!(head.cache_control.as_deref(), cache_control, "{key}");
    }
}
