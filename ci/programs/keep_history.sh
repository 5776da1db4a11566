#!/bin/sh
# Keep the history of builds in a folder: `read`, `append` lines of a file, or mark a run as `live` until killed.
# `append` takes the name of the file that is appended to: history.jsonl, or `stages` with the digests and seconds of
# stages that were built outside of sweeps.
# A live run holds a lock on a file with its id, and loses the lock however it ends.
set -eu
command=$1 folder=$2
file=$folder/history.jsonl

case $command in
  read)
    # The machine is read in the same step, because a step of its own would take longer than the commands.
    sh "$(dirname "$0")/read_machine.sh" "$folder"
    mkdir -p "$folder/runs"
    touch "$file"
    cp "$file" "$3"
    cd "$folder/runs"
    for run in *; do
      [ -e "$run" ] || continue
      if flock --nonblock "$run" true; then rm -f "$run"; else echo "run $run"; fi
    done
    # Each stage once, with its newest time: the engine logs every line of the output.
    if [ -e "$folder/stages" ]; then
      tail -n 2000 "$folder/stages" |
        awk 'NF == 2 { seconds[$1] = $2 } END { for (digest in seconds) print "stage", digest, seconds[digest] }'
    fi
    ;;
  append)
    # One writer at a time. If a crash cut the last line, it is ended first, so that the new lines can be read.
    exec 9>>"$file.lock"
    flock 9
    file=$folder/$4
    touch "$file"
    [ -z "$(tail -c 1 "$file")" ] || echo >>"$file"
    cat "$3" >>"$file"
    sync "$file"
    ;;
  live)
    mkdir -p "$folder/runs"
    exec 9>"$folder/runs/$3"
    flock 9
    exec sleep infinity
    ;;
  *)
    echo "keep_history.sh: read, append or live?" >&2
    exit 2
    ;;
esac
