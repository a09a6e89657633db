from meshproxy.api import HttpFilter


class Greeting(HttpFilter):
    def __init__(self, text):
        self.text = text

    @classmethod
    def build(cls, config, ctx):
        return cls(config.take().value["text"])

    def on_response_headers(self, stream, end):
        stream.response.set("x-greeting", self.text)
