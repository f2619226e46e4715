#!/bin/sh
# Makes CloudFront fetch again what is stale.
#
#   invalidate.sh /blog/ '/img/*'             object keys, paths or URLs
#   some-command | invalidate.sh -            the same, one per line on standard input
#   invalidate.sh --since REVISION [DIR]      what git saw change below DIR since REVISION
#
# DISTRIBUTION   distribution to invalidate: an id, or auto to find it (default: auto)
# SHIPFRONT      the shipfront binary (default: shipfront)
set -eu

shipfront=${SHIPFRONT:-shipfront}
distribution=${DISTRIBUTION:-auto}

fail() {
    echo "invalidate.sh: $1" >&2
    exit "$2"
}

command -v "$shipfront" >/dev/null || fail "cannot find $shipfront; set SHIPFRONT to its path" 127

case ${1-} in
'')
    fail "nothing to invalidate; usage: invalidate.sh PATH... | - | --since REVISION [DIR]" 2
    ;;
--since)
    [ $# -ge 2 ] || fail "--since needs a revision" 2
    # Keys as they are in the bucket: relative to DIR, non-ASCII letters not escaped, and a
    # renamed file under both of its names. Kept in a variable so that a failure of git is seen.
    changed=$(git -c core.quotePath=off -C "${3:-.}" \
        diff --name-only --no-renames --relative "$2") || fail "git cannot compare with $2" 2
    if [ -z "$changed" ]; then
        echo "Nothing changed since $2."
        exit 0
    fi
    printf '%s\n' "$changed" | "$shipfront" invalidate --distribution "$distribution" -
    ;;
*)
    # Options go through as well: invalidate.sh --no-wait /blog/
    exec "$shipfront" invalidate --distribution "$distribution" "$@"
    ;;
esac
