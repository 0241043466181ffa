# One image for every process of Hefu; docker-compose.yml says which process a container is.
FROM python:3.12-slim AS build
WORKDIR /src
COPY requirements-bootstrap.lock requirements.lock ./
RUN python -m venv /opt/hefu \
 && /opt/hefu/bin/python -m pip install --quiet --require-hashes --no-deps -r requirements-bootstrap.lock \
 && UV_NO_CACHE=1 /opt/hefu/bin/uv pip install --python /opt/hefu/bin/python --require-hashes --no-deps -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY ledger ledger
COPY platform platform
COPY flows flows
COPY ui ui
RUN /opt/hefu/bin/python -m pip install --quiet --no-deps --no-build-isolation --no-index . \
 && /opt/hefu/bin/hefu warmup

FROM python:3.12-slim
ENV PATH=/opt/hefu/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    DO_NOT_TRACK=1
RUN groupadd --gid 10001 hefu \
 && useradd --uid 10001 --gid hefu --no-create-home --home-dir /var/lib/hefu --shell /usr/sbin/nologin hefu \
 && install --directory --owner hefu --group hefu --mode 0700 /var/lib/hefu
COPY --from=build /opt/hefu /opt/hefu
USER 10001:10001
WORKDIR /var/lib/hefu
VOLUME /var/lib/hefu
CMD ["hefu", "--help"]
