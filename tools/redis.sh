#!/usr/bin/env bash
# Makes redis-server available to the tests of packages/queue: nothing to do where there is one; else from the packages of the system, or
# of Debian unpacked into a folder that the tests look into. Ends with 0 only when there is one.
set -euo pipefail
cd "$(dirname "$0")/.."
cache=$PWD/node_modules/.cache/redis

if command -v redis-server >/dev/null || [ -x "$cache/bin/redis-server" ]; then exit 0; fi
command -v apt-get >/dev/null || { echo "There is neither redis-server nor apt-get." >&2; exit 1; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'tail -n 5 "$work"/*.log >&2' ERR

if [ "$(id -u)" = 0 ]; then
  # RUNLEVEL=1 keeps the package from starting its service.
  { apt-get update && RUNLEVEL=1 apt-get install -y --no-install-recommends redis-server; } >"$work/install.log" 2>&1 &&
    command -v redis-server >/dev/null && exit 0
fi

# The package lists of a system may be absent or out of date, and only root may renew them: these are our own.
mkdir -p "$cache" "$work/lists/partial" "$work/archives/partial"
options=(-o "Dir::State::lists=$work/lists" -o "Dir::Cache=$work" -o APT::Sandbox::User=root)
apt-get "${options[@]}" update >"$work/download.log" 2>&1 || true
(cd "$work" && apt-get "${options[@]}" download redis-server redis-tools libjemalloc2 liblzf1 libatomic1 >>"$work/download.log" 2>&1)
for package in "$work"/*.deb; do dpkg-deb -x "$package" "$cache/unpacked"; done
mkdir -p "$cache/bin"
libraries=$(find "$cache/unpacked" -name '*.so*' -printf '%h\n' | sort -u | paste -sd:)
cat >"$cache/bin/redis-server.new" <<END
#!/bin/sh
LD_LIBRARY_PATH='$libraries' exec '$cache/unpacked/usr/bin/redis-server' "\$@"
END
chmod +x "$cache/bin/redis-server.new"
"$cache/bin/redis-server.new" --version >/dev/null
mv "$cache/bin/redis-server.new" "$cache/bin/redis-server"
