# The build stage has pip and compilers' output; the image has Python, the packages and nothing to build with.
FROM python:3.11-slim AS build
WORKDIR /src
COPY . .
RUN python -m venv --without-pip /opt/meshproxy \
    && pip --python /opt/meshproxy/bin/python install --no-cache-dir --compile . \
    && mkdir /etc/meshproxy

FROM python:3.11-slim
RUN pip uninstall --yes setuptools wheel pip \
    && groupadd --gid 1337 meshproxy \
    && useradd --uid 1337 --gid 1337 --no-create-home --home-dir / --shell /usr/sbin/nologin meshproxy
COPY --from=build /opt/meshproxy /opt/meshproxy
COPY --from=build /etc/meshproxy /etc/meshproxy
# Nothing is written below the root: it may be mounted read-only, as Kubernetes does with readOnlyRootFilesystem.
ENV PATH=/opt/meshproxy/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
USER 1337:1337
STOPSIGNAL SIGTERM
ENTRYPOINT ["meshproxy"]
CMD ["-c", "/etc/meshproxy/envoy.yaml"]
