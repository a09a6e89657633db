"""google.protobuf.FieldMask on plain trees: what of /config_dump is shown."""

from typing import Any

# Field name -> what is wanted below it; nothing means all of it.
Mask = dict[str, "Mask"]


def parse_mask(text: str) -> Mask:
    """`cluster.name,last_updated`; a path whose parent is wanted as well adds nothing."""
    mask: Mask = {}
    paths = sorted((path.split(".") for path in text.split(",") if path), key=len)
    for path in paths:
        level = mask
        for depth, name in enumerate(path):
            if name in level and not level[name]:
                break
            level = level.setdefault(name, {})
            if depth == len(path) - 1:
                level.clear()
    return mask


def field_named(descriptor: Any, name: str) -> Any:
    """The field of a message, or None; a name that nobody could give one is none."""
    return descriptor.fields_by_name.get(name) if name.isascii() else None


def fits(mask: Mask, descriptor: Any) -> bool:
    """Whether a message has all these fields; a mask does not reach into lists."""
    for name, below in mask.items():
        field = field_named(descriptor, name)
        if field is None:
            return False
        if below and (field.message_type is None or field.is_repeated or not fits(below, field.message_type)):
            return False
    return True


def apply_mask(tree: dict[str, Any], mask: Mask) -> dict[str, Any]:
    """Only what the mask names; types stay. A mask of nothing shows all."""
    if not mask:
        return tree
    shown = {}
    for name, value in tree.items():
        if name == "@type":
            shown[name] = value
        elif name in mask:
            shown[name] = apply_mask(value, mask[name]) if isinstance(value, dict) else value
    return shown
