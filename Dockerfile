# The build stage has pip and compilers' output; the image has Python, the packages and nothing to build with.
FROM python:3.11-slim AS build
WORKDIR /src
COPY . .
RUN python -m venv --without-pip /opt/meshproxy \
    && pip --python /opt/meshproxy/bin/python install --no-cache-dir --compile . \
    && mkdir /etc/meshproxy

FROM python:3.11-slim
# The same image is the init container: `meshproxy iptables` runs these.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends iptables nftables \
    && rm -rf /var/lib/apt/lists/*
RUN pip uninstall --yes setuptools wheel pip \
    && groupadd --gid 1337 meshproxy \
    && useradd --uid 1337 --gid 1337 --no-create-home --home-dir / --shell /usr/sbin/nologin meshproxy
COPY --from=build /opt/meshproxy /opt/meshproxy
COPY --from=build /etc/meshproxy /etc/meshproxy
# Nothing is written below the root: it may be mounted read-only, as Kubernetes does with readOnlyRootFilesystem.
ENV PATH=/opt/meshproxy/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
USER 1337:1337
STOPSIGNAL SIGTERM
# Where the admin interface is; a configuration that has it elsewhere says so here too.
ENV MESHPROXY_ADMIN=127.0.0.1:15000
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s CMD ["meshproxy", "request", "GET", "/ready"]
ENTRYPOINT ["meshproxy"]
CMD ["-c", "/etc/meshproxy/envoy.yaml"]
