#!/bin/sh
# Runs every test and says how many failed.
cd "$(dirname "$0")/.." || exit 2
. ./versions.sh

passed=0
failed=0

check() {
    if [ "$2" = "$3" ]; then
        passed=$((passed + 1))
        printf 'ok    %s\n' "$1"
    else
        failed=$((failed + 1))
        printf 'FAIL  %s: expected %s, got %s\n' "$1" "$3" "$2"
    fi
}

check 'newest of one' "$(version_newest 1.2.3)" 1.2.3
check 'newest by major' "$(version_newest 1.9.9 2.0.0)" 2.0.0
check 'newest by patch' "$(version_newest 1.0.1 1.0.0)" 1.0.1
check 'newest with a two-digit minor' "$(version_newest 1.9.0 1.10.0)" 1.10.0
check 'newest of many' "$(version_newest 0.9.12 0.9.2 0.9.7)" 0.9.12
check 'bump minor' "$(version_bump minor 1.9.3)" 1.10.0
check 'bump patch' "$(version_bump patch 1.9.9)" 1.9.10

printf '%s passed, %s failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ]
