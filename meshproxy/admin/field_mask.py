"""google.protobuf.FieldMask on plain trees: what of /config_dump is shown."""

from typing import Any

# Field name -> what is wanted below it; nothing means all of it.
Mask = dict[str, "Mask"]


def parse_mask(text: str) -> Mask:
    """`cluster.name,last_updated`."""
    mask: Mask = {}
    for path in text.split(","):
        level = mask
        for name in path.split("."):
            level = level.setdefault(name, {})
    return mask


def apply_mask(tree: dict[str, Any], mask: Mask) -> dict[str, Any]:
    """Only what the mask names; types stay. A mask ends at a list: its items are shown as they are."""
    shown = {}
    for name, value in tree.items():
        if name == "@type":
            shown[name] = value
        elif name in mask:
            below = mask[name]
            shown[name] = apply_mask(value, below) if below and isinstance(value, dict) else value
    return shown
