"""From the body of a post of labels to labels that fit the model. Pure."""

import msgspec

from atalaia.bundles.manifest import Manifest
from atalaia.errors import FieldProblem, InvalidInput, TooLarge
from atalaia.labels import LabelRows, check_labels, read_labels


class _Named(msgspec.Struct):
    """What may say which model labels are for."""

    model: str | None = None


_decode_named = msgspec.json.Decoder(list[_Named] | _Named).decode


def model_of(body: bytes, route: str | None) -> str | None:
    """The model that labels are for: of the route, else of the member ``model``, else None, the default.

    Raises
    ------
    InvalidInput
        where the body names another model than the route, or more than one.
    """
    if b'"model"' not in body:
        return route
    try:
        named = _decode_named(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return route  # what is wrong with it is for the reader of labels to say
    entries = named if isinstance(named, list) else [named]
    for place, entry in enumerate(entries):
        known = route or entries[0].model
        if entry.model != known and (entry.model is not None or route is None):
            expected = (
                f"{known!r}, the model of all labels of one post" if known else "no model, or one for all"
            )
            problem = FieldProblem("model", f"{(entry.model or 'none')[:100]!r}", expected, place)
            raise InvalidInput([problem])
    return route or (entries[0].model if entries else None)


def accept(body: bytes, manifest: Manifest, *, now_ms: int, max_labels: int) -> LabelRows:
    """The labels of a body, all of which fit the model.

    Raises
    ------
    NotReadable, InvalidInput, TooLarge
    """
    rows = read_labels(body, written_ms=now_ms)
    if not len(rows):
        raise InvalidInput([FieldProblem("body", "no labels", "one label or more")])
    if len(rows) > max_labels:
        raise TooLarge(f"{len(rows)} labels, at most {max_labels} are taken: send fewer at a time")
    problems = check_labels(manifest, rows, now_ms=now_ms)
    if problems:
        raise InvalidInput(problems)
    return rows
