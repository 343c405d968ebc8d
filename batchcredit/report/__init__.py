"""The report of one batch: the values it is drawn from, and the page."""

from typing import TYPE_CHECKING

from batchcredit import host
from batchcredit.errors import RefusedError

if TYPE_CHECKING:
    from batchcredit.report.page import Renderer


def renderer() -> "Renderer":
    """What draws a report as a page. Ask before all else: RefusedError where its libraries are missing."""
    try:
        from batchcredit.report.page import render
    except ModuleNotFoundError as error:
        raise RefusedError(
            f"the page of a report needs {error.name}, which is not installed",
            reason="usage",
            cure=host.to_install("report"),
        ) from error
    return render
