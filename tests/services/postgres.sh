#!/usr/bin/env bash
# A private PostgreSQL for tests: its own data, a free port of 127.0.0.1, no password, from Debian's package.
#
#   postgres.sh start DIR   prints the URL of the database `reprise`; on a DIR started before, the same server with its data
#   postgres.sh stop DIR    ends exactly that server and removes its data
#
# DIR/postgres.pid holds the server's process id: kill -9, SIGSTOP and SIGCONT it at will. DIR/postgres.log is its log.
# PostgreSQL refuses to run as root: started by root, it runs as the user `postgres`.
# Exit codes: 0 done, 1 failed, 2 wrong usage, 3 no PostgreSQL to be had here.
set -euo pipefail

unavailable() { echo "postgres.sh: no PostgreSQL here: $1" >&2; exit 3; }

programs() { # prints the folder of the newest server's programs
    local found
    found=$(ls -d /usr/lib/postgresql/*/bin /usr/pgsql-*/bin 2>/dev/null | sort -V | tail -n 1 || true)
    if [ -z "$found" ] && command -v initdb >/dev/null; then found=$(dirname "$(readlink -f "$(command -v initdb)")"); fi
    [ -n "$found" ] && [ -x "$found/initdb" ] && echo "$found"
}

need_postgres() {
    bin=$(programs) && return
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        unavailable "install the package postgresql (initdb was not found)"
    fi
    echo "postgres.sh: installing postgresql" >&2
    # The package would start a server of its own: not wanted.
    mkdir -p /etc/postgresql-common
    [ -f /etc/postgresql-common/createcluster.conf ] ||
        echo "create_main_cluster = false" >/etc/postgresql-common/createcluster.conf
    DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends postgresql >&2 ||
        { apt-get update >&2 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends postgresql >&2; } ||
        unavailable "the package postgresql could not be installed"
    bin=$(programs) || unavailable "the package postgresql brought no initdb"
}

as_server() { # COMMAND...: as the user the server runs as
    if [ "$(id -u)" = 0 ]; then (cd / && exec runuser -u postgres -- "$@"); else "$@"; fi
}

listening() { (: <"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

free_port() {
    local port
    for _ in $(seq 50); do
        port=$((20000 + RANDOM % 12000)) # below Linux's ephemeral range, so that no client socket takes it meanwhile
        listening "$port" || { echo "$port"; return; }
    done
    echo "postgres.sh: no free port found" >&2
    exit 1
}

# The server's folder: in DIR, unless its user cannot get there or the path is too long for a socket (107 bytes).
choose_home() { # DIR
    local home=$1/postgres
    mkdir -p "$home"
    if [ "$(id -u)" = 0 ]; then chown postgres "$home"; fi
    chmod 700 "$home"
    if [ ${#home} -gt 80 ] || ! as_server test -w "$home"; then
        rm -rf "$home"
        home=$(mktemp -d /tmp/reprise-postgres.XXXXXX)
        if [ "$(id -u)" = 0 ]; then chown postgres "$home"; fi
    fi
    echo "$home" >"$1/postgres.home"
}

create() { # HOME PORT
    as_server "$bin/initdb" -D "$1/data" -U postgres -A trust -E UTF8 --locale=C --no-sync >"$1/initdb.log" 2>&1 ||
        { cat "$1/initdb.log" >&2; exit 1; }
    as_server tee -a "$1/data/postgresql.conf" >/dev/null <<SETTINGS
listen_addresses = '127.0.0.1'
port = $2
unix_socket_directories = '$1'
fsync = on
max_connections = 60
shared_buffers = 64MB
SETTINGS
}

launch() { # HOME LOG
    # The output is collected by the server's user and moved to DIR/postgres.log, which that user may not write.
    as_server "$bin/pg_ctl" -D "$1/data" -w -t 30 -l "$1/server.log" start </dev/null >"$1/start.log" 2>&1
}

server_pid() { head -n 1 "$1/data/postmaster.pid" 2>/dev/null; } # HOME

# Whether the process is still our server: ids are used again.
running() { # HOME
    local pid
    pid=$(server_pid "$1") && grep -qzF "$1/data" "/proc/$pid/cmdline" 2>/dev/null
}

url() { echo "postgres://postgres@127.0.0.1:$(sed -n 's/^port = //p' "$1/data/postgresql.conf" | tail -n 1)/reprise"; } # HOME

start() { # DIR
    mkdir -p "$1"
    local dir home
    dir=$(cd "$1" && pwd)
    need_postgres
    home=$(cat "$dir/postgres.home" 2>/dev/null || true)
    if [ -n "$home" ] && [ -f "$home/ready" ]; then
        running "$home" || restart "$home"
    else
        for attempt in 1 2 3; do
            choose_home "$dir"
            home=$(cat "$dir/postgres.home")
            create "$home" "$(free_port)"
            launch "$home" && break
            echo "postgres.sh: attempt $attempt to start failed" >&2
            cat "$home/server.log" >&2 || true
            end "$home"
            [ "$attempt" != 3 ] || exit 1
        done
        "$bin/createdb" -h 127.0.0.1 -p "$(sed -n 's/^port = //p' "$home/data/postgresql.conf" | tail -n 1)" -U postgres reprise
        touch "$home/ready"
    fi
    ln -sf "$home/server.log" "$dir/postgres.log"
    server_pid "$home" >"$dir/postgres.pid"
    url "$home"
}

# After a kill -9 the killed server's children need a moment to notice.
restart() { # HOME
    for _ in $(seq 20); do
        launch "$1" && return
        sleep 0.5
    done
    cat "$1/start.log" "$1/server.log" >&2
    exit 1
}

end() { # HOME: ends the server and removes its data
    if running "$1"; then
        local pid
        pid=$(server_pid "$1")
        kill -CONT "$pid" 2>/dev/null || true
        as_server "$bin/pg_ctl" -D "$1/data" -m fast -t 10 -w stop >/dev/null 2>&1 ||
            as_server "$bin/pg_ctl" -D "$1/data" -m immediate -t 5 -w stop >/dev/null 2>&1 || kill -KILL "$pid" 2>/dev/null || true
    fi
    rm -rf "$1"
}

stop() { # DIR
    [ -f "$1/postgres.home" ] || return 0
    local dir
    dir=$(cd "$1" && pwd)
    bin=$(programs) || unavailable "its programs have disappeared"
    end "$(cat "$dir/postgres.home")"
    rm -f "$dir/postgres.home" "$dir/postgres.pid" "$dir/postgres.log"
}

case "${1:-}" in
    start) [ $# = 2 ] && start "$2" && exit 0 ;;
    stop) [ $# = 2 ] && stop "$2" && exit 0 ;;
esac
echo "usage: postgres.sh start DIR | stop DIR" >&2
exit 2
