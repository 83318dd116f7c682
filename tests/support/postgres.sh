#!/usr/bin/env bash
# A throw-away PostgreSQL cluster, for tests/run and for tests that stop and restart a database.
#
#   postgres.sh create DIR PORT [name=value ...]   initdb in DIR (which must not exist), settings added
#   postgres.sh start DIR                          waits until it answers; prints its URL
#   postgres.sh stop DIR                           at once, as a crash would (immediate mode)
#   postgres.sh destroy DIR                        stop, and remove DIR
#
# It listens on 127.0.0.1:PORT alone and trusts everybody there; its log is DIR/log.
# PostgreSQL refuses to run as root: root acts as the user `postgres` of Debian's package.
set -euo pipefail

create() {
    local dir=$1 port=$2 setting
    shift 2
    mkdir -m 700 "$dir"
    if ((EUID == 0)); then
        chown postgres: "$dir"
        # a parent made by mktemp -d is closed to others; the cluster only has to pass through it
        as_postgres test -x "$dir" || chmod o+x "$(dirname "$dir")"
        as_postgres test -x "$dir" || fail "the user postgres cannot reach $dir"
    fi
    as_postgres "$bin/initdb" --pgdata="$dir/data" --username=postgres --auth=trust --encoding=UTF8 \
        --no-locale --no-sync >"$dir/initdb.log" 2>&1 || fail "initdb failed: $(<"$dir/initdb.log")"
    for setting in "port=$port" "listen_addresses='127.0.0.1'" "unix_socket_directories='$dir'" \
        max_connections=300 "$@"; do
        echo "$setting"
    done >>"$dir/data/postgresql.conf"
}

start() {
    local dir=$1 port
    as_postgres "$bin/pg_ctl" start --pgdata="$dir/data" --log="$dir/log" --wait --timeout=60 >/dev/null ||
        fail "PostgreSQL does not start: $(tail -n 5 "$dir/log")"
    port=$(sed -n 4p "$dir/data/postmaster.pid")
    echo "postgres://postgres@127.0.0.1:$port/postgres"
}

stop() {
    local dir=$1
    [[ -e $dir/data/postmaster.pid ]] || return 0
    as_postgres "$bin/pg_ctl" stop --pgdata="$dir/data" --mode=immediate --wait --timeout=60 >/dev/null
}

destroy() {
    stop "$1" || true
    rm -rf "$1"
}

# Without the caller's environment, where PGPORT and the like would be heard; from a folder that everybody may enter.
as_postgres() {
    local become=()
    ((EUID != 0)) || become=(setpriv --reuid=postgres --regid=postgres --init-groups)
    (cd / && exec "${become[@]}" env -i PATH=/usr/bin:/bin LC_ALL=C "$@")
}

# Debian keeps the server programs out of PATH; the newest version wins.
find_bin() {
    local initdb
    initdb=$(printf '%s\n' /usr/lib/postgresql/*/bin/initdb | sort -V | tail -n 1)
    [[ -x $initdb ]] || initdb=$(readlink -f "$(command -v initdb)") || return 1
    dirname "$initdb"
}

fail() {
    echo "postgres.sh: $*" >&2
    exit 1
}

case ${1-} in
create | start | stop | destroy)
    (($# >= 2)) || fail "$1 needs a directory"
    bin=$(find_bin) || fail "found no initdb: is the package postgresql installed?"
    command=$1 directory=$(realpath -m "$2")
    shift 2
    "$command" "$directory" "$@"
    ;;
*) fail "usage: postgres.sh create DIR PORT [name=value ...] | start DIR | stop DIR | destroy DIR" ;;
esac
