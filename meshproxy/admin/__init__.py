"""What an operator asks: Envoy's admin interface, one file per page.

The pages see the process through `server_view.Server` and nothing else. They may know everything below (config, stats,
clusters, listeners); nothing below knows them. Whatever a page makes, it makes when it is asked for.
"""
