# The operator's image, with the SDK and the command `rampgate`:  docker build -t rampgate:0.1.0 .
# BASE is any image with Python >= 3.11 and pip; for a release, name it by its digest.
ARG BASE=python:3.13-slim

# --- what is built, and with what: nothing of it but /opt/rampgate is in the image ---
FROM ${BASE} AS build
ENV UV_PYTHON_DOWNLOADS=never UV_LINK_MODE=copy UV_SYSTEM_CERTS=1
RUN python3 -m venv /opt/uv && /opt/uv/bin/pip install --no-cache-dir --only-binary :all: uv==0.13.9
ENV PATH=/opt/uv/bin:${PATH}
WORKDIR /src

# The dependencies come before the code, so that a change of the code does not fetch them again. Each is the file whose hash the lock names,
# and a wheel: nothing is compiled, and nothing that is fetched runs.
COPY pyproject.toml uv.lock ./
RUN uv export --frozen --no-dev --extra operator --extra server --no-emit-project --output-file requirements.txt \
 && uv venv --python python3 /opt/rampgate \
 && uv pip install --python /opt/rampgate --require-hashes --only-binary :all: --requirement requirements.txt

COPY README.md LICENSE ./
COPY sdk sdk
COPY operator operator
# Two builds give the same bytes: no note of when the wheel was made, and bytecode that is bound to its source's bytes, not to its time.
RUN uv build --wheel --out-dir dist \
 && uv pip install --python /opt/rampgate --no-deps --no-index dist/*.whl \
 && rm /opt/rampgate/lib/python3*/site-packages/rampgate-*.dist-info/uv_cache.json \
 && sed -i /uv_cache.json/d /opt/rampgate/lib/python3*/site-packages/rampgate-*.dist-info/RECORD \
 && PYTHONHASHSEED=0 /opt/rampgate/bin/python -m compileall -q -j 1 --invalidation-mode unchecked-hash /opt/rampgate/lib

# The shop that the documents play with: the same image runs the operator, `rampgate serve` and this.
COPY examples/shop /opt/rampgate/examples/shop

# --- the image ---
FROM ${BASE}
LABEL org.opencontainers.image.title="rampgate" org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/rampgate /opt/rampgate
# The file system is read-only in the cluster, and its log is read as it is written.
ENV PATH=/opt/rampgate/bin:${PATH} PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
# A number, because `runAsNonRoot` cannot tell whom a name stands for.
USER 65532:65532
# Where `python -m examples.shop.app` is found.
WORKDIR /opt/rampgate
EXPOSE 8080
ENTRYPOINT ["rampgate"]
