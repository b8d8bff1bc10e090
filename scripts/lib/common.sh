# Shared by the scripts of this repository; sourced from bash.
# Sets ROOT (the repository) and BUILD (where everything made is put).

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
BUILD=$ROOT/build

# nginx is there, which is not where a user who is not root looks
PATH=$PATH:/usr/sbin:/sbin

# the help of a script is its first comment
case ${1:-} in
-h|--help)
    awk 'NR > 1 && /^#/ { sub(/^# ?/, ""); print; seen = 1; next }
         seen { exit }' "$0"
    exit 0
    ;;
esac

# what the module is made with and from, and Debian's nginx to make it for
MODULE_PACKAGES="gcc make libc6-dev libhiredis-dev libyajl-dev
    libcurl4-openssl-dev libssl-dev"
BUILD_PACKAGES="$MODULE_PACKAGES nginx nginx-dev dpkg-dev"

# what scripts/bench compares it with
PEER_PACKAGES="libnginx-mod-http-lua lua-cjson lua-nginx-string"


say() {
    printf '%s\n' "$*"
}


die() {
    printf '%s: %s\n' "$(basename "$0")" "$*" >&2
    exit 1
}


as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"

    elif command -v sudo >/dev/null; then
        sudo "$@"

    else
        die "root or sudo is needed for: $*"
    fi
}


have_package() {
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}


# Prints what is wanted and not installed.
missing_packages() {
    local package

    for package in "$@"; do
        have_package "$package" || printf '%s ' "$package"
    done
}


# Installs packages or .deb files without starting any service.
apt_install() {
    local policy=/usr/sbin/policy-rc.d made= rc=0

    if [ ! -e $policy ]; then
        printf '#!/bin/sh\nexit 101\n' | as_root tee $policy >/dev/null
        as_root chmod 755 $policy
        made=yes
    fi

    as_root env RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -q --no-install-recommends "$@" || rc=$?

    if [ -n "$made" ]; then
        as_root rm -f $policy
    fi

    return $rc
}


# logged LOG COMMAND ...: an apt-get whose words go to the log, and one line
# of what it does every few seconds to the user.
logged() {
    local log=$1

    shift

    "$@" 2>&1 | tee -a "$log" | perl -ne '
        BEGIN { $| = 1; $next = 0 }

        if (/^(?:Get:|Need to get|Fetched|Unpacking|Setting up)/
            && time() >= $next)
        {
            print "    $_";
            $next = time() + 3;
        }
    '

    return "${PIPESTATUS[0]}"
}


# need PACKAGE ...: installs those that are missing.
need() {
    local missing log

    missing=$(missing_packages "$@")

    [ -n "$missing" ] || return 0

    say "installing: $missing"

    mkdir -p "$BUILD"
    log=$BUILD/apt.log
    : >"$log"

    # the lists may be absent or too old: ask for them only then

    # shellcheck disable=SC2086
    logged "$log" apt_install $missing && return 0

    say "updating the lists of packages"

    logged "$log" as_root apt-get update -q \
        || say "apt-get update had errors, see $log"

    # shellcheck disable=SC2086
    logged "$log" apt_install $missing && return 0

    tail -n 20 "$log" >&2
    die "cannot install: $missing"
}


# need_unloaded PACKAGE ...: modules of nginx, which the system's own nginx does
# not load for that.
need_unloaded() {
    local enabled=/etc/nginx/modules-enabled before link

    before=$(ls "$enabled")

    need "$@"

    for link in $(ls "$enabled"); do
        if ! grep -qxF "$link" <<<"$before"; then
            as_root rm -f "$enabled/$link"
        fi
    done
}


# The address of the mirror that this machine takes Debian from.  Before the
# first "apt-get update" apt itself does not know which one that is.
debian_mirror() {
    local format='$(LABEL)|$(REPO_URI)' uri= try

    for try in once again; do
        uri=$(apt-get indextargets --format "$format" 2>/dev/null \
              | sed -n 's/^Debian|//p' | head -n 1)

        [ -z "$uri" ] && [ $try = once ] || break

        mkdir -p "$BUILD"
        as_root apt-get update -q >"$BUILD/apt.log" 2>&1 || true
    done

    [ -n "$uri" ] || die "apt knows no mirror of Debian, see $BUILD/apt.log"

    printf '%s\n' "$uri"
}


debian_keyring() {
    local file

    for file in /usr/share/keyrings/debian-archive-keyring.gpg \
                /usr/share/keyrings/debian-archive-keyring.pgp
    do
        if [ -f $file ]; then
            printf '%s\n' $file
            return 0
        fi
    done

    die "the keyring of Debian's archive is missing"
}


# private_apt NAME SOURCES-LINE COMMAND ...: an apt-get with lists of its own,
# so that nothing of another suite stays behind.  Types and the suite are in
# the line, MIRROR and KEYRING in it are replaced.
private_apt() {
    local name=$1 line=$2 dir

    shift 2

    dir=$BUILD/apt/$name
    mkdir -p "$dir/lists/partial" "$dir/cache/archives/partial"

    line=${line//KEYRING/$(debian_keyring)}
    line=${line//MIRROR/$(debian_mirror)}
    printf '%s\n' "$line" >"$dir/sources.list"

    apt-get -q -o Dir::Etc::SourceList="$dir/sources.list" \
        -o Dir::Etc::SourceParts=/dev/null \
        -o Dir::State::Lists="$dir/lists" \
        -o Dir::Cache="$dir/cache" \
        -o Acquire::Check-Valid-Until=false \
        -o APT::Sandbox::User=root \
        -o APT::Get::List-Cleanup=false \
        "$@"
}


debian_codename() {
    # shellcheck disable=SC1091
    (. /etc/os-release && printf '%s\n' "$VERSION_CODENAME")
}


# The files of the repository, without what is made from them.
copy_tree() {
    tar -C "$ROOT" --exclude=./build --exclude=./.git --exclude='./t/servroot*' \
        -cf - . | tar -C "$1" --no-same-owner -xf -
}
