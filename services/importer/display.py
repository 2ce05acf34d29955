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
    """Give what to call with each progress, on standard error; the last call is for a file that is through."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _lines(console, title, total_bytes)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TextColumn("{task.fields[counts]}"), TimeRemainingColumn())
    with Bar(*columns, console=console) as bar:
        task = bar.add_task(title, total=total_bytes, counts="")
        yield lambda progress: bar.update(task, completed=total_bytes if progress.finished else progress.read_bytes, counts=_counts(progress))


def _lines(console: Console, title: str, total_bytes: int) -> Callable[[Progress], None]:
    told = 0.0

    def tell(progress: Progress) -> None:
        nonlocal told
        share = progress.read_bytes / max(1, total_bytes)
        if progress.finished or told + EVERY <= share < 1:  # an earlier part of the file may be under way when its end is through
            told = share
            console.print(f"{title}: {1 if progress.finished else share:.0%}, {_counts(progress)}", highlight=False, soft_wrap=True)

    return tell


def _counts(progress: Progress) -> str:
    return f"{progress.lines:,} {'line' if progress.lines == 1 else 'lines'}, {len(progress.refusals):,} refused"
