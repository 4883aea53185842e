#!/bin/sh
# Builds the image and runs the container block of docs/deploy.md as it is written there, on a copy of the tracked
# files: `sh scripts/try_image.sh`, with Docker Compose 2.23 or newer and the ports 80 and 443. Its containers and volumes have a name of
# their own and are removed; the image customer-segments:local is the new one afterwards.
# Without a registry of images at hand: scripts/make_base_images.sh first. Ends with status 1 at the first thing that is wrong.
set -eu

cd "$(dirname "$0")/.."
export COMPOSE_PROJECT_NAME=customer-segments-try # none of the volumes of a service that is in use
work=$(mktemp --directory "${TMPDIR:-/tmp}/try-image.XXXXXX")
clean() {
    cd "$work/checkout" && docker compose down --volumes --timeout 30 >/dev/null 2>&1
    rm -rf "$work"
}
trap clean EXIT
mkdir "$work/checkout"
git ls-files -z | xargs -0 cp --parents --target-directory "$work/checkout"
cd "$work/checkout"
mkdir certificates
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=segments.shop.example -addext subjectAltName=DNS:segments.shop.example \
    -keyout certificates/privkey.pem -out certificates/fullchain.pem 2>/dev/null

say() { echo "== $*"; }
must() { # <what> <command ...>: quiet unless it fails
    say "$1"
    shift
    "$@" >"$work/output" 2>&1 || { cat "$work/output" >&2; exit 1; }
}
inside() { docker compose exec -T "$@"; }
cat >"$work/ask" <<'ASK'
#!/bin/sh
exec curl --silent --show-error --fail --cacert certificates/fullchain.pem --resolve segments.shop.example:443:127.0.0.1 "$@"
ASK
chmod +x "$work/ask"
export PATH="$work:$PATH"

sed -n '/^## With containers/,$ { /^```bash containers$/,/^```$/ { /^```/d; p } }' docs/deploy.md >"$work/block.sh"
must "the block of docs/deploy.md" sh -eu "$work/block.sh"

must "nothing that it does not run with is in the image, secrets above all" inside web sh -eu -c '
    test "$(id --user)" = 10001
    for name in .env .git certificates docs tests bench deploy scripts Dockerfile; do test ! -e "$name" || { echo "$name is there"; exit 1; }; done
    test ! -w .
    for program in pip gcc cc make git; do if command -v $program; then exit 1; fi; done
    if python -m pip --version; then exit 1; fi
    if touch /srv/written; then exit 1; fi
    touch "$VAR_DIR/written" && rm "$VAR_DIR/written"'
must "the deployment checks" inside worker python manage.py check --deploy --database default --fail-level WARNING
must "a backup, with pg_dump of the image" inside worker sh -eu -c 'python manage.py backup "$VAR_DIR/backups"; rm -r "$VAR_DIR/backups"'

must "a request through nginx and PgBouncer" sh -eu -c "$(cat <<'REQUEST'
token() { python3 -c 'import json, sys; print(json.load(sys.stdin)["access_token"])'; }
url=https://segments.shop.example
secret=$(docker compose exec -T worker python manage.py create_api_client acme --client-id backend --all-scopes | sed -n 's/^client_secret: //p')
token=$(ask $url/oauth/token -d grant_type=client_credentials -d client_id=backend -d "client_secret=$secret" | token)
ask -H "Authorization: Bearer $token" -H 'Content-Type: application/json' $url/customer-segment/acme/segments \
    -d '{"id": "gold", "name": {"en": "Gold"}, "siteCode": "main", "status": "ACTIVE"}'
ask -H "Authorization: Bearer $token" $url/customer-segment/acme/segments | grep '"gold"'
ask "$url/readyz?deep=1" | grep '"lastHeartbeat": "'
REQUEST
)"
must "no metrics for the world" sh -c '! ask https://segments.shop.example/metrics'

sed -n 's/^With containers: `\([^`]*\)`.*/\1/p' docs/upgrades.md >"$work/upgrade.sh"
must "the upgrade of docs/upgrades.md" sh -eu -c "test -s '$work/upgrade.sh'; . '$work/upgrade.sh'"
docker compose up --detach --wait >/dev/null 2>&1
must "a request after it" ask https://segments.shop.example/readyz

say "both end on SIGTERM"
docker compose stop --timeout 30 web worker 2>/dev/null
for service in web worker; do
    code=$(docker inspect --format '{{.State.ExitCode}}' "$(docker compose ps --all --quiet $service)")
    [ "$code" = 0 ] || { echo "$service ended with status $code" >&2; docker compose logs --tail 20 $service >&2; exit 1; }
done

must "an image with all extras" docker build --quiet --tag customer-segments:extras --build-arg EXTRAS="oidc totp sentry opentelemetry" .
must "which are there" docker run --rm customer-segments:extras python -c 'import django_otp, mozilla_django_oidc, opentelemetry.sdk, sentry_sdk'
docker image ls --format '== {{.Repository}}:{{.Tag}} {{.Size}}' customer-segments
docker image rm customer-segments:extras >/dev/null
say "all of it holds"
