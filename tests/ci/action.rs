//! The steps of `action.yml`, with GitHub's variables, in the shell that GitHub starts.

use super::{path_with, path_with_binary, program, variables, yaml};
use crate::world::command::{Run, clean, run, toward};
use crate::world::site::{ALWAYS, TARGET, World, denied};
use std::collections::BTreeMap;
use std::path::PathBuf;
use tempfile::TempDir;
use yaml_serde::Value;

/// A secret of the job.
const SECRET: &str = "wJalrXUtnFEMI-K7MDENG-bPxRfiCYEXAMPLEKEY";
/// A text that would have an effect wherever it was executed as code.
const HOSTILE: &str = "$(touch taken) `touch taken` ; touch taken #'\"|&> ${{ github.token }} %0A::error::FORGED\\";

/// A job on a runner.
struct Job {
    directory: TempDir,
    path: String,
}

/// What a step left.
struct Done {
    run: Run,
    /// The outputs of the action.
    outputs: BTreeMap<String, String>,
    /// What GitHub shows on the page of the run.
    summary: String,
}

impl Done {
    /// The commands to the runner in the log.
    fn commands(&self) -> Vec<&str> {
        let lines = self.run.stdout.lines().chain(self.run.stderr.lines());
        lines.filter(|line| line.trim_start().starts_with("::") || line.contains("##[")).collect()
    }

    #[track_caller]
    fn keeps_secrets(&self) {
        for text in [&self.run.stdout, &self.run.stderr, &self.summary, &format!("{:?}", self.outputs)] {
            assert!(!text.contains(SECRET), "{text}");
        }
        let report = std::fs::read_to_string(&self.outputs["report"]).unwrap_or_default();
        assert!(!report.contains(SECRET), "{report}");
    }
}

impl Job {
    /// A job whose shipfront is the binary.
    fn new() -> Job {
        let directory = tempfile::tempdir().unwrap();
        let path = path_with_binary(&directory);
        Job { directory, path }
    }

    /// A job whose shipfront records its arguments, one per line.
    fn recording() -> Job {
        let directory = tempfile::tempdir().unwrap();
        let folder = directory.path().join("bin");
        program(&folder, "shipfront", "printf '%s\\n' \"$@\" > called; env | grep ^SHIPFRONT_ > variables");
        let path = path_with(&folder);
        Job { directory, path }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.file(name)).unwrap_or_default()
    }

    /// Runs the step that deploys.
    fn deploy(&self, world: &World, inputs: &[(&str, &str)]) -> Done {
        let action = yaml("action.yml");
        let step = step(&action, "deploy");
        let inputs = given(&action, inputs);
        let script = self.file("script.sh");
        let text = step["run"].as_str().unwrap();
        assert!(!text.contains("${{"), "what is put into a script is run");
        std::fs::write(&script, text).unwrap();
        let mut shell = clean("bash");
        toward(&mut shell, &world.edge);
        for (name, value) in step["env"].as_mapping().unwrap() {
            shell.env(name.as_str().unwrap(), evaluated(value.as_str().unwrap(), &inputs));
        }
        let folder = evaluated(step["working-directory"].as_str().unwrap(), &inputs);
        for name in ["output", "summary"] {
            std::fs::write(self.file(name), "").unwrap();
        }
        shell
            .env("PATH", &self.path)
            .env("AWS_SECRET_ACCESS_KEY", SECRET)
            .env("GITHUB_ACTIONS", "true")
            .env("GITHUB_OUTPUT", self.file("output"))
            .env("GITHUB_STEP_SUMMARY", self.file("summary"))
            .env("RUNNER_TEMP", self.directory.path())
            .current_dir(self.directory.path().join(folder))
            .args(["--noprofile", "--norc", "-eo", "pipefail"])
            .arg(script);
        let run = run(&mut shell);
        // As the runner parses the file: NAME=value, or NAME<<DELIMITER and lines.
        let text = self.read("output");
        assert!(!text.contains("<<"), "{text}");
        let set: BTreeMap<String, String> = variables(&text).into_iter().collect();
        let outputs = action["outputs"].as_mapping().unwrap().iter().map(|(name, output)| {
            let value = output["value"].as_str().unwrap().trim_start_matches("${{ steps.deploy.outputs.");
            let value = set.get(value.trim_end_matches(" }}")).cloned().unwrap_or_default();
            (name.as_str().unwrap().to_owned(), value)
        });
        Done { run, outputs: outputs.collect(), summary: self.read("summary") }
    }
}

fn step<'a>(action: &'a Value, id: &str) -> &'a Value {
    let steps = action["runs"]["steps"].as_sequence().unwrap();
    steps.iter().find(|step| step["id"].as_str() == Some(id)).unwrap()
}

