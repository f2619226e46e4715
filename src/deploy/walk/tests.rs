use super::*;
use std::fs::{create_dir_all, write};

fn keys(found: &Walk) -> Vec<&str> {
    found.entries.iter().map(|entry| &*entry.key).collect()
}

#[test]
fn files_come_in_the_order_in_which_s3_lists_keys() {
    let source = tempfile::tempdir().unwrap();
    for name in ["a/c", "a.txt", "a/b/d", "a-b", "é", "z"] {
        let path = source.path().join(name);
        create_dir_all(path.parent().unwrap()).unwrap();
        write(path, name).unwrap();
    }
    let found = walk(source.path(), "", &WalkRules::default()).unwrap();
    assert_eq!(keys(&found), ["a-b", "a.txt", "a/b/d", "a/c", "z", "é"]);
}

#[test]
fn hidden_files_are_unknown_rather_than_absent_and_well_known_is_no_hidden_file() {
    let source = tempfile::tempdir().unwrap();
    for name in [".well-known/security.txt", ".git/config", ".env", "x/.hidden", "x/y"] {
        let path = source.path().join(name);
        create_dir_all(path.parent().unwrap()).unwrap();
        write(path, name).unwrap();
    }
    let found = walk(source.path(), "", &WalkRules::default()).unwrap();
    assert_eq!(keys(&found), [".well-known/security.txt", "x/y"]);
    for unknown in [".git/config", ".git/a/b", ".env", "x/.hidden"] {
        assert!(found.unknown.contains(unknown), "{unknown}");
    }
    assert!(!found.unknown.contains("x/z") && !found.unknown.contains(".gitignore"));
}

#[cfg(unix)]
#[test]
fn symlinks_are_followed_inside_the_source_only() {
    use std::os::unix::fs::symlink;
    let outside = tempfile::tempdir().unwrap();
    write(outside.path().join("secret"), "s").unwrap();
    let source = tempfile::tempdir().unwrap();
    create_dir_all(source.path().join("real")).unwrap();
    write(source.path().join("real/page.html"), "p").unwrap();
    symlink(source.path().join("real"), source.path().join("alias")).unwrap();
    symlink(outside.path(), source.path().join("away")).unwrap();
    symlink(outside.path().join("secret"), source.path().join("away.txt")).unwrap();
    symlink(source.path(), source.path().join("real/loop")).unwrap();
    symlink("nowhere", source.path().join("broken")).unwrap();
    let found = walk(source.path(), "", &WalkRules::default()).unwrap();
    assert_eq!(keys(&found), ["alias/page.html", "real/page.html"]);
    assert!(found.unknown.contains("away/x") && found.unknown.contains("away.txt"));
    assert!(found.unknown.contains("broken") && found.unknown.contains("real/loop/x"));
    assert_eq!(found.problems.len(), 1, "the broken one: {:?}", found.problems);
    assert_eq!(found.warnings.len(), 4, "two away, a loop by each way: {:?}", found.warnings);
}

#[test]
fn a_key_too_long_for_s3_is_a_problem_and_unknown() {
    let source = tempfile::tempdir().unwrap();
    let deep: PathBuf = std::iter::repeat_n("d".repeat(200), 5).collect();
    create_dir_all(source.path().join(&deep)).unwrap();
    write(source.path().join(&deep).join("f.html"), "x").unwrap();
    assert_eq!(walk(source.path(), "", &WalkRules::default()).unwrap().problems.len(), 0);
    let found = walk(source.path(), "a-prefix-that-makes-it-too-long/", &WalkRules::default()).unwrap();
    assert_eq!((found.entries.len(), found.problems.len()), (0, 1));
    assert!(found.unknown.contains(&format!("{}/f.html", deep.display())));
}
