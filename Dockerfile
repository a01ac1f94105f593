# Three images from one file: `api` (no torch), `worker` (CPU), `worker-gpu`.
#   docker build --target api .
# pip's settings reach the build as arguments, for instance where the CPU build of torch is found:
#   docker build --target worker --build-arg PIP_FIND_LINKS=… .

FROM python:3.11-slim AS api
ARG PIP_INDEX_URL PIP_EXTRA_INDEX_URL PIP_FIND_LINKS
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore PYTHONUNBUFFERED=1
WORKDIR /opt/trainyard
COPY requirements.lock ./
RUN pip install --require-hashes -r requirements.lock
COPY pyproject.toml README.md ./
COPY scripts/torch scripts/
COPY app app
COPY migrations migrations
COPY trainyard trainyard
COPY worker worker
RUN pip install --no-deps .
RUN useradd --create-home --uid 10001 trainyard && install --directory --owner trainyard --group trainyard /data
USER trainyard
ENV TRAINYARD_DATA=/data TRAINYARD_HOST=0.0.0.0 TRAINYARD_PORT=8000
WORKDIR /data
EXPOSE 8000
HEALTHCHECK --interval=15s --timeout=10s --start-period=60s CMD ["trainyard", "api", "--check"]
CMD ["trainyard", "api"]

FROM api AS worker-base
HEALTHCHECK --interval=30s --timeout=15s --start-period=120s CMD ["trainyard", "worker", "--check"]
CMD ["trainyard", "worker"]

FROM worker-base AS worker
USER root
RUN pip install "$(/opt/trainyard/scripts/torch python cpu)"
USER trainyard

FROM worker-base AS worker-gpu
USER root
RUN pip install "$(/opt/trainyard/scripts/torch python gpu)"
USER trainyard
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
