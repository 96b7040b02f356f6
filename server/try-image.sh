#!/usr/bin/env bash
# Builds the image without a Docker daemon, runs it as an ordinary user on a read-only root, and calls it.
# Needs root, buildah, debootstrap and util-linux (Debian packages of these names), and `make install`.
#   server/try-image.sh [slim|train]
# SITE_FILES names a folder that is copied over the base image's root first: certificates and pip settings of a network
# that has its own.
set -euo pipefail
target=${1:-slim}
here=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
port=${PORT:-8765}
export STORAGE_DRIVER=vfs BUILDAH_ISOLATION=chroot
step() { printf '\n== %s\n' "$*"; }

cleanup() {
  [ -z "${server:-}" ] || kill -KILL "$server" 2>/dev/null || true
  [ -z "${container:-}" ] || buildah rm "$container" >/dev/null 2>&1 || true
  rm -rf "$work"
}
trap cleanup EXIT

if ! buildah inspect --type image localhost/mlrules-base >/dev/null 2>&1; then
  step "Base image by debootstrap"
  debootstrap --variant=minbase --include=python3,python3-venv,ca-certificates "${SUITE:-bookworm}" "$work/base" >"$work/debootstrap.log" ||
    { tail -20 "$work/debootstrap.log"; exit 1; }
  [ -z "${SITE_FILES:-}" ] || cp -a "$SITE_FILES/." "$work/base/"
  scratch=$(buildah from scratch)
  buildah add -q "$scratch" "$work/base" /
  buildah commit -q "$scratch" localhost/mlrules-base
  buildah rm "$scratch" >/dev/null
  rm -rf "$work/base"
fi

step "Build the target $target"
time buildah bud -q --format docker --pull-never --layers --target "$target" --build-arg PYTHON_IMAGE=localhost/mlrules-base \
  ${TORCH_INDEX_URL:+--build-arg TORCH_INDEX_URL="$TORCH_INDEX_URL"} -t "localhost/mlrules-mcp:$target" "$here"
buildah inspect --type image --format '{{.OCIv1.Config.User}} {{.OCIv1.Config.Entrypoint}} {{.OCIv1.Config.Cmd}}' "localhost/mlrules-mcp:$target"

made=$("$here/.venv/bin/mlrules-mcp" token tester --scope analyze 2>"$work/token")
token=$(grep -o 'mlr_[^ ]*$' "$work/token")

step "Run it: user 65532, read-only root, only /tmp can be written"
container=$(buildah from --pull-never "localhost/mlrules-mcp:$target")
root=$(buildah mount "$container")
du -sh --exclude=proc "$root"
cat >"$work/run.sh" <<'INNER'
set -eu
root=$1 tokens=$2
shift 2
mount --bind "$root" "$root"
mount -o remount,bind,ro "$root"
mount -t proc proc "$root/proc"
mount -t tmpfs -o size=64m,mode=1777 tmpfs "$root/tmp"
mount --rbind /dev "$root/dev"
exec env -i PATH=/usr/bin:/bin:/usr/sbin HOME=/tmp PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 PYTHONUTF8=1 MLRULES_TOKENS="$tokens" \
  setpriv --no-new-privs chroot --userspec=65532:65532 "$root" "$@"
INNER
unshare --mount --pid --fork --kill-child sh "$work/run.sh" "$root" "$made" /bin/sh -c \
  'id -u; touch /srv/x 2>/dev/null && echo "root can be written" || echo "root is read-only"; touch /tmp/x && echo "/tmp can be written"'
unshare --mount --pid --fork --kill-child sh "$work/run.sh" "$root" "$made" \
  /opt/mlrules/bin/mlrules-mcp serve --transport http --host 0.0.0.0 --port "$port" >"$work/server.log" 2>&1 &
server=$!

step "Health"
for _ in $(seq 100); do curl -fsS -o /dev/null "http://127.0.0.1:$port/readyz" 2>/dev/null && break; sleep 0.2; done
curl -fsS "http://127.0.0.1:$port/readyz" || { cat "$work/server.log"; exit 1; }

step "A client"
"$here/.venv/bin/python" "$here/server/call.py" "http://127.0.0.1:$port/mcp" "$token"
curl -sS -o /dev/null -w 'without a token: status %{http_code}\n' -X POST -H 'content-type: application/json' -d '{}' "http://127.0.0.1:$port/mcp"

step "SIGTERM"
inner=$(pgrep -P "$server")
kill -TERM "$inner"
if wait "$server"; then code=0; else code=$?; fi
server=
cat "$work/server.log"
echo "ended with exit code $code"
