# The service in a container: `neuroscribe serve`, or `worker` as the command.
#
#   docker build -t neuroscribe .
#   docker build -t neuroscribe:gpu --build-arg TORCH_INDEX=https://pypi.org/simple .
#
# The second takes the build of torch that brings CUDA; the machine needs a driver and the NVIDIA
# container toolkit, the image nothing more.
ARG PYTHON_IMAGE=python:3.11-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1
WORKDIR /source
RUN python -m venv /opt/neuroscribe \
    && /opt/neuroscribe/bin/pip install --quiet --upgrade pip
# torch first, pinned and from its own index, as in the Makefile: it is most of the image, and this
# layer is kept while only our own files change.
COPY constraints.txt ./
RUN /opt/neuroscribe/bin/pip install --quiet --constraint constraints.txt --index-url ${TORCH_INDEX} torch
COPY pyproject.toml README.md LICENSE neuroscribe.py ./
COPY indexer indexer
COPY descriptors descriptors
COPY neurons neurons
COPY eval eval
COPY service service
RUN /opt/neuroscribe/bin/pip install --quiet --constraint constraints.txt .

FROM ${PYTHON_IMAGE}
# The number is told, so that the owner of a mounted folder can be set from outside.
RUN groupadd --gid 10001 neuroscribe \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /tmp neuroscribe \
    && install --directory --owner 10001 --group 10001 /runs /cache
COPY --from=build /opt/neuroscribe /opt/neuroscribe
# Nothing is written but below /runs, /cache and /tmp: the image may be mounted read-only.
ENV PATH=/opt/neuroscribe/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HF_HOME=/cache/huggingface \
    MPLCONFIGDIR=/tmp/matplotlib \
    NEUROSCRIBE_HOST=0.0.0.0 \
    NEUROSCRIBE_PORT=8765 \
    NEUROSCRIBE_RUNS=/runs
USER 10001:10001
# Not /runs: the name of a data set could then be that of a run.
WORKDIR /opt/neuroscribe
VOLUME ["/runs", "/cache"]
EXPOSE 8765
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=4 \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8765/readyz', timeout=4)"]
ENTRYPOINT ["neuroscribe"]
CMD ["serve"]
