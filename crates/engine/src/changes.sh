# Shows the evaluator of a goal what changed in the workspace since the goal was set: what git says, in nested
# repositories too; then the new files with their beginnings, or, without git, the files that are newer; last
# a sum over every file, git-ignored ones too, for only a part is shown. Nothing that a repository names is
# run, no link is followed, and only regular files are read.
# @SECONDS@ stands for when the goal was set, @START@ for the commit that was checked out then, if it is known.
[ -n "$BASH_VERSION" ] || { echo "looking for changes needs bash, which is not there"; exit 1; }
exec 2>/dev/null
look=$(mktemp -d "${TMPDIR:-/tmp}/quire-look.XXXXXX") || exit 1
trap 'rm -rf "$look"' EXIT
export GIT_OPTIONAL_LOCKS=0 GIT_NO_LAZY_FETCH=1 GIT_ALLOW_PROTOCOL=none GIT_TERMINAL_PROMPT=0 LC_ALL=C
git() {
    command git --no-pager -c core.fsmonitor=false -c core.hooksPath=/dev/null -c log.showSignature=false \
        -c core.trustctime=true -c core.quotePath=false -c core.bigFileThreshold=8m "$@"
}
time=$(date -u -d @@SECONDS@ +%Y%m%d%H%M.%S || date -u -r @SECONDS@ +%Y%m%d%H%M.%S)
TZ=UTC0 touch -t "$time" "$look/since" || exit 1

# The files that fit, but for what git keeps, each ended by a zero byte.
files() { find . -name .git -prune -o -name 'quire-look.*' -prune -o "$@" -print0 | sort -z; }
# At most so many bytes of what comes in.
part() {
    head -c "$1"
    [ -z "$(head -c 1 | tr '\000' x)" ] || printf '\n[the rest is not shown]\n'
}
count() { tr -cd '\000' | wc -c | tr -d ' '; }

