"""What is wrong with a whole workbook."""


class WorkbookFaultError(Exception):
    """Why it can't be read: the problem, the reason as a word, the cure."""

    def __init__(self, problem: str, reason: str, cure: str) -> None:
        super().__init__(problem)
        self.problem, self.reason, self.cure = problem, reason, cure


def damaged(problem: str) -> WorkbookFaultError:
    """What no spreadsheet program would have written."""
    return WorkbookFaultError(
        f"this can not be read as a workbook: {problem}",
        "file_damaged",
        "open it in a spreadsheet program and save it again, or save it as CSV UTF-8",
    )
