#!/usr/bin/env bash
# Run the registry and the engine as PID 1 of their own PID and mount namespaces.
# The script first provides the paths that are compiled into the engine, without
# changing the machine's files. When it ends, the kernel ends all other processes.
set -euo pipefail

here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
tools=$1 content=$2 state=$3 registry=$4 run=$5
# From the environment: DAGGER_*_MANIFEST_DIGEST, ENGINE_NETWORK, ENGINE_SUBNET,
# ENGINE_SOCKET and ENGINE_REGISTRY.

# Make a folder of the machine privately writable.
overlay() {
  local folder=$1 layers
  layers=$run/private/${folder//\//_}
  mkdir -p "$layers/upper" "$layers/work"
  mount -t overlay overlay -o "lowerdir=$folder,upperdir=$layers/upper,workdir=$layers/work" "$folder"
}

mkdir -p "$run/private"
mount -t tmpfs -o mode=700 tmpfs "$run/private"
# These may be mount points, which an overlay would hide.
cp --dereference /etc/resolv.conf /etc/hosts /etc/hostname "$run/private/"
overlay /etc
overlay /usr/local
cp "$run/private/"{resolv.conf,hosts,hostname} /etc/
mkdir -p /etc/dagger /usr/local/share/dagger/content
cp "$run/engine.json" /etc/dagger/engine.json
mount --bind "$content" /usr/local/share/dagger/content
install "$tools/init" /usr/local/bin/dagger-init
install "$here/runc_shim.sh" /usr/local/bin/runc
mkdir -p /usr/local/lib/cslr-images/{cni,added,never-ran}
for certificate in /usr/local/share/ca-certificates/*.crt; do
  [[ -e $certificate ]] || continue
  echo "$(basename "$certificate" .crt) $(openssl x509 -noout -subject_hash -in "$certificate")"
done >/usr/local/lib/cslr-images/certificates
# The engine's name server would listen on port 53 of all addresses of the machine:
# limit it to the engine's own network, so that other name servers can run.
printf '#!/bin/sh\nexec /usr/sbin/dnsmasq --bind-dynamic "$@"\n' >/usr/local/sbin/dnsmasq
chmod +x /usr/local/sbin/dnsmasq
# The machine's certificates are up to date already.
ln -sf /bin/true /usr/local/sbin/update-ca-certificates
ln -sf /bin/true /usr/local/sbin/c_rehash
export PATH=/usr/local/sbin:$PATH
for folder in /run/containers /var/lib/cni; do
  mkdir -p "$folder"
  mount -t tmpfs tmpfs "$folder"
done
cp /usr/lib/cni/{bridge,loopback,firewall,host-local} "$tools/dnsname" /usr/local/lib/cslr-images/cni/

"$tools/crane" registry serve --address "$ENGINE_REGISTRY" --disk "$registry" &
"$tools/engine" --root "$state" --addr "unix://$ENGINE_SOCKET" \
  --oci-cni-binary-dir /usr/local/lib/cslr-images/cni \
  --network-name "$ENGINE_NETWORK" --network-cidr "$ENGINE_SUBNET" &
engine=$!
trap 'kill -TERM "$engine"' TERM INT
# `wait` returns early when a signal arrives: repeat it until the engine has ended.
while kill -0 "$engine" 2>/dev/null; do
  wait "$engine" || true
done
