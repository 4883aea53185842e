#!/bin/bash
# Follows docs/deploy.md from top to bottom on an empty Debian 12 that systemd has booted, each command as the page has it, and the
# nightly backup of docs/backups.md: `bash scripts/try_machine.sh`, as root, with debootstrap, systemd-nspawn, ip and iptables.
# Commits count, not what is changed in the checkout. What stands in for the world: the name of the service is the machine's own with
# a certificate that it trusts, and the address to clone from leads to this checkout. MIRROR names another Debian mirror.
# A folder as argument is such a Debian, which is copied. Ends with status 1 at the first command that fails.
set -euo pipefail

cd "$(dirname "$0")/.."
work=$(mktemp --directory "${TMPDIR:-/var/tmp}/try-machine.XXXXXX")
machine=$work/machine
space=try-machine
log=$work/log
nspawn=""
clean() {
    if [ -n "$nspawn" ]; then
        kill -s RTMIN+4 "$(pgrep --parent "$nspawn")" 2>/dev/null || true # systemd powers off
        wait "$nspawn" || true
    fi
    ip netns delete $space 2>/dev/null || true
    iptables -t nat -D POSTROUTING -s 10.189.0.0/30 -j MASQUERADE 2>/dev/null || true
    iptables -D FORWARD -i $space -j ACCEPT 2>/dev/null || true
    iptables -D FORWARD -o $space -j ACCEPT 2>/dev/null || true
    rm -rf "$work"
}
trap clean EXIT
say() { echo "== $*"; }

say "an empty Debian 12"
if [ $# -gt 0 ]; then
    cp -a "$1" "$machine"
else
    debootstrap --variant=minbase --include=systemd,systemd-sysv,dbus,ca-certificates bookworm "$machine" \
        ${MIRROR:+"$MIRROR"} >"$log" 2>&1 || { tail "$log" >&2; exit 1; }
fi
git clone --quiet --bare . "$machine/srv/repository"
cat >"$machine/etc/gitconfig" <<CONFIG
[url "/srv/repository"]
    insteadOf = https://git.shop.example/customer-segments
CONFIG
echo "127.0.0.1 localhost segments.shop.example" >"$machine/etc/hosts"
cp /etc/resolv.conf "$machine/etc/resolv.conf"
mkdir -p "$machine/etc/nginx/certificates"
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=segments.shop.example -addext subjectAltName=DNS:segments.shop.example \
    -keyout "$machine/etc/nginx/certificates/privkey.pem" -out "$machine/etc/nginx/certificates/fullchain.pem" 2>/dev/null
# A proxy before the package index may have a certificate that only this machine knows
cp -r /usr/local/share/ca-certificates/. "$machine/usr/local/share/ca-certificates/"
cp "$machine/etc/nginx/certificates/fullchain.pem" "$machine/usr/local/share/ca-certificates/segments.crt"
chroot "$machine" update-ca-certificates >/dev/null
echo "PIP_CERT=/etc/ssl/certs/ca-certificates.crt" >>"$machine/etc/environment"

say "systemd boots it"
ip netns add $space
ip link add $space type veth peer name host0 netns $space
ip address add 10.189.0.1/30 dev $space && ip link set $space up
ip -n $space address add 10.189.0.2/30 dev host0
ip -n $space link set lo up && ip -n $space link set host0 up && ip -n $space route add default via 10.189.0.1
sysctl --quiet net.ipv4.ip_forward=1
iptables -t nat -A POSTROUTING -s 10.189.0.0/30 -j MASQUERADE
iptables -I FORWARD -i $space -j ACCEPT
iptables -I FORWARD -o $space -j ACCEPT
systemd-nspawn --directory "$machine" --boot --register=no --keep-unit --console=pipe --resolv-conf=off \
    --network-namespace-path=/run/netns/$space </dev/null >"$log" 2>&1 &
nspawn=$!
inside() { # <command ...> on the machine, as root with the environment of a login
    nsenter --target "$(pgrep --parent "$nspawn")" --mount --uts --ipc --net --pid \
        env -i HOME=/root LANG=C.UTF-8 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
        PIP_CERT=/etc/ssl/certs/ca-certificates.crt sh -c 'cd /root && exec "$@"' - "$@"
}
state=""
for _ in $(seq 120); do
    state=$(inside systemctl is-system-running 2>/dev/null || true)
    case $state in running | degraded) break ;; esac
    sleep 0.5
done
case $state in running | degraded) ;; *) echo "systemd does not get ready: $state" >&2; exit 1 ;; esac

# The blocks of a page: those of a step, with all marks or with one
blocks() { # <page> <heading>
    awk -v heading="$2" '
        /^## / { inside = index($0, heading) == 1 }
        inside && /^```bash/ { printing = 1; next }
        /^```$/ { printing = 0 }
        printing' "docs/$1"
}
run() { # <user> <what is run>
    say "as $1: $(grep --count . <<<"$2") lines"
    inside runuser -u "$1" -- bash -euo pipefail -c "$2" >"$log" 2>&1 || { echo "$2" >&2; tail -n 40 "$log" >&2; exit 1; }
}

run root "$(for step in '## 1.' '## 2.' '## 3.'; do blocks deploy.md "$step"; done)"
settings="$(blocks deploy.md '## 4.')"
run segments "$settings
$(blocks deploy.md '## 5.')
$(blocks deploy.md '## 6.')"
service="$(blocks deploy.md '## 7.')"
run root "${service%%curl *}"
run segments "$settings
curl ${service#*curl }
$(blocks deploy.md '## 8.')"
tail -n 1 "$log" | grep --quiet '"2"' || { echo "The match has not found the product: $(tail -n 1 "$log")" >&2; exit 1; }

say "reload, stop and start by systemd"
run root "systemctl reload customer-segments
systemctl restart customer-segments
curl --silent --show-error --fail --retry 30 --retry-delay 1 --retry-connrefused https://segments.shop.example/readyz
systemctl stop customer-segments
test \"\$(systemctl show --property Result --value customer-segments)\" = success
systemctl start customer-segments"

run root "cd /srv/customer-segments
$(blocks backups.md '## Every night')
systemctl start customer-segments-backup
ls /var/backups/customer-segments/*.dump
cp deploy/customer-segments-worker.service /etc/systemd/system/
systemctl daemon-reload
systemd-analyze verify /etc/systemd/system/customer-segments*
systemd-analyze security --no-pager --threshold=25 customer-segments customer-segments-worker customer-segments-backup"
grep 'Overall exposure' "$log"
say "all of it holds"
