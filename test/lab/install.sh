#!/usr/bin/env bash
# Installs Debian packages for the tests, with every service kept from starting. As root only; one caller at a time.
# A policy-rc.d that was there before stays as it is; ours is taken away afterwards, also one that a killed run left.
set -euo pipefail

exec 9>/run/lock/sallyport-tests-packages.lock
flock 9

guard=/usr/sbin/policy-rc.d
mark='# put here by the tests of sallyport while they install packages'
if [ ! -e "$guard" ] || grep -qxF "$mark" "$guard"; then
  trap 'rm -f "$guard" "$guard.new"' EXIT
  trap 'exit 130' INT TERM HUP
  printf '#!/bin/sh\n%s\nexit 101\n' "$mark" >"$guard.new"
  chmod 755 "$guard.new"
  mv "$guard.new" "$guard"
fi

export DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1
apt() { apt-get -q -y -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 "$@" 9>&-; }

if ! compgen -G '/var/lib/apt/lists/*_Packages*' >/dev/null; then apt update; fi
# Lists that are too old name files that the mirror no longer has: then the lists are fetched, once.
if ! apt install --no-install-recommends "$@"; then
  apt update
  apt install --no-install-recommends "$@"
fi
