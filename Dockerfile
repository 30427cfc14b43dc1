# A server on a CPU, with the default model and the demo's index in the image.
#
#   docker build -t search-r3 .
#   docker run --rm --read-only --tmpfs /tmp -p 127.0.0.1:8080:8080 search-r3
#
# An index of your own: -v "$PWD/my-index:/index:ro" -e SEARCH_R3_SERVER_INDEX=/index
FROM python:3.11-slim AS build
WORKDIR /src
RUN python -m venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH SEARCH_R3_CACHE=/models PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
# PyTorch by itself, so that a change of our code does not download it again.
RUN pip install torch==2.13.0 --index-url https://download.pytorch.org/whl/cpu
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY search_r3 search_r3
RUN pip install -c constraints.txt '.[serve]'
# The weights are prepared and the demo's index is built here: the container writes nothing.
RUN python -c "from pathlib import Path; from search_r3 import default_model; \
from search_r3.demo.stdlib_demo import build_demo_index; \
build_demo_index(default_model(), Path('/models/demo'), lambda done, total: None)"

FROM python:3.11-slim
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin search
COPY --from=build /opt/venv /opt/venv
COPY --from=build /models /models
ENV PATH=/opt/venv/bin:$PATH HOME=/tmp SEARCH_R3_CACHE=/models HF_HUB_OFFLINE=1 HF_HUB_DISABLE_TELEMETRY=1 \
    SEARCH_R3_SERVER_HOST=0.0.0.0 SEARCH_R3_SERVER_INDEX=/models/demo
USER 10001
EXPOSE 8080
# The first start of a large index takes its time; a container is ready when /ready says so.
HEALTHCHECK --interval=30s --timeout=5s --start-period=120s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/ready', timeout=4)"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["search-r3", "serve"]
