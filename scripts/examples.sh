#!/usr/bin/env bash
# Runs every example and compares what it prints with examples/<name>.out.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo build --locked --examples
examples=${CARGO_TARGET_DIR:-target}/debug/examples
work=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null; rm -rf "$work"' EXIT

compare() {
    if ! diff -u "examples/$1.out" "$work/$1.out"; then
        echo "example $1 prints something else"
        exit 1
    fi
    echo "example $1: as expected"
}

for source in examples/*.rs; do
    name=$(basename "$source" .rs)
    [ "$name" = word_count ] && continue
    "$examples/$name" >"$work/$name.out"
    compare "$name"
done

# The word count reads a socket for ever: it is fed two lines, and stopped when it has printed what they make.
if command -v python3 >/dev/null; then
    python3 - "$work/port" <<'PYTHON' &
import os, socket, sys, time
server = socket.create_server(("127.0.0.1", 0))
with open(sys.argv[1] + ".new", "w") as file:
    file.write(str(server.getsockname()[1]))
os.rename(sys.argv[1] + ".new", sys.argv[1])
client, _ = server.accept()
client.sendall(b"the owl and the mouse\nthe owl\n")
time.sleep(600)
PYTHON
    until [ -s "$work/port" ]; do sleep 0.05; done
    "$examples/word_count" 127.0.0.1 "$(cat "$work/port")" >"$work/word_count.all" &
    for _ in $(seq 600); do
        grep -q '| the *| *3 |' "$work/word_count.all" && break
        sleep 0.05
    done
    if ! grep -q '| the *| *3 |' "$work/word_count.all"; then
        cat "$work/word_count.all"
        echo "example word_count did not count three times \`the\`"
        exit 1
    fi
    echo "example word_count: as expected"
else
    echo "skipped: example word_count is fed by python3, and there is none"
fi
