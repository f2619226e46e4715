#!/bin/sh
# Builds the Lambda function: the shipfront binary, named bootstrap, in a zip for each architecture.
#
#   build.sh                  both architectures
#   build.sh arm64            one of arm64, x86_64
#
# Leaves target/lambda/shipfront-ARCHITECTURE.zip, and beside it the binary of that zip alone, for machines that run
# builds. Needs Rust (rustup), and Python 3 with venv; the
# cross compiler comes from PyPI, at the versions of requirements.txt.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
cd "$here/../.."

[ $# -gt 0 ] || set -- arm64 x86_64

tools=target/lambda/tools
if ! cmp -s "$here/requirements.txt" "$tools/requirements.txt"; then
    python3 -m venv --clear "$tools"
    "$tools/bin/pip" install --quiet --disable-pip-version-check -r "$here/requirements.txt"
    cp "$here/requirements.txt" "$tools/requirements.txt"
fi
PATH="$PWD/$tools/bin:$PATH"
export PATH

for architecture; do
    case $architecture in
    arm64) target=aarch64-unknown-linux-gnu ;;
    x86_64) target=x86_64-unknown-linux-gnu ;;
    *)
        echo "build.sh: unknown architecture $architecture; it is arm64 or x86_64" >&2
        exit 2
        ;;
    esac
    packaging/target "$target"
    # The optimisations of cargo-lambda are turned off because they replace those of Cargo.toml,
    # and make a panic end the process: a pipeline's job would then never be answered.
    cargo lambda build --release --locked --no-default-features --features lambda --bin shipfront \
        --disable-optimizations --output-format zip \
        --target "$target" --lambda-dir "target/lambda/$architecture"
    mv "target/lambda/$architecture/shipfront/bootstrap.zip" "target/lambda/shipfront-$architecture.zip"
    python3 -m zipfile -e "target/lambda/shipfront-$architecture.zip" "target/lambda/$architecture"
    mv "target/lambda/$architecture/bootstrap" "target/lambda/shipfront-$architecture"
    chmod +x "target/lambda/shipfront-$architecture"
    ls -l "target/lambda/shipfront-$architecture"*
done
