"""How `make docs` makes a site of these pages, which is read and searched without a network."""

from importlib.metadata import version as installed_version

from sphinx.application import Sphinx

project = "batchcredit"
version = release = installed_version("batchcredit")
extensions = ["myst_parser"]
myst_heading_anchors = 4  # the same that a listing of files gives to headings
nitpicky = True

html_theme = "furo"
html_title = f"batchcredit {version}"
html_show_sphinx = False
html_show_copyright = False
highlight_language = "text"  # where a block does not say what it is
html_copy_source = False

#: The pages by what a reader came for; each stands here once, or the build fails.
CONTENTS = {
    "Start here": ["tutorial"],
    "How to": [
        "operating",
        "how-to/reconcile",
        "how-to/corrections",
        "how-to/report",
        "how-to/cron",
        "how-to/pipes",
        "how-to/airflow-kubernetes",
        "how-to/several-brands",
        "how-to/proxies",
        "how-to/write-an-adapter",
        "distributed",
    ],
    "Why it is so": ["why-a-put-can-pay-twice", "ARCHITECTURE", "SECURITY"],
    "Look it up": ["cli", "python", "settings", "files", "reasons", "logs", "providers"],
}


def setup(app: Sphinx) -> None:
    """Sphinx calls this."""
    app.connect("source-read", _with_contents)


def _with_contents(app: Sphinx, page: str, source: list[str]) -> None:
    """The sidebar, which stays out of index.md: there it would be read as code."""
    if page == "index":
        trees = (
            ["```{toctree}", ":hidden:", f":caption: {caption}", *pages, "```"]
            for caption, pages in CONTENTS.items()
        )
        source[0] += "\n".join(["", *("\n".join([*tree, ""]) for tree in trees)])
