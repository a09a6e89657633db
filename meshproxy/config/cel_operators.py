"""%CEL(expression)% and %TYPED_CEL(expression)%.

Here and not with the other operators, because the library speaks protobuf, of which what moves bytes knows nothing.
"""

from meshproxy.observe.operators import Exchange, Getter, Value, operator, truncate


@operator("CEL", argument="optional", length=True)
def cel_text(argument: str, length: int | None) -> Getter:
    # 6 MB and 5 ms that most configurations do without.
    from meshproxy.config.cel import Fault, as_text, compile_cel

    evaluate = compile_cel(argument)

    def get(stream: Exchange) -> str | None:
        try:
            return as_text(evaluate(stream))
        except Fault:
            return None

    return truncate(get, length)


@operator("TYPED_CEL", argument="optional", length=True)
def typed_cel(argument: str, length: int | None) -> Getter:
    from meshproxy.config.cel import Fault, as_json, compile_cel

    evaluate = compile_cel(argument)

    def get(stream: Exchange) -> Value:
        try:
            return as_json(evaluate(stream))  # type: ignore[no-any-return]
        except Fault:
            return None

    return truncate(get, length)
