# PyTorch for the CPU and ganzoo. Runs are written to /ganzoo/runs: see docs/installing.md.
FROM python:3.13-slim AS build
COPY . /source
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels /source

FROM python:3.13-slim
# hadolint ignore=DL3013
RUN pip install --no-cache-dir torch torchvision --index-url https://download.pytorch.org/whl/cpu
COPY --from=build /wheels /wheels
RUN pip install --no-cache-dir /wheels/*.whl && rm -r /wheels \
    && useradd --create-home --uid 1000 ganzoo && install -d -o ganzoo /ganzoo
USER 1000
WORKDIR /ganzoo
ENTRYPOINT ["ganzoo"]
CMD ["--help"]
