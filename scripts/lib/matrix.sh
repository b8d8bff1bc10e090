# The tests on several releases of Debian; sourced by scripts/test.
#
#     matrix [RELEASE[:SERVER] ...] [NAME ...]
#
# A row is a release with one server, redis or valkey.  Each release has a
# chroot of its own, build/chroot/CODENAME, which stays; what a row has said is
# in build/chroot/CODENAME:SERVER.log.  Rows run one after the other.
#
# The name "run" stands for scripts/run where nothing is installed yet.

MATRIX="bookworm:redis trixie:redis trixie:valkey sid:redis sid:valkey"


# of a package in a chroot, as its authors call it
version_in() {
    local version

    version=$(dpkg-query --admindir="$1/var/lib/dpkg" -W -f '${Version}' "$2" \
              2>/dev/null) || version=-

    version=${version#*:}
    version=${version%%[-+~]*}
    printf '%s' "${version%.dfsg*}"
}


table_row() {
    local dir=$CHROOTS/${1%:*} server=${1#*:}

    printf '| %s | %s | %s | %s | %s | %s %s | %s |\n' "${1%:*}" \
        "$(version_in "$dir" nginx)" \
        "$(version_in "$dir" libhiredis-dev)" \
        "$(version_in "$dir" libcurl4-openssl-dev)" \
        "$(version_in "$dir" libssl-dev)" \
        "${server^}" "$(version_in "$dir" "$server-server")" "$2"
}


# scripts/run as a user meets it for the first time
fresh() {
    local dir=$CHROOTS/run

    remove_chroot "$dir"
    make_chroot "$1" "$dir"

    step "$1: scripts/run in a fresh system" in_chroot "$dir" sh -c '
        scripts/run "What is Python?" >/tmp/log 2>&1
        rc=$?
        cat /tmp/log
        [ $rc = 0 ] && grep -qi "^cache-status: ngx_chat; hit" /tmp/log \
            && [ "$(scripts/run stop)" = stopped ] \
            && [ "$(scripts/run stop)" = "nothing runs" ]'

    remove_chroot "$dir"
}


# row RELEASE:SERVER NAME ...: adds to what has passed and failed
row() {
    local row=$1 dir=$CHROOTS/${1%:*} log=$CHROOTS/$1.log rc=0 start=$SECONDS
    local counts passed failed skipped

    shift
    say
    say "## $row"

    make_chroot "${row%:*}" "$dir"

    in_chroot "$dir" sh -c 'apt-get update -q
        DEBIAN_FRONTEND=noninteractive apt-get upgrade -q -y' >"$log" 2>&1 \
        || {
            tail -n 20 "$log" >&2
            die "the chroot cannot be brought up to date, see $log"
        }

    # the way to npm's registry is this machine's, as are its certificates

    if [ $# = 0 ] || [[ " $* " =~ [\ /]demo(\.t)?\  ]]; then
        need_playwright
        rm -rf "$dir/src/build/npm"
        cp -a "$BUILD/npm" "$dir/src/build/"
    fi

    in_chroot "$dir" env CHAT_TEST_REDIS="${row#*:}" scripts/test "$@" 2>&1 \
        | tee "$log" || rc=$?

    # the summary at the end of a run

    counts=$(grep -E '^[0-9]+ passed, [0-9]+ failed$' "$log" | tail -n 1 || true)
    passed=$(awk '{ print $1 + 0 }' <<<"$counts")
    failed=$(awk '{ print $3 + 0 }' <<<"$counts")
    skipped=$(sed -n 's/^\([0-9]*\) skipped$/\1/p' "$log" | tail -n 1)

    if [ $rc != 0 ]; then
        [ "$failed" != 0 ] || failed=1
        FAULTS+=("$row, see $log")
    fi

    PASSED=$((PASSED + passed))
    FAILED=$((FAILED + failed))
    SKIPPED=$((SKIPPED + ${skipped:-0}))

    counts="$passed passed, $failed failed${skipped:+, $skipped skipped}"
    TABLE+=$(table_row "$row" "$counts, $((SECONDS - start)) s")$'\n'
}


matrix() {
    local rows=() names=() word row fresh=

    for word in "$@"; do
        case $word in
        *:redis|*:valkey)
            rows+=("$word")
            ;;

        *)
            if [ "$word" = run ]; then
                fresh=yes

            elif [[ " $MATRIX" == *" $word:"* ]]; then
                for row in $MATRIX; do
                    [ "${row%:*}" != "$word" ] || rows+=("$row")
                done

            else
                names+=("$word")
            fi
            ;;
        esac
    done

    # shellcheck disable=SC2206
    [ ${#rows[@]} != 0 ] || rows=($MATRIX)

    TABLE=

    if [ -n "$fresh" ] || [ ${#names[@]} = 0 ]; then
        for row in $(printf '%s\n' "${rows[@]%:*}" | uniq); do
            fresh "$row"
        done
    fi

    if [ -n "$fresh" ] && [ ${#names[@]} = 0 ]; then
        return
    fi

    for row in "${rows[@]}"; do
        row "$row" "${names[@]}"
    done

    say
    say "| Debian | nginx | hiredis | curl | OpenSSL | server | tests |"
    say "|---|---|---|---|---|---|---|"
    printf '%s' "$TABLE"
}
