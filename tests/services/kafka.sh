#!/usr/bin/env bash
# A private Apache Kafka for tests: one KRaft node on free ports of 127.0.0.1, from Maven Central.
#
#   kafka.sh start DIR   prints HOST:PORT; on a DIR that was started before, the same broker with its data (after a kill -9)
#   kafka.sh stop DIR    ends exactly that process and removes its data
#   kafka.sh fetch       only fetches what start needs
#
# DIR/kafka.pid holds the broker's process id: kill -9, SIGSTOP and SIGCONT it at will. DIR/kafka.log is its log.
# Exit codes: 0 done, 1 failed, 2 wrong usage, 3 no Kafka to be had here (no Java, no network).
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${REPRISE_TEST_CACHE:-$here/../.cache}
cluster_id=cmVwcmlzZS10ZXN0cy0wMA # any 16 bytes in URL-safe base64

unavailable() { echo "kafka.sh: no Kafka here: $1" >&2; exit 3; }

install_from_debian() { # PACKAGE...
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || return 1
    echo "kafka.sh: installing $*" >&2
    DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@" >&2 ||
        { apt-get update >&2 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@" >&2; }
}

need_java() {
    local major
    major=$(java -version 2>&1 | sed -n 's/.*version "\([0-9]*\).*/\1/p' | head -n 1)
    if [ "${major:-0}" -lt 17 ]; then
        install_from_debian openjdk-17-jre-headless || unavailable "it needs Java 17 or newer (found: ${major:-none})"
    fi
}

# The jars land in a folder of their own and are renamed when complete, so that an interrupted fetch is never used.
fetch() {
    local version
    version=$(sed -n 's:.*<kafka.version>\(.*\)</kafka.version>.*:\1:p' "$here/pom.xml")
    jars=$cache/kafka-$version
    [ -d "$jars" ] && return
    need_java
    command -v mvn >/dev/null || install_from_debian maven || unavailable "fetching it needs Maven (mvn)"
    mkdir -p "$cache"
    local part
    part=$(mktemp -d "$cache/kafka-part.XXXXXX")
    if ! mvn -B -q -f "$here/pom.xml" dependency:copy-dependencies -DincludeScope=runtime "-DoutputDirectory=$part" >&2; then
        rm -rf "$part"
        unavailable "Maven could not fetch it (is Maven Central reachable?)"
    fi
    chmod 755 "$part"
    mv -T "$part" "$jars" 2>/dev/null || rm -rf "$part" # another fetch was quicker
}

listening() { (: <"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

free_port() {
    local port
    for _ in $(seq 50); do
        port=$((20000 + RANDOM % 12000)) # below Linux's ephemeral range, so that no client socket takes it meanwhile
        listening "$port" || { echo "$port"; return; }
    done
    echo "kafka.sh: no free port found" >&2
    exit 1
}

# Whether the process in the pid file is still ours: ids are used again.
running() { # DIR
    [ -f "$1/kafka.pid" ] && grep -qzF "$1/kafka/server.properties" "/proc/$(cat "$1/kafka.pid")/cmdline" 2>/dev/null
}

configure() { # DIR
    local dir=$1 port controller
    port=$(free_port)
    controller=$(free_port)
    while [ "$controller" = "$port" ]; do controller=$(free_port); done
    mkdir -p "$dir/kafka"
    echo "$port" >"$dir/kafka/port"
    cat >"$dir/kafka/server.properties" <<PROPERTIES
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$controller
listeners=PLAINTEXT://127.0.0.1:$port,CONTROLLER://127.0.0.1:$controller
advertised.listeners=PLAINTEXT://127.0.0.1:$port
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs=$dir/kafka/data
auto.create.topics.enable=false
num.partitions=6
default.replication.factor=1
min.insync.replicas=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=1
# Quick tests: no waiting for more members, short sessions allowed, tidy up often.
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
transaction.abort.timed.out.transaction.cleanup.interval.ms=1000
log.cleaner.dedupe.buffer.size=16777216
log.cleaner.backoff.ms=1000
log.retention.check.interval.ms=5000
num.network.threads=2
num.io.threads=4
background.threads=2
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
num.recovery.threads.per.data.dir=2
PROPERTIES
}

java_run() { # CLASS ARGUMENT...
    java -Xms128m -Xmx512m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Xshare:auto \
        -Dorg.slf4j.simpleLogger.showDateTime=true -Dorg.slf4j.simpleLogger.defaultLogLevel=info \
        -cp "$jars/*" "$@"
}

launch() { # DIR: starts the broker; succeeds when it answers
    local dir=$1 port pid
    port=$(cat "$dir/kafka/port")
    setsid -- bash -c 'echo $$ >"$1"; shift; exec "$@"' _ "$dir/kafka.pid" \
        java -Xms128m -Xmx512m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Xshare:auto \
        -Dorg.slf4j.simpleLogger.showDateTime=true -cp "$jars/*" kafka.Kafka "$dir/kafka/server.properties" \
        </dev/null >>"$dir/kafka.log" 2>&1 &
    for _ in $(seq 600); do
        sleep 0.1
        pid=$(cat "$dir/kafka.pid" 2>/dev/null || true)
        if [ -n "$pid" ] && ! kill -0 "$pid" 2>/dev/null; then return 1; fi
        # The log line comes after the port is open and the broker has joined its own cluster.
        if listening "$port" && tail -n +"$log_begins" "$dir/kafka.log" | grep -q 'Kafka Server started'; then return 0; fi
    done
    return 1
}

start() { # DIR
    mkdir -p "$1"
    local dir
    dir=$(cd "$1" && pwd)
    if running "$dir"; then
        echo "127.0.0.1:$(cat "$dir/kafka/port")"
        return
    fi
    need_java
    fetch
    local again=no
    [ -f "$dir/kafka/data/meta.properties" ] && again=yes
    for attempt in 1 2 3; do
        rm -f "$dir/kafka.pid"
        if [ $again = no ]; then
            rm -rf "$dir/kafka"
            configure "$dir"
            java_run kafka.tools.StorageTool format --cluster-id "$cluster_id" --config "$dir/kafka/server.properties" \
                >>"$dir/kafka.log" 2>&1 || { tail -n 20 "$dir/kafka.log" >&2; exit 1; }
        fi
        touch "$dir/kafka.log"
        log_begins=$(($(wc -l <"$dir/kafka.log") + 1))
        if launch "$dir"; then
            echo "127.0.0.1:$(cat "$dir/kafka/port")"
            return
        fi
        echo "kafka.sh: attempt $attempt to start failed" >&2
        end "$dir"
    done
    tail -n 30 "$dir/kafka.log" >&2
    exit 1
}

end() { # DIR: ends the process, kindly at first
    if running "$1"; then
        local pid
        pid=$(cat "$1/kafka.pid")
        kill -CONT "$pid" 2>/dev/null || true
        kill -TERM "$pid" 2>/dev/null || true
        for _ in $(seq 80); do
            running "$1" || break
            sleep 0.1
        done
        running "$1" && kill -KILL "$pid" 2>/dev/null
    fi
    rm -f "$1/kafka.pid"
}

stop() { # DIR
    [ -d "$1" ] || return 0
    local dir
    dir=$(cd "$1" && pwd)
    end "$dir"
    rm -rf "$dir/kafka"
}

case "${1:-}" in
    start) [ $# = 2 ] && start "$2" && exit 0 ;;
    stop) [ $# = 2 ] && stop "$2" && exit 0 ;;
    fetch) [ $# = 1 ] && fetch && exit 0 ;;
esac
echo "usage: kafka.sh start DIR | stop DIR | fetch" >&2
exit 2
