# Functions that cut a list into pages, counted from 1. Plain POSIX shell.

# page_count ENTRIES SIZE: how many pages the entries fill.
page_count() {
    printf '%s\n' "$((($1 + $2 - 1) / $2))"
}

# page_range PAGE ENTRIES SIZE: the first and the last entry of a page.
page_range() {
    first=$((($1 - 1) * $3 + 1))
    last=$((first + $3))
    [ "$last" -gt "$2" ] && last=$2
    printf '%s %s\n' "$first" "$last"
}

# page_of ENTRY SIZE: the page that holds an entry.
page_of() {
    printf '%s\n' "$(($1 / $2 + 1))"
}
