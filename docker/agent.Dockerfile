# SPDX-License-Identifier: Apache-2.0
# The demo's agents in Python, with Waybill's client: docker-compose.yml runs one container of it for
# each. It has no key, no trust and no program of Waybill; what it knows of its sidecar is a socket.
#
#     docker build -f docker/agent.Dockerfile -t waybill-demo-agent .
ARG DEBIAN=debian:bookworm-slim

FROM ${DEBIAN} AS build
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates python3 python3-venv \
    && rm -rf /var/lib/apt/lists/*
COPY docker/demo/requirements.txt /requirements.txt
RUN python3 -m venv /venv && /venv/bin/pip install --no-cache-dir --no-compile -r /requirements.txt
COPY client/python/waybill /venv/lib/python3.11/site-packages/waybill

FROM ${DEBIAN}
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates python3 \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/*.log /var/log/apt \
    && groupadd --gid 10001 agent \
    && useradd --uid 10001 --gid 10001 --home-dir / --no-create-home --shell /usr/sbin/nologin agent
COPY --from=build /venv /venv
COPY examples/demo/common.py examples/demo/planner.py examples/demo/researcher.py examples/demo/writer.py docker/demo/plan.py /demo/
ENV PATH=/venv/bin:/usr/bin:/bin PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /demo
USER 10001:10001
ENTRYPOINT ["python"]
