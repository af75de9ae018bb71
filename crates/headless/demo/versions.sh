# Functions for versions of the form MAJOR.MINOR.PATCH. Plain POSIX shell.

# version_part NUMBER VERSION: the part at that place, counted from 1.
version_part() {
    printf '%s\n' "$2" | cut -d . -f "$1"
}

# version_less A B: succeeds when A is older than B.
version_less() {
    for place in 1 2 3; do
        a=$(version_part "$place" "$1")
        b=$(version_part "$place" "$2")
        [ "$a" = "$b" ] && continue
        oldest=$(printf '%s\n%s\n' "$a" "$b" | sort | head -n 1)
        [ "$a" = "$oldest" ]
        return
    done
    return 1
}

# version_newest VERSION...: prints the newest.
version_newest() {
    newest=$1
    for candidate in "$@"; do
        if version_less "$newest" "$candidate"; then
            newest=$candidate
        fi
    done
    printf '%s\n' "$newest"
}

# version_bump major|minor|patch VERSION: prints the next version.
version_bump() {
    major=$(version_part 1 "$2")
    minor=$(version_part 2 "$2")
    patch=$(version_part 3 "$2")
    case $1 in
        major) printf '%s\n' "$((major + 1)).0.0" ;;
        minor) printf '%s\n' "$major.$((minor + 1)).0" ;;
        patch) printf '%s\n' "$major.$minor.$((patch + 1))" ;;
        *) printf 'version_bump: no such part: %s\n' "$1" >&2; return 2 ;;
    esac
}
