#!/bin/sh
# Runs every test and says how many failed.
cd "$(dirname "$0")/.." || exit 2
. ./pages.sh

passed=0
failed=0

check() {
    if [ "$2" = "$3" ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        printf 'FAIL  %s: expected %s, got %s\n' "$1" "$3" "$2"
    fi
}

check 'no entry fills no page' "$(page_count 0 4)" 0
check 'a full page is one page' "$(page_count 4 4)" 1
check 'one entry more is one page more' "$(page_count 5 4)" 2
check 'the first page' "$(page_range 1 10 4)" '1 4'
check 'the last page is shorter' "$(page_range 3 10 4)" '9 10'
check 'the page of the first entry' "$(page_of 1 4)" 1
check 'the page of the last entry of a page' "$(page_of 8 4)" 2

printf '%s passed, %s failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ]
