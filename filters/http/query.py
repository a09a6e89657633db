"""Query parameters as the header_mutation filter changes them (envoy.config.core.v3.KeyValueMutation)."""

from collections.abc import Callable
from typing import Any
from urllib.parse import quote, unquote_to_bytes

from meshproxy.api import ConfigError, Stream, compile_format

# Name -> its values, each as it stands in the query.
Parameters = dict[str, list[str]]
QueryMutation = Callable[[Stream, Parameters], None]


def build_query_mutations(config: Any) -> tuple[QueryMutation, ...]:
    """`query_parameter_mutations` of a Mutations message."""
    mutations = []
    for i, each in enumerate(config.query_parameter_mutations):
        with config.at("query_parameter_mutations", i):
            mutations.append(_build(each))
    return tuple(mutations)


def _build(config: Any) -> QueryMutation:
    name = config.remove
    if not config.append:
        if not name:
            raise ConfigError("One of 'append'/'remove' must be specified.")
        return _remove(name)
    if name:
        raise ConfigError("Only one of 'append'/'remove can be specified.")
    if not config.append.record:
        raise ConfigError("No record specified for append mutation.")
    record = config.append.record
    value = record.value.take()
    if value.WhichOneof("kind") != "string_value":
        raise ConfigError("Only string value is allowed for record value.")
    return _append(record.key, compile_format(value.string_value), config.append.enum("action"))


def _remove(name: str) -> QueryMutation:
    def mutate(_stream: Stream, parameters: Parameters) -> None:
        parameters.pop(name, None)

    return mutate


def _append(name: str, format: Callable[[Stream], str], action: str) -> QueryMutation:
    def mutate(stream: Stream, parameters: Parameters) -> None:
        present = name in parameters
        if action == "APPEND_IF_EXISTS_OR_ADD" or (action == "ADD_IF_ABSENT" and not present):
            parameters.setdefault(name, []).append(_encode(format(stream)))
        elif action == "OVERWRITE_IF_EXISTS_OR_ADD" or (action == "OVERWRITE_IF_EXISTS" and present):
            parameters[name] = [_encode(format(stream))]

    return mutate


def mutate_query(stream: Stream, mutations: tuple[QueryMutation, ...]) -> None:
    """Changes the query of the request's path. Names come out sorted, as in Envoy; but what a client escaped stays
    escaped, where Envoy writes it decoded: `%20` or `%0d%0a` in clear would make another request of it."""
    request = stream.request
    path, _, query = request.path.partition("?")
    parameters = _parse(query)
    for mutate in mutations:
        mutate(stream, parameters)
    pairs = [f"{_clean(name)}={value}" for name in sorted(parameters) for value in parameters[name]]
    request.path = f"{path}?{'&'.join(pairs)}" if pairs else path


def _parse(query: str) -> Parameters:
    parameters: Parameters = {}
    for pair in query.split("&"):
        if pair:
            name, _, value = pair.partition("=")
            parameters.setdefault(unquote_to_bytes(name).decode("latin-1"), []).append(value)
    return parameters


def _encode(text: str) -> str:
    """Percent-encoding of all but unreserved characters."""
    return quote(text.encode("latin-1"), safe="-_.~")


def _clean(name: str) -> str:
    """A name without what would end it."""
    return quote(name.encode("latin-1"), safe="!$'()*,-./:;@[]_~")
