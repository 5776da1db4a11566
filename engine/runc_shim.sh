#!/usr/bin/env bash
# Stands in for runc. Dagger gives a container the machine's own certificates by
# running update-ca-certificates in it before and after each command: two seconds
# of a processor for each step of a build. Where the outcome is certain, this does
# the same to the container's files in milliseconds; the real runc does the rest.
set -euo pipefail

readonly own=/usr/local/share/ca-certificates           # the same path here and in containers
readonly list=/usr/local/lib/cslr-images/certificates   # by namespace_init.sh: lines of NAME HASH
readonly added=/usr/local/lib/cslr-images/added         # containers that have them, with the files before and after
readonly never_ran=/usr/local/lib/cslr-images/never-ran

# Prints the container's root, if updating its certificates is all it is to do.
root_of_update() {
  local argument bundle='' previous=''
  for argument in "$@"; do
    [[ $previous == --bundle ]] && bundle=$argument
    previous=$argument
  done
  [[ -n $bundle ]] || return 1
  local root='"root":\{"path":"([^"]+)"' args='"args":\["update-ca-certificates"\]' spec
  spec=$(<"$bundle/config.json")
  [[ $spec =~ $args && $spec =~ $root ]] || return 1
  echo "${BASH_REMATCH[1]}"
}

# Before the command: the certificates lie in the container, and are not in use yet.
add() {
  local folder=$1/etc/ssl/certs name hash
  while read -r name hash; do
    [[ -f $1$own/$name.crt && ! -e $folder/$name.pem && ! -e $folder/$hash.0 ]] || return 1
  done <"$list"
  mkdir -p "$2"
  cp "$folder/ca-certificates.crt" "$2/before" || return 1
  while read -r name hash; do
    ln -s "$own/$name.crt" "$folder/$name.pem" &&
      ln -s "$name.pem" "$folder/$hash.0" &&
      cat "$own/$name.crt" >>"$folder/ca-certificates.crt" || return 1
  done <"$list"
  cp "$folder/ca-certificates.crt" "$2/after"
}

# After the command: certain only if the command left the certificates alone.
remove() {
  local folder=$1/etc/ssl/certs name hash
  cmp --quiet "$folder/ca-certificates.crt" "$2/after" || return 1
  cat "$2/before" >"$folder/ca-certificates.crt"
  while read -r name hash; do
    rm -f "$folder/$name.pem" "$folder/$hash.0"
  done <"$list"
}

update_quickly() {
  local root=$1 mark
  mark=$added/${root//\//_}
  # A link on the way could lead out of the container.
  [[ $(realpath -e "$root/etc/ssl/certs/ca-certificates.crt") == "$root/etc/ssl/certs/ca-certificates.crt" ]] || return 1
  if [[ -d $mark ]]; then
    remove "$root" "$mark" && rm -r "$mark"
  else
    add "$root" "$mark"
  fi
}

container=${*: -1}
if [[ " $* " == *" delete "* ]]; then
  # What the real runc never saw is gone without it.
  rm "$never_ran/$container" 2>/dev/null && exit 0
elif root=$(root_of_update "$@") && update_quickly "$root"; then
  : >"$never_ran/$container"
  exit 0
fi
exec /usr/sbin/runc "$@"