/// The inputs, with the defaults of those that are not given.
fn given(action: &Value, given: &[(&str, &str)]) -> BTreeMap<String, String> {
    let known = action["inputs"].as_mapping().unwrap().iter();
    let mut inputs: BTreeMap<String, String> = known
        .map(|(name, input)| (name.as_str().unwrap().to_owned(), input["default"].as_str().unwrap().to_owned()))
        .collect();
    for (name, value) in given {
        assert!(inputs.insert((*name).to_owned(), (*value).to_owned()).is_some(), "{name} is no input");
    }
    inputs
}

/// Evaluates a text that consists of one expression.
fn evaluated(text: &str, inputs: &BTreeMap<String, String>) -> String {
    let Some(expression) = text.strip_prefix("${{ ").and_then(|rest| rest.strip_suffix(" }}")) else {
        panic!("no expression: {text}")
    };
    match expression {
        "github.run_number" => "7".to_owned(),
        input => inputs[input.strip_prefix("inputs.").unwrap()].clone(),
    }
}

/// A world whose distribution has its own name.
async fn world(files: &[(&str, &str)]) -> World {
    let world = World::new(files).await;
    let mut distribution = world.edge.distribution(&world.distribution).unwrap();
    distribution.aliases = vec!["www.example.com".to_owned()];
    world.edge.put_distribution(distribution).unwrap();
    world.close_the_record().await;
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deploy_is_in_the_log_in_the_outputs_and_on_the_page_of_the_run() {
    let world = world(&[("app.css", "a{}"), ("index.html", "welcome"), ("old.html", "old")]).await;
    let job = Job::new();
    let source = world.source().display().to_string();
    let inputs = [("source", source.as_str()), ("target", TARGET)];
    let first = job.deploy(&world, &inputs);
    first.keeps_secrets();
    let run = first.run.clone().ended_with(0);
    assert!(run.stdout.contains("+ index.html") && run.stdout.contains("Deployed "), "{run:?}");
    assert_eq!(first.commands(), [""; 0]);

    world.write("index.html", "an edit");
    world.remove("old.html");
    let second = job.deploy(&world, &inputs);
    second.run.clone().ended_with(0);
    let report: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(&second.outputs["report"]).unwrap()).unwrap();
    let expected = [
        ("deploy-id", report["deploy"].as_str().unwrap()),
        ("invalidated-paths", &report["invalidations"][0]["items"].as_array().unwrap().len().to_string()),
        ("outcome", "deployed"),
        ("removed", "1"),
        ("report", &second.outputs["report"]),
        ("uploaded", "1"),
        ("url", "https://www.example.com/"),
    ];
    let outputs: Vec<(&str, &str)> = second.outputs.iter().map(|(name, value)| (&**name, &**value)).collect();
    assert_eq!(outputs, expected);
    assert!(
        second.summary.starts_with("## Deployed\n\n<p><a href=\"https://www.example.com/\">"),
        "{}",
        second.summary
    );
    assert!(second.summary.contains("| 1 | "), "{}", second.summary);
    assert_ne!(first.outputs["report"], second.outputs["report"], "the action may be used twice in a job");
    // The build number of the run is used.
    let status = world.run(&["status", TARGET, "--json"]).expect(0);
    assert!(status.stdout.contains("\"number\": 7"), "{}", status.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_writes_nothing_and_says_what_a_deploy_would_do() {
    let world = world(&[("index.html", "welcome")]).await;
    let job = Job::new();
    let source = world.source().display().to_string();
    let inputs = |plan| [("source", source.as_str()), ("target", TARGET), ("plan-only", plan)];
    let plan = job.deploy(&world, &inputs("true"));
    plan.run.clone().ended_with(0);
    assert_eq!(world.writes(), [""; 0]);
    assert_eq!((&*plan.outputs["outcome"], &*plan.outputs["uploaded"]), ("planned", "1"));
    assert!(plan.summary.starts_with("## Plan\n") && plan.summary.contains("to upload"), "{}", plan.summary);
    let wrong = job.deploy(&world, &inputs("yes"));
    wrong.run.clone().ended_with(2);
    assert_eq!(wrong.commands(), ["::error title=shipfront::plan-only is true or false"]);
    assert_eq!(world.writes(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_and_what_a_guard_refuses_is_an_annotation() {
    let world = world(&[("a.css", "a{}"), ("index.html", "welcome"), ("old.html", "old")]).await;
    let job = Job::new();
    let source = world.source().display().to_string();
    let deploy = |args: &str| job.deploy(&world, &[("source", source.as_str()), ("target", TARGET), ("args", args)]);
    deploy("").run.ended_with(0);

    world.remove("old.html");
    let refused = deploy("--max-delete 0");
    refused.run.clone().ended_with(6);
    assert_eq!(refused.outputs["outcome"], "refused");
    let [said] = refused.commands()[..] else { panic!("{:?}", refused.run) };
    assert!(said.starts_with("::error title=shipfront::") && said.contains("--max-delete 0"), "{said}");
    assert!(said.contains("%0Ahint: "), "{said}");
    assert!(refused.summary.contains("<pre>error: ") && refused.summary.contains("\nhint: "), "{}", refused.summary);

    world.write("index.html", "an edit");
    world.fault_of("PutObject", "index.html", 0, ALWAYS, denied());
    let rule = "[[headers]]\nfiles = \"no-such-file\"\ncache-control = \"no-store\"\n";
    std::fs::write(world.outside().join("shipfront.toml"), rule).unwrap();
    let failed = deploy("");
    failed.keeps_secrets();
    assert_eq!(failed.run.code, Some(1), "{:?}", failed.run);
    assert!(failed.commands().iter().any(|said| said.starts_with("::error ") && said.contains("s3:PutObject")));
    assert!(failed.commands().iter().any(|said| said.starts_with("::warning ")), "{:?}", failed.run);
    assert_eq!(failed.outputs["outcome"], "failed");

    let wrong = deploy("--no-such-option");
    wrong.run.clone().ended_with(2);
    let [said] = wrong.commands()[..] else { panic!("{:?}", wrong.run) };
    assert!(said.starts_with("::error title=shipfront::unknown option '--no-such-option'"), "{said}");
    let unpaired = deploy("--exclude 'a b");
    unpaired.run.clone().ended_with(2);
    assert!(unpaired.commands().iter().any(|said| said.contains("a quotation mark in args")), "{:?}", unpaired.run);
}

#[tokio::test(flavor = "multi_thread")]
async fn names_of_files_are_no_commands_no_outputs_and_no_markup() {
    let world = world(&[("index.html", "welcome")]).await;
    let job = Job::new();
    let names = [
        "::error::FORGED ##[error]FORGED.html",
        "$(touch taken) `touch taken` '\"; touch taken.html",
        "SHIPFRONT_URL=FORGED.html",
        "<img src=x onerror=alert(1)>.html",
        "%0A::error::FORGED.html",
    ];
    for name in names {
        world.write(name, "hostile");
    }
    let source = world.source().display().to_string();
    let inputs = [("source", source.as_str()), ("target", TARGET)];
    let done = job.deploy(&world, &inputs);
    done.run.clone().ended_with(0);
    assert_eq!((done.commands(), &*done.outputs["uploaded"]), (vec![], "6"));
    assert_eq!(done.outputs["url"], "https://www.example.com/");
    assert!(!done.summary.contains("<img") && done.summary.contains("&lt;img src=x"), "{}", done.summary);

    // A name that shipfront refuses is in an annotation, as data.
    world.write("a\n::error::FORGED\nSHIPFRONT_URL=FORGED.html", "hostile");
    world.fault_of("PutObject", names[4], 0, ALWAYS, denied());
    world.write(names[4], "an edit");
    for args in ["", "--keep-going"] {
        let refused = job.deploy(&world, &[inputs[0], inputs[1], ("args", args)]);
        assert_ne!(refused.run.code, Some(0));
        let said = refused.commands();
        assert!(
            !said.is_empty()
                && said.iter().all(|said| said.starts_with("::error title=shipfront::")
                    || said.starts_with("::warning title=shipfront::")),
            "{:?}",
            refused.run
        );
        assert!(said.iter().all(|said| !said.contains("%0A::error")), "{said:?}");
        assert!(refused.summary.lines().all(|line| !line.starts_with("::")), "{}", refused.summary);
    }
    assert!(!job.file("taken").exists() && !world.outside().join("taken").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn branches_and_arguments_come_to_shipfront_as_they_are() {
    let world = world(&[]).await;
    let job = Job::recording();
    std::fs::create_dir(job.file("a b")).unwrap();
    let args =
        "--exclude 'two words'\n  --exclude \"it's\"   --env=a\\ b $HOME $(touch taken) `touch taken` *\n--force";
    let done = job.deploy(
        &world,
        &[
            ("source", "-r f"),
            ("target", "s3://b/$(touch taken)"),
            ("preview", HOSTILE),
            ("args", args),
            ("working-directory", "a b"),
        ],
    );
    done.run.clone().ended_with(0);
    let called = job.read("a b/called");
    let called: Vec<&str> = called.lines().collect();
    let reports = done.outputs["report"].trim_end_matches("report.json");
    let reports: Vec<String> =
        ["report.json", "summary.md", "outputs.env"].map(|name| format!("{reports}{name}")).into();
    let preview = format!("--preview={HOSTILE}");
    let mut expected = vec!["deploy"];
    expected.extend(reports.iter().flat_map(|report| ["--report", report]));
    expected.push(&preview);
    expected.extend(["--exclude", "two words", "--exclude", "it's", "--env=a b", "$HOME", "$(touch", "taken)"]);
    expected.extend(["`touch", "taken`", "*", "--force", "--", "-r f"]);
    assert_eq!(called, expected);
    let variables = job.read("a b/variables");
    assert!(variables.contains("SHIPFRONT_TARGET=s3://b/$(touch taken)\n"), "{variables}");
    assert!(variables.contains("SHIPFRONT_BUILD_NUMBER=7\n"), "{variables}");
    assert!(!job.file("a b/taken").exists() && !job.file("taken").exists());
    // Inputs that are not given are not passed.
    job.deploy(&world, &[("source", "public"), ("args", " \n\t ")]).run.ended_with(0);
    let called = job.read("called");
    assert!(called.ends_with("outputs.env\n--\npublic\n") && !called.contains("--preview"), "{called}");
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_of_the_working_directory_hold() {
    let world = world(&[("index.html", "welcome")]).await;
    let job = Job::new();
    let folder = job.file("site");
    std::fs::create_dir_all(folder.join("public")).unwrap();
    std::fs::write(folder.join("public/index.html"), "of the folder").unwrap();
    std::fs::write(folder.join("shipfront.toml"), format!("target = \"{TARGET}/blog\"\n")).unwrap();
    let done = job.deploy(&world, &[("source", "public"), ("working-directory", "site")]);
    done.run.clone().ended_with(0);
    assert_eq!(done.outputs["url"], "https://www.example.com/blog/");
}

#[test]
fn until_there_is_a_release_the_action_builds_its_own_checkout_once() {
    let action = yaml("action.yml");
    let job = tempfile::tempdir().unwrap();
    let bin = job.path().join("bin");
    program(
        &bin,
        "cargo",
        "printf '%s\\n' \"$@\" >> cargo-called; mkdir -p \"${7}/bin\"; cp built \"${7}/bin/shipfront\"",
    );
    program(job.path(), "built", "echo shipfront of the checkout");
    let checkout = job.path().join("an action");
    std::fs::create_dir_all(checkout.join("src")).unwrap();
    std::fs::create_dir_all(checkout.join("crates")).unwrap();
    for name in ["Cargo.toml", "Cargo.lock", "src/main.rs", "src/a name.rs"] {
        std::fs::write(checkout.join(name), name).unwrap();
    }
    let shell = |id: &str| {
        let mut shell = clean("bash");
        shell.args(["--noprofile", "--norc", "-eo", "pipefail", "-c", step(&action, id)["run"].as_str().unwrap()]);
        shell.env("PATH", path_with(&bin)).env("ACTION", &checkout).env("VERSION", "source").env("REF", "main");
        shell.env("REPOSITORY", "o/r").env("SERVER", "https://example.com").env("RUNNER_TEMP", job.path());
        shell.env("GITHUB_PATH", job.path().join("path")).env("GITHUB_OUTPUT", job.path().join("output"));
        shell.current_dir(job.path());
        run(&mut shell).ended_with(0)
    };
    let digest = || {
        std::fs::write(job.path().join("output"), "").unwrap();
        shell("build");
        let output = std::fs::read_to_string(job.path().join("output")).unwrap();
        let [(name, value)] = &variables(&output)[..] else { panic!("{output}") };
        assert!(name == "digest" && value.len() == 64 && value.chars().all(|c| c.is_ascii_hexdigit()), "{output}");
        value.clone()
    };
    let first = digest();
    assert_eq!(digest(), first);
    std::fs::write(checkout.join("src/a name.rs"), "an edit").unwrap();
    assert_ne!(digest(), first, "another source is another build");

    for _ in 0..2 {
        let installed = shell("install");
        assert!(installed.stdout.ends_with("shipfront of the checkout\n"), "{installed:?}");
    }
    let called = std::fs::read_to_string(job.path().join("cargo-called")).unwrap();
    assert_eq!(called.matches("install\n").count(), 1, "the second run finds what the first built: {called}");
    assert!(called.contains("--locked\n") && called.contains("an action\n"), "{called}");
    assert_eq!(std::fs::read_to_string(job.path().join("path")).unwrap().lines().count(), 2);
}