# The commit with which the changes in the repository here are compared. Without a known one it is what git's
# log says of that time; that may begin later, with a commit that is part of the work.
base() {
    local known=$1 nothing time
    if [ -n "$known" ] && git cat-file -e "$known^{tree}"; then
        echo "$known"
        return
    fi
    nothing=$(git hash-object -t tree /dev/null)
    known=$(git rev-parse -q --verify "HEAD@{@SECONDS@ +0000}" || git rev-parse -q --verify HEAD ||
            echo "$nothing")
    time=$(git log -1 --format=%ct "$known" --)
    if [ "${time:-0}" -ge @SECONDS@ ]; then
        known=$(git rev-parse -q --verify "$known^" || echo "$nothing")
    fi
    echo "$known"
}
# Takes from a copy of the index the marks that hide changes in files that are there.
unhide() {
    cp "$(git rev-parse --git-path index)" "$look/index" || return
    export GIT_INDEX_FILE=$look/index
    git ls-files -v -z | tr '\n\000' '\000\n' | grep -a '^[a-zS] ' | tr '\n\000' '\000\n' |
        while IFS= read -r -d '' line; do
            file=${line#? }
            if [ -e "$file" ] || [ -L "$file" ]; then printf '%s\0' "$file"; fi
        done >"$look/hidden"
    git update-index -z --no-assume-unchanged --stdin <"$look/hidden"
    git update-index -z --no-skip-worktree --stdin <"$look/hidden"
}
# Keeps git from the filters that the repository's settings name.
unfilter() {
    local key at=0
    while IFS= read -r -d '' key; do
        export "GIT_CONFIG_KEY_$at=$key" "GIT_CONFIG_VALUE_$at="
        case $key in *.required) export "GIT_CONFIG_VALUE_$at=false" ;; esac
        at=$((at + 1))
    done < <(git config -z --name-only --get-regexp '^filter\.')
    export GIT_CONFIG_COUNT=$at
}
# What git says of the repository in a folder, compared with a commit.
differences() (
    cd "$1" || exit
    unfilter
    commit=$(base "$2")
    unhide
    # Git gives up where it finds what it cannot read.
    odd=()
    while IFS= read -r -d '' file; do odd+=(":(exclude,literal)${file#./}"); done \
        < <(files ! -type d ! -type f ! -type l | head -c 8000)
    name=${1#.}
    name=${name#/}
    name=${name:+$name/}
    changed() {
        git diff --no-ext-diff --no-textconv --no-color --ignore-submodules=dirty --submodule=short \
            --src-prefix="a/$name" --dst-prefix="b/$name" "$@" "$commit" -- :/ "${odd[@]}"
    }
    [ -n "$2" ] && [ "$commit" != "$2" ] &&
        echo "the commit that was checked out when the goal was set is gone; compared with $commit"
    changed --stat | part 2000
    changed
)
others() { (cd "$1" && unfilter && git ls-files -z --others --exclude-standard); }
# Names and shows the beginning of each file that comes in, of the first fifty.
show() {
    local file shown=0 name target
    while [ "$shown" -lt 50 ] && IFS= read -r -d '' file; do
        name=${file#./}
        name=${name//[[:cntrl:]]/?}
        if [ -L "$file" ]; then
            target=$(readlink "$file")
            printf '%s link: %s -> %s\n' "$1" "$name" "${target//[[:cntrl:]]/?}"
        elif [ -f "$file" ]; then
            printf '%s file: %s\n' "$1" "$name"
            head -c 2000 "./$file" | tr -d '\000'
            echo
        elif [ ! -d "$file" ] && [ -e "$file" ]; then
            printf '%s, not a file: %s\n' "$1" "$name"
        else
            continue
        fi
        shown=$((shown + 1))
    done
    shown=$(count)
    [ "$shown" = 0 ] || echo "$shown more are not shown"
}
# First what is newer than the goal.
newest() {
    while IFS= read -r -d '' file; do
        if [ "$file" -nt "$look/since" ]; then
            printf '%s\0' "$file"
        else
            printf '%s\0' "$file" >>"$look/older"
        fi
    done
    cat "$look/older"
}

git rev-parse --git-dir >/dev/null && top=.
: >"$look/repositories"
find . -path ./.git -prune -o -name .git -print0 -prune | sort -z | head -c 8000 |
    while IFS= read -r -d '' repository; do
        repository=${repository%/.git}
        # What is no repository would be taken for a folder of the one around it.
        (cd "$repository" && [ "$(git rev-parse --show-prefix && echo at its top)" = $'\nat its top' ]) &&
            printf '%s\0' "$repository" >>"$look/repositories"
    done
commit=@START@
{
    if [ -n "$top" ]; then
        commit=$(base "$commit")
        differences . @START@
    fi
    while IFS= read -r -d '' repository; do
        differences "$repository" "$([ -n "$top" ] && git rev-parse -q --verify "$commit:$repository^{commit}")"
    done <"$look/repositories"
} | part 9000
if [ -n "$top" ]; then
    {
        others .
        while IFS= read -r -d '' repository; do
            others "$repository" | while IFS= read -r -d '' file; do printf '%s/%s\0' "$repository" "$file"; done
        done <"$look/repositories"
    } | newest | show new | part 5000
else
    files ! -type d -cnewer "$look/since" | show changed | part 5000
fi

# Everything has its place in the sum by kind, size and name (or where it points); what changed since the goal
# was set by its bytes too, or, where these are many, by when it was written.
if stat --version >/dev/null; then
    stat() { xargs -0 -r stat -c "$1"; }
    all='%F %s %N' large='%Y %N'
else
    stat() { xargs -0 -r stat -f "$1"; }
    all='%HT %z %N %Y' large='%m %N'
fi
{
    git rev-parse -q --verify HEAD
    files ! -type d | stat "$all"
    files -type f -cnewer "$look/since" -size -512 | xargs -0 -r cksum
    files -type f -cnewer "$look/since" ! -size -512 | stat "$large"
} | cksum | sed 's/^/sum over all files, to compare looks: /'
exit 0
