# Releases of Debian in chroots below build/chroot; sourced after common.sh, as
# root.
#
#     make_chroot CODENAME DIR   an empty minbase system with this repository
#                                in /src, of which /src/build is kept
#     in_chroot DIR COMMAND ...  runs the command in it, in /src
#     remove_chroot DIR
#
# Nothing is ever mounted there for others to see: each command has mounts and
# processes of its own, and both end with it, however that comes about.

CHROOTS=$BUILD/chroot


# apart COMMAND ...: with mounts and processes of its own, which end with ours
apart() {
    setpriv --pdeathsig KILL \
        unshare --mount --propagation private --pid --fork --kill-child "$@"
}


# Nothing of other file systems, whatever else may have gone wrong.
remove_chroot() {
    if grep -qF " $1/" /proc/mounts; then
        die "something is mounted below $1"
    fi

    rm -rf --one-file-system "$1"
}


# A minbase system, unpacked once: build/chroot/CODENAME.tar.
base_of() {
    local codename=$1 tar=$CHROOTS/$1.tar dir=$CHROOTS/$1.new mirror proxy
    local include=()

    [ ! -f "$tar" ] || return 0

    mkdir -p "$CHROOTS"
    remove_chroot "$dir"

    mirror=$(debian_mirror)
    [[ $mirror != https:* ]] || include=(--include=ca-certificates)

    # apt's way to the mirror is that of debootstrap, too

    proxy=$(apt-config shell P Acquire::http::Proxy)
    proxy=$(eval "$proxy"; printf '%s' "${P:-}")
    [ "$proxy" != DIRECT ] || proxy=

    say "making a chroot of $codename"

    apart env ${proxy:+http_proxy="$proxy"} \
        debootstrap --variant=minbase "${include[@]}" "$codename" "$dir" \
        "$mirror" >"$CHROOTS/$codename.log" 2>&1 \
        || {
            tail -n 20 "$CHROOTS/$codename.log" >&2
            die "debootstrap failed, see $CHROOTS/$codename.log"
        }

    apt-config dump | grep -E '^Acquire::https?::' \
        >"$dir/etc/apt/apt.conf.d/80mirror" || true
    printf 'Acquire::Languages "none";\n' >>"$dir/etc/apt/apt.conf.d/80mirror"
    printf '127.0.0.1 localhost\n::1 localhost\n' >"$dir/etc/hosts"

    tar -C "$dir" --one-file-system -cf "$tar.new" .
    mv "$tar.new" "$tar"
    remove_chroot "$dir"
}


make_chroot() {
    local codename=$1 dir=$2

    if [ ! -f "$dir/src/README.md" ]; then
        base_of "$codename"
        remove_chroot "$dir"
        mkdir -p "$dir"
        tar -C "$dir" -xf "$CHROOTS/$codename.tar"
    fi

    mkdir -p "$dir/src/build"

    find "$dir/src" -mindepth 1 -maxdepth 1 ! -name build \
        -exec rm -rf --one-file-system '{}' +
    copy_tree "$dir/src"
    cp -L /etc/resolv.conf "$dir/etc/resolv.conf"
}


in_chroot() {
    local dir=$1

    shift

    # shellcheck disable=SC2016
    apart bash -c '
        set -e

        # a root that is a mount may have namespaces below it

        mount --bind "$1" "$1"
        mount -t proc proc "$1/proc"
        mount --rbind /dev "$1/dev"
        mount -t tmpfs -o mode=1777 tmp "$1/tmp"

        # the first process is one that waits for those that nobody else does

        rc=0
        chroot "$1" env -i HOME=/root LC_ALL=C.UTF-8 TERM=dumb \
            PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
            sh -c '\''cd /src && exec "$@"'\'' "$@" || rc=$?
        exit $rc
    ' chroot "$dir" "$@"
}
