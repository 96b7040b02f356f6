# Two images: `slim` checks and reviews code, `train` can run the training check too.
#   docker build --target slim -t mlrules-mcp .
#   docker build --target train --build-arg TORCH_INDEX_URL=… -t mlrules-mcp:train .
# Pin the base by digest where you deploy: --build-arg PYTHON_IMAGE=python@sha256:…
ARG PYTHON_IMAGE=python:3.12-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /build
RUN ["python3", "-m", "venv", "/opt/mlrules"]
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY rules rules
COPY src src
RUN /opt/mlrules/bin/pip install -c constraints.txt '.[http]'

FROM build AS build-train
# Empty: the package index's own build, for CUDA on Linux. PyTorch's installation page names the index of each other build.
ARG TORCH_INDEX_URL=
RUN if [ -n "$TORCH_INDEX_URL" ]; then /opt/mlrules/bin/pip install -c constraints.txt --index-url "$TORCH_INDEX_URL" torch; fi \
    && /opt/mlrules/bin/pip install -c constraints.txt '.[http,train]'

FROM ${PYTHON_IMAGE} AS base
LABEL org.opencontainers.image.title="mlrules-mcp" \
      org.opencontainers.image.description="An MCP server that makes coding assistants write good machine-learning code" \
      org.opencontainers.image.licenses="MIT"
# The root file system may be read-only: bytecode is compiled at build time, and all else that is written goes to /tmp.
ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 PYTHONUTF8=1 HOME=/tmp
WORKDIR /srv
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=5s --start-period=20s --retries=3 \
    CMD ["/opt/mlrules/bin/python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/readyz', timeout=4)"]
USER 65532:65532
ENTRYPOINT ["/opt/mlrules/bin/mlrules-mcp"]
CMD ["serve", "--transport", "http", "--host", "0.0.0.0", "--port", "8000"]

FROM base AS train
COPY --from=build-train /opt/mlrules /opt/mlrules

# Last, so that it is what `docker build` makes by itself.
FROM base AS slim
COPY --from=build /opt/mlrules /opt/mlrules
