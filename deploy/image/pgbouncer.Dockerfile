# PgBouncer, for a laptop and for a cluster whose operator brings none:
#
#   docker build --file deploy/image/pgbouncer.Dockerfile --tag rulebox-pgbouncer .
#
# Its settings are mounted: deploy/data/pgbouncer.ini says which.
ARG DEBIAN_TAG=bookworm-slim
ARG DEBIAN_DIGEST

FROM debian:${DEBIAN_TAG}${DEBIAN_DIGEST:+@${DEBIAN_DIGEST}} AS pgbouncer
ARG VERSION=0.0.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="rulebox-pgbouncer" \
      org.opencontainers.image.description="PgBouncer as Rulebox needs it" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
# The base is fixed by its digest; of its release, the version that has the security updates is the right one.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends pgbouncer postgresql-client-15 \
    && rm -rf /var/lib/apt/lists/* /etc/pgbouncer/*
USER 10001:10001
EXPOSE 6432
# SIGINT waits for transactions that are under way; the default, SIGTERM, cuts them in this version.
STOPSIGNAL SIGINT
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 CMD ["pg_isready", "--quiet", "--host=127.0.0.1", "--port=6432"]
ENTRYPOINT ["/usr/sbin/pgbouncer"]
CMD ["/etc/pgbouncer/pgbouncer.ini"]
