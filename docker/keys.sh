#!/bin/sh
# Makes a key: its SHA-256 goes to secrets/keys.txt, the key itself to the terminal, once. The first run also makes the
# key that Prometheus scrapes with. The gateway reads the file at its start: docker compose restart gateway.
#   docker/keys.sh NAME       needs an image, nagayomi:gpu or nagayomi:cpu; SECRETS= names another folder
set -eu
cd "$(dirname "$0")/.."
name=${1:?"whose key? docker/keys.sh NAME"}
secrets=${SECRETS:-$(sed -n 's/^SECRETS=//p' .env 2> /dev/null | tail -n 1 | sed "s/^\([\"']\)\(.*\)\1\$/\2/")}  # Compose reads .env; a shell does not
secrets=${secrets:-secrets}
image=nagayomi:gpu
docker image inspect $image > /dev/null 2>&1 || image=nagayomi:cpu
docker image inspect $image > /dev/null 2>&1 || {
  echo "There is no image nagayomi:gpu or nagayomi:cpu yet; docker compose build makes one." >&2
  exit 1
}

# The containers' user is not the owner of these files and has to read them: what keeps other users of this machine away
# from them is the folder, which a bind mount passes by.
mkdir -p -m 700 "$secrets"
umask 022
touch "$secrets/keys.txt"

# The key goes to standard error; only what the service may keep, to the file.
add() {
  if grep -q "^$1:" "$secrets/keys.txt"; then
    echo "There is a key named $1 already; remove its line from $secrets/keys.txt, or choose another name." >&2
    return 1
  fi
  docker run --rm --network none --read-only --cap-drop ALL $image keys "$1" >> "$secrets/keys.txt"
}

if [ ! -e "$secrets/prometheus-key" ]; then
  shown=$(add prometheus 2>&1) || { echo "$shown" >&2; exit 1; }
  printf %s "${shown##*: }" > "$secrets/prometheus-key"
fi
add "$name"
