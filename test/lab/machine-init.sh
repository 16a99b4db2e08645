#!/usr/bin/env bash
# The first process of a lab machine, already in namespaces of its own (namespace.ts). It lays private file systems over
# whatever a machine writes to, makes the host's disk read-only below them, says "ready" and lives until its standard
# input ends. When it ends, the kernel ends every process of the machine.
set -euo pipefail
name=$1

mount -t tmpfs -o mode=755 machine /mnt
mkdir /mnt/upper /mnt/work
mount -t overlay -o lowerdir=/etc,upperdir=/mnt/upper,workdir=/mnt/work etc /etc
for folder in /home /root /run /tmp /var/tmp /var/log /var/mail /var/lib/sudo; do
  mode=755
  case $folder in
    /root) mode=700 ;;
    /tmp | /var/tmp | /var/mail) mode=1777 ;;
  esac
  if [ -d "$folder" ]; then mount -t tmpfs -o mode=$mode machine "$(readlink -f "$folder")"; fi
done
mount -o remount,bind,ro /
mkdir -p /run/sshd /run/lock
touch /run/utmp /var/log/wtmp /var/log/btmp /var/log/lastlog
chmod 600 /var/log/btmp

# The host's people, their hashes, its host keys, its sudo rules and its greeting are not this machine's.
awk -F: '$3 < 1000 || $3 == 65534' /etc/passwd >/mnt/passwd
awk -F: '{ print $1 ":*:19000:0:99999:7:::" }' /mnt/passwd >/mnt/shadow
awk -F: '$3 < 1000 || $3 == 65534 { print $1 ":" $2 ":" $3 ":" }' /etc/group >/mnt/group
awk -F: '{ print $1 ":*::" }' /mnt/group >/mnt/gshadow
for file in passwd shadow group gshadow; do cat "/mnt/$file" >"/etc/$file"; done
rm -rf /etc/passwd- /etc/shadow- /etc/group- /etc/gshadow- /etc/subuid- /etc/subgid-
rm -rf /etc/ssh/ssh_host_* /etc/ssh/sshd_config.d /etc/sudoers.d/* /etc/update-motd.d/*
: >/etc/motd
# Where the kernel lets nobody set the login uid, a required module would refuse every login.
if [ -e /etc/pam.d/sshd ]; then sed -i 's/^session\s\+required\s\+pam_loginuid/session optional pam_loginuid/' /etc/pam.d/sshd; fi
cp -a /etc/skel/. /root/

hostname "$name"
echo "$name" >/etc/hostname
printf '127.0.0.1 localhost\n127.0.1.1 %s\n' "$name" >/etc/hosts
ip link set lo up

echo ready
# Bash gathers the orphans of the machine while it waits here.
while read -r _; do :; done
