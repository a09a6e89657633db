"""Links inside the page: a cluster is named in many places and described in one."""

from urllib.parse import quote

from meshproxy.admin.home.html import Html, fill


def cluster_id(name: str) -> str:
    """What a cluster's row is called."""
    return f"cluster-{'_'.join(name.split())}"


def cluster_link(name: str) -> Html:
    return fill('<a href="#{id}">{name}</a>', id=quote(cluster_id(name)), name=name)
