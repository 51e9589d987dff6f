#!/usr/bin/env bash
# The first crossing: a file goes up to a Ferryman of its own, is cut three times, survives a kill -9 of the server, and
# comes back byte for byte. first-crossing.md beside this script tells what happens in each step.
#
#   docs/tutorial/first-crossing.sh [FILE]     a file of 1 MiB or more; without one, 64 MiB of noise
#
# It needs bash, curl, and Ferryman: in .venv (make env) or on the PATH. Everything it writes goes to a temporary folder
# that it removes, and it ends no process but those that it has started.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
ferryman=$here/../../.venv/bin/ferryman
[ -x "$ferryman" ] || ferryman=$(command -v ferryman) || { echo "There is no ferryman here: run make env first." >&2; exit 1; }

work=$(mktemp -d)
server='' sender='' # the processes that are ours
clean_up() {
    for process in $sender $server; do
        kill -9 "$process" && wait "$process" || true
    done 2>/dev/null
    rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

quietly=(--silent --show-error --noproxy '*')

say() { printf '%s\n' "$*"; }

start_server() { # PORT, 0 for a free one
    : >"$work/said"
    "$ferryman" serve --port "$1" --data "$work/data" >"$work/said" 2>>"$work/log" &
    server=$!
    until grep -q 'listens on' "$work/said"; do
        kill -0 "$server" 2>/dev/null || { cat "$work/log" >&2; exit 1; }
        sleep 0.1
    done
    base=$(sed -n 's|.*listens on \(http://[^ ]*\)/ .*|\1|p' "$work/said")
}

field() { # NAME FILE: the value of a header field
    tr -d '\r' <"$2" | sed -n "s/^$1: //Ip" | head -n 1
}

ask_offset() { # how far the upload came, as the server tells it; what is still to be sent
    curl "${quietly[@]}" --head --output "$work/head" "$upload"
    offset=$(field upload-offset "$work/head")
    tail -c "+$((offset + 1))" "$file" >"$work/rest"
    rest=(-X PATCH -H "Upload-Offset: $offset" -H 'Upload-Complete: ?1' -H 'Content-Type: application/partial-upload'
        --data-binary "@$work/rest" --dump-header "$work/answer" --output /dev/null)
}

too_fast() {
    say "The upload was over before it could be cut; a larger file may help." >&2
    exit 1
}

end_sender() { # as when a cable is cut: nobody says goodbye
    kill -9 "$sender" 2>/dev/null || too_fast
    wait "$sender" 2>/dev/null || true
    sender=''
}

file=${1:-}
if [ -z "$file" ]; then
    file=$work/noise
    head -c $((64 << 20)) /dev/urandom >"$file"
fi
size=$(wc -c <"$file")
[ "$size" -ge $((1 << 20)) ] || { say "$file is too small to be cut: take one of 1 MiB or more." >&2; exit 1; }
slowly=(--limit-rate $((size / 10))) # bytes a second: slow enough to be cut on its way

say "The file: $size bytes."
start_server 0
say "The server: process $server, $base/"

say "First attempt, from the beginning, at $((size / 10)) bytes a second."
curl "${quietly[@]}" -X POST -H 'Upload-Draft-Interop-Version: 8' -H 'Upload-Complete: ?1' \
    -H 'Content-Type: application/octet-stream' -H 'Content-Disposition: inline; filename="crossing.bin"' \
    --data-binary "@$file" "${slowly[@]}" --dump-header "$work/answer" --output /dev/null "$base/files/" &
sender=$!
until [ -n "$(field location "$work/answer" 2>/dev/null)" ]; do
    kill -0 "$sender" 2>/dev/null || { cat "$work/answer" "$work/log" >&2; exit 1; }
    sleep 0.1
done
upload=$base$(field location "$work/answer")
say "The upload has a URL before its first byte: $upload"
sleep 1
end_sender
say "Cut 1: curl was killed in the middle."

for cut in 2 3; do
    ask_offset
    say "The server has $offset bytes; the rest goes on from there."
    curl "${quietly[@]}" "${rest[@]}" "${slowly[@]}" "$upload" &
    sender=$!
    sleep 1
    end_sender
    say "Cut $cut: curl was killed in the middle."
done

ask_offset
say "The server has $offset bytes; the rest goes on from there."
curl "${quietly[@]}" "${rest[@]}" "${slowly[@]}" "$upload" 2>"$work/broken" &
sender=$!
sleep 1
kill -9 "$server"
wait "$server" 2>/dev/null || true
if wait "$sender"; then too_fast; fi
sender=''
say "The server was killed with -9; $(cat "$work/broken")"
start_server "${base##*:}"
say "It is started again on the same data: process $server."

ask_offset
say "The server has $offset bytes; the rest goes on from there, at full speed."
curl "${quietly[@]}" "${rest[@]}" "$upload"
status=$(grep '^HTTP/' "$work/answer" | tail -n 1 | tr -d '\r')
say "The last answer: $status, Upload-Complete: $(field upload-complete "$work/answer")"

curl "${quietly[@]}" --output "$work/back" "$upload"
sent=$(sha256sum <"$file") back=$(sha256sum <"$work/back")
say "SHA-256 of the file:     ${sent%% *}"
say "SHA-256 of the download: ${back%% *}"
[ "$sent" = "$back" ] || { say "They differ!" >&2; exit 1; }
say "Three cuts, one killed server, the same bytes."
