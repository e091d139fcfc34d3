"""Runs scenarios one after the other, showing where it is."""

import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest
from harness.databases import TestServer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from chaos.report import Row
from chaos.scenario import Scale, Scenario


class Runner:
    """Runs below a directory, on servers that are started when first needed and removed at the end."""

    def __init__(self, directory: Path, seed: int, console: Console) -> None:
        self._directory = directory
        self._seed = seed
        self._console = console
        self._servers: dict[str, TestServer] = {}

    def run(self, runs: Mapping[str, tuple[Scenario, Scale]]) -> Iterator[Row]:
        """Run each of them; a row of the table for each."""
        columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(20), MofNCompleteColumn())
        progress = Progress(*columns, TimeElapsedColumn(), console=self._console, transient=True)
        with ExitStack() as held, progress:
            task = progress.add_task("", total=len(runs))
            for name, (scenario, scale) in runs.items():
                row = self._run(name, scenario, scale, held, partial(_show, progress, task, name))
                progress.advance(task)
                progress.console.print(" ".join(cell for cell in row.cells() if cell))
                yield row

    def _run(self, name: str, scenario: Scenario, scale: Scale, held: ExitStack, tell: Callable[[str], None]) -> Row:
        tell("begins")
        directory = self._directory / name.replace(" ", "-").replace(",", "")
        directory.mkdir()
        try:
            server = self._server(scenario.database, held)
            result = scenario.run(scale, server, directory, self._seed, tell)
        except pytest.skip.Exception as skipped:
            return Row(name, reason=str(skipped), is_skipped=True)
        except (Exception, pytest.fail.Exception) as error:  # noqa: BLE001 - the next fault is worth its run, too
            report = directory / "error.txt"
            report.write_text("".join(traceback.format_exception(error)), encoding="utf-8")
            return Row(name, reason=f"{_first_line(error)} ({report})")
        return Row(name, result)

    def _server(self, kind: str, held: ExitStack) -> TestServer:
        if kind not in self._servers:
            home = self._directory / kind
            home.mkdir()
            server = TestServer(kind, home)
            server.start()
            held.callback(server.remove)
            self._servers[kind] = server
        return self._servers[kind]


def _show(progress: Progress, task: int, name: str, what: str) -> None:
    progress.update(task, description=f"{name}: {what}")  # type: ignore[arg-type] # an int by another name


def _first_line(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return f"{type(error).__name__}: {error}".split("\n", 1)[0]
