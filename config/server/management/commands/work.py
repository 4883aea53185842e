import signal
import threading
from argparse import ArgumentParser

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.migrations.executor import MigrationExecutor

from config.server.granian import ServerUnavailable, WorkerFile
from core.background.worker import BackgroundWorker, WorkKind


class Command(BaseCommand):
    """Does background work. Any number of workers share it, on any number of machines."""

    help = (
        "Do the background work: clean-up that is due and jobs that wait. Runs until SIGTERM or Ctrl-C, which"
        " let the present slice finish. `serve` starts WORKERS_BACKGROUND such processes; this starts another"
        " one, perhaps on another machine, or (--once) serves cron. See docs/worker.md."
    )
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--once", action="store_true", help="do what is due, then end; exit status 1 if some of it failed"
        )

    def handle(self, *, once: bool, **options: object) -> None:
        worker = BackgroundWorker(WorkKind.ALL if once else WorkKind.OTHER)
        prompt = BackgroundWorker(WorkKind.PROMPT)

        def stop(*_: object) -> None:
            worker.stop()
            prompt.stop()

        former = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            if once:
                self._work_once(worker)
            else:
                try:
                    with WorkerFile.claimed(settings.VAR_DIR):
                        self._work(worker, prompt)
                except ServerUnavailable as error:
                    raise CommandError(str(error)) from error
        finally:
            for number, handler in former.items():
                signal.signal(number, handler)

    def _work(self, worker: BackgroundWorker, prompt: BackgroundWorker) -> None:
        """Work until both are stopped; prompt tasks are done by a thread, so that they wait for nothing."""

        def run_prompt() -> None:
            try:
                prompt.run()
            finally:  # should it fail, the process ends and is replaced
                worker.stop()
                connections.close_all()

        thread = threading.Thread(target=run_prompt, name="prompt tasks")
        thread.start()
        try:
            worker.run()
        finally:
            prompt.stop()
            thread.join()

    def _work_once(self, worker: BackgroundWorker) -> None:
        executor = MigrationExecutor(connections[DEFAULT_DB_ALIAS])
        if executor.migration_plan(executor.loader.graph.leaf_nodes()):
            raise CommandError("Migrations are missing; run `manage.py migrate` first.")
        summary = worker.run_until_idle()
        for name, count in sorted(summary.slices.items()):
            self.stdout.write(f"{name}: {count} {'slice' if count == 1 else 'slices'}")
        if summary.failures:
            raise CommandError(f"{summary.failures} failed; they are due again later. The log says why.")
        if not summary.slices:
            self.stdout.write("Nothing was due.")
