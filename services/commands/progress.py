"""How far a long piece of work is: a bar on a terminal, a line for each step elsewhere."""
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


@contextmanager
def shown(name: str, unit: str = "records") -> Iterator[Callable[[str, int, int], None]]:
    """Give what to call with each step of the work on `name` and how many of how many are done; `unit` says what."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn(unit), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task, step = bar.add_task(name), ""

        def tell(doing: str, done: int, total: int) -> None:
            nonlocal step
            if doing != step and not console.is_terminal:
                console.print(f"{name}: {doing}, {done:,} of {total:,} {unit}", highlight=False, soft_wrap=True)
            step = doing
            bar.update(task, description=f"{name}: {doing}", completed=done, total=total)

        yield tell
