# The project with all that it needs, exact versions included.
#
#   docker build --tag scgen .                          # CPU
#   docker build --tag scgen-gpu --target gpu .         # NVIDIA; then docker run --gpus all ...
#   docker run --name book scgen                        # builds the quick edition: book:/scgen/_build/html
#
# The base is named by tag and not by digest, so that a build gets the security updates of the distribution.
FROM python:3.12-slim-bookworm AS base
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends git make rsync \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 1000 --create-home scgen \
    && install --directory --owner=1000 --group=1000 /scgen /data
USER 1000
WORKDIR /scgen
ENV PIP_NO_CACHE_DIR=1 PATH=/scgen/.venv/bin:$PATH SCGEN_DATA_DIR=/data
COPY --chown=1000 requirements.lock .
RUN python -m venv .venv && .venv/bin/pip install --require-hashes -r requirements.lock

FROM base AS gpu-packages
# CUDA and cuDNN in the versions that belong to the locked TensorFlow.
RUN .venv/bin/pip install "tensorflow[and-cuda]==$(.venv/bin/python -c \
    'from importlib.metadata import version; print(version("tensorflow"))')"

FROM gpu-packages AS gpu
COPY --chown=1000 . .
RUN .venv/bin/pip install --no-deps --no-build-isolation -e . && touch .venv/ready
CMD ["make", "book", "EDITION=paper"]

FROM base AS cpu
COPY --chown=1000 . .
RUN .venv/bin/pip install --no-deps --no-build-isolation -e . && touch .venv/ready
CMD ["make", "book"]
