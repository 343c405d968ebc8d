"""From a chart to the SVG that stands in the page: nothing in it but shapes and words."""

import re
from collections.abc import Mapping
from typing import Any, Final
from xml.etree import ElementTree

import vl_convert
from markupsafe import Markup, escape

#: All that a chart may be made of. No script, no style, no address, no name that the page could have too.
_SHAPES: Final[Mapping[str, frozenset[str]]] = {
    "g": frozenset({"transform"}),
    "path": frozenset({"d", "transform"}),
    "line": frozenset({"x1", "x2", "y1", "y2", "transform"}),
    "rect": frozenset({"x", "y", "width", "height", "transform"}),
    "text": frozenset({"transform", "text-anchor", "font-size", "font-weight"}),
}
_PAINT: Final = frozenset(
    {"fill", "fill-opacity", "stroke", "stroke-width", "stroke-dasharray", "stroke-opacity", "opacity"}
)
_NAMESPACE: Final = "{http://www.w3.org/2000/svg}"
_NOTHING: Final = ("", "M0,0h0v0h0Z")
_LONG_NUMBER: Final = re.compile(r"(\.[0-9]{2})[0-9]+")


def drawn(specification: Mapping[str, Any], css_class: str) -> Markup:
    """A Vega-Lite chart as SVG without a name of its own: whoever shows it describes it."""
    text = vl_convert.vegalite_to_svg(dict(specification), allowed_base_urls=[])
    root = ElementTree.fromstring(text)  # noqa: S314 - drawn here a line above
    head = Markup('<svg class="{}" viewBox="{}" width="{}" height="{}" aria-hidden="true" focusable="false">')
    size = (root.get(name, "") for name in ("viewBox", "width", "height"))
    return head.format(css_class, *size) + Markup("").join(map(_shape, root)) + Markup("</svg>")


def _shape(element: ElementTree.Element) -> Markup:
    """An element with what it may have; "" where nothing of it would be seen."""
    name = element.tag.removeprefix(_NAMESPACE)
    if name not in _SHAPES or element.get("display") == "none":
        return Markup("")
    inner = escape(element.text or "") if name == "text" else Markup("").join(map(_shape, element))
    if (name in ("g", "text") and not inner) or element.get("d") in _NOTHING:
        return Markup("")
    kept = (
        Markup(' {}="{}"').format(key, _LONG_NUMBER.sub(r"\1", value))
        for key, value in element.items()
        if key in _SHAPES[name] or key in _PAINT
    )
    return Markup("<{0}{1}>{2}</{0}>").format(name, Markup("").join(kept), inner)
