#!/bin/sh
# Builds the Lambda function: the shipfront binary, named bootstrap, in a zip for each architecture.
#
#   build.sh                  both architectures
#   build.sh arm64            one of arm64, x86_64
#
# Leaves target/lambda/shipfront-ARCHITECTURE.zip, and beside it the binary of that zip alone, for machines that run
# builds: it is the static binary of the archives for Linux. Needs Rust (rustup), and Python 3 with venv; the cross
# compiler comes from PyPI.
set -eu

cd "$(dirname "$0")/../.."

[ $# -gt 0 ] || set -- arm64 x86_64

for architecture; do
    case $architecture in
    arm64) target=aarch64-unknown-linux-musl ;;
    x86_64) target=x86_64-unknown-linux-musl ;;
    *)
        echo "build.sh: unknown architecture $architecture; it is arm64 or x86_64" >&2
        exit 2
        ;;
    esac
    packaging/archive "$target"
    binary=target/archives/shipfront-$target/shipfront
    packaging/lambda target/lambda "$architecture=$binary"
    cp "$binary" "target/lambda/shipfront-$architecture"
done
