# Source packages and single files from the archive of the system's own distribution, for scripts that source this.
# What is fetched lies below .build/archive; the system's own lists, keys and packages stay as they are. Needs bash,
# dpkg-dev, and the current folder to be the repository's.
#
# Every function says on standard error what could not be had, with the remedy, and returns 1.

archive="$PWD/.build/archive"

archive_fails() { echo "$0: $*" >&2; return 1; }

# apt-get with lists of its own, for binary and source packages.
archive_apt() {
    apt-get -qq -o Dir::Etc::SourceList="$archive/sources.list" -o Dir::Etc::SourceParts=- \
        -o Dir::State::Lists="$archive/lists" -o Dir::Cache="$archive/cache" -o APT::Sandbox::User="$(id -un)" "$@"
}

# The archive of the system's own distribution, as its apt is told to reach it.
archive_lists() {
    [ ! -s "$archive/updated" ] || return 0
    command -v apt-get >/dev/null || archive_fails "this is not Debian: its archive is reached with apt-get" || return
    mkdir -p "$archive/lists/partial" "$archive/cache/archives/partial"
    local uri release component origin key
    # In reverse order the release itself comes before its updates, which list some sources that only it has.
    apt-get indextargets --format '$(REPO_URI)|$(RELEASE)|$(COMPONENT)|$(ORIGIN)' 'Created-By: Packages' \
        | LC_ALL=C sort -u -r | while IFS='|' read -r uri release component origin; do
            [[ "$origin" == Debian || "$origin" == Ubuntu ]] || continue
            [[ "$component" == main || "$component" == universe ]] || continue
            key="/usr/share/keyrings/${origin,,}-archive-keyring.gpg"
            [ -r "$key" ] || key=
            echo "deb ${key:+[signed-by=$key] }$uri $release $component"
            echo "deb-src ${key:+[signed-by=$key] }$uri $release $component"
        done >"$archive/sources.list"
    [ -s "$archive/sources.list" ] \
        || archive_fails "apt knows no archive of Debian or Ubuntu; run: apt-get update" || return
    archive_apt update \
        || archive_fails "the archive's lists cannot be had; is it reachable? See $archive/sources.list" || return
    date >"$archive/updated"
}

# archive_source PACKAGE: unpacks a source package, once; its folder is .build/archive/source/PACKAGE.
archive_source() {
    local package="$1" place="$archive/source/$1" unpacked
    [ ! -d "$place" ] || return 0
    command -v dpkg-source >/dev/null || archive_fails "no dpkg-source in PATH; run: Scripts/packages test" || return
    archive_lists || return
    rm -rf "$place.new"
    mkdir -p "$place.new"
    (cd "$place.new" && archive_apt source "$package" >"$archive/log" 2>&1) \
        || archive_fails "the source of $package cannot be had: $(tail -n 1 "$archive/log")" || return
    unpacked=("$place.new"/*/)
    mv "${unpacked[0]}" "$place"
    rm -rf "$place.new"
}

# archive_unpack PACKAGE...: unpacks binary packages, each once, below .build/archive/packages. Installs nothing.
archive_unpack() {
    local package wanted=()
    for package in "$@"; do [ -e "$archive/unpacked/$package" ] || wanted+=("$package"); done
    [ ${#wanted[@]} != 0 ] || return 0
    archive_lists || return
    rm -rf "$archive/debs"
    mkdir -p "$archive/debs" "$archive/packages" "$archive/unpacked"
    (cd "$archive/debs" && archive_apt download "${wanted[@]}" >"$archive/log" 2>&1) \
        || archive_fails "packages cannot be had: ${wanted[*]}: $(tail -n 1 "$archive/log")" || return
    for package in "$archive"/debs/*.deb; do dpkg-deb -x "$package" "$archive/packages"; done
    for package in "${wanted[@]}"; do touch "$archive/unpacked/$package"; done
}

# archive_file PACKAGE PATH: prints where a binary package's file is: installed, or unpacked below .build.
archive_file() {
    local package="$1" path="$2"
    if [ -r "$path" ]; then echo "$path"; return; fi
    archive_unpack "$package" || return
    [ -r "$archive/packages$path" ] || archive_fails "package $package has no $path" || return
    echo "$archive/packages$path"
}
