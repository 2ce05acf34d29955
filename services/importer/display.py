"""A progress bar on a terminal; a line now and then where nobody watches."""
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from services.importer.run import Progress

EVERY = 0.1
"""Share of the file between two lines where there is no terminal."""


@contextmanager
def shown(title: str, total_bytes: int) -> Iterator[Callable[[Progress], None]]:
    """Give what to call with each progress, on standard error."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _lines(console, title, total_bytes)
        return
    counts = TextColumn("{task.fields[lines]:,} lines, {task.fields[refused]:,} refused")
    with Bar(TextColumn("{task.description}"), BarColumn(), DownloadColumn(), counts, TimeRemainingColumn(), console=console) as bar:
        task = bar.add_task(title, total=total_bytes, lines=0, refused=0)
        yield lambda progress: bar.update(task, completed=progress.read_bytes, lines=progress.lines, refused=len(progress.refusals))


def _lines(console: Console, title: str, total_bytes: int) -> Callable[[Progress], None]:
    told = 0.0

    def tell(progress: Progress) -> None:
        nonlocal told
        share = progress.read_bytes / max(1, total_bytes)
        if share >= told + EVERY:
            told = share
            console.print(f"{title}: {share:.0%}, {progress.lines:,} lines, {len(progress.refusals):,} refused", highlight=False, soft_wrap=True)

    return tell
