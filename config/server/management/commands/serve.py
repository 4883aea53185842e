import compileall
import os
import sys
from argparse import ArgumentParser
from pathlib import Path

from django.apps import apps
from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from accounts.identity.tokens.keys import UNREADABLE_KEY, UNREADABLE_KEY_REMEDY, has_unreadable_key
from config.checks import FORMER_LAYOUT, FORMER_LAYOUT_REMEDY, has_former_layout
from config.demo.logins import published_logins
from config.environment import Environment
from config.server.granian import ServerFile, ServerUnavailable, require_free_port, threads_per_worker
from config.server.static_files import collect_static_files
from core.tenancy.models import Tenant

DEMO_TENANT = "demo"
PUBLISHED_LOGINS = (
    "Everybody knows these logins of the demo shop, and they work in this database: {logins}. Run `manage.py"
    " close_demo_logins`, which takes their passwords and secrets away. Or set DEBUG=1 on your own machine,"
    " or say --insecure-demo-logins if nobody else can reach this service."
)


class Command(BaseCommand):
    """From an empty machine to a running service: migrate, load what is asked for, then serve."""

    help = "Bring the database up to date and serve the API and the admin."
    requires_system_checks = []  # migrate runs them, when there is anything to migrate

    def add_arguments(self, parser: ArgumentParser) -> None:
        env = Environment(os.environ)
        parser.add_argument("--host", default=env.text("HOST", default="127.0.0.1"))
        parser.add_argument("--port", type=int, default=env.number("PORT", default=8000, least=1))
        parser.add_argument(
            "--workers",
            type=int,
            default=env.number("WEB_WORKERS", default=os.cpu_count() or 1, least=1),
            help="processes that answer requests (WEB_WORKERS; default: one for each core)",
        )
        parser.add_argument(
            "--threads",
            type=int,
            default=threads_per_worker(os.environ),
            help="requests that a process works on at a time, each over its own connection to the database"
            " (WEB_THREADS; default: %(default)s)",
        )
        parser.add_argument(
            "--background-workers",
            type=int,
            default=env.number("WORKERS_BACKGROUND", default=1),
            help="processes that do background work (WORKERS_BACKGROUND; default: %(default)s)",
        )
        parser.add_argument("--demo", action="store_true", help="load the demo shop unless it is there")
        parser.add_argument(
            "--insecure-demo-logins",
            action="store_true",
            help="serve although DEBUG is off and the demo shop's well-known logins work",
        )

    def handle(
        self,
        *,
        host: str,
        port: int,
        workers: int,
        threads: int,
        background_workers: int,
        demo: bool,
        insecure_demo_logins: bool,
        **options: object,
    ) -> None:
        try:
            ServerFile(settings.VAR_DIR).claim()
            require_free_port(host, port)
        except ServerUnavailable as error:
            raise CommandError(str(error)) from error
        self._migrate()
        if has_unreadable_key():
            raise CommandError(f"{UNREADABLE_KEY} {UNREADABLE_KEY_REMEDY}")
        if demo:
            self._load_demo(insecure_demo_logins=insecure_demo_logins)
        if not settings.DEBUG:
            if not insecure_demo_logins:
                self._refuse_published_logins()
            collect_static_files()
        self._compile()
        connections.close_all()
        words = ["--host", host, "--port", str(port), "--workers", str(workers)]
        words += ["--threads", str(threads), "--background-workers", str(background_workers)]
        if demo:
            words.append("--with-demo")
        os.chdir(settings.BASE_DIR)
        os.execv(sys.executable, [sys.executable, "-m", "config.server.granian", *words])  # noqa: S606 -- no shell

    def _migrate(self) -> None:
        """Apply the migrations that are missing; to find none is quicker than `migrate` doing nothing."""
        if has_former_layout(connections[DEFAULT_DB_ALIAS]):
            raise CommandError(f"{FORMER_LAYOUT} {FORMER_LAYOUT_REMEDY}")
        executor = MigrationExecutor(connections[DEFAULT_DB_ALIAS])
        if executor.migration_plan(executor.loader.graph.leaf_nodes()):
            call_command("migrate", interactive=False, stdout=self.stdout)

    def _compile(self) -> None:
        """Compile the modules that have changed, as pip does with packages.

        Otherwise each worker would do it at each start, wherever Python is set to leave no such files.
        """
        for app in apps.get_app_configs():
            if Path(app.path).parent == settings.BASE_DIR:
                compileall.compile_dir(app.path, quiet=2)

    def _refuse_published_logins(self) -> None:
        if logins := published_logins(timezone.now()):
            raise CommandError(PUBLISHED_LOGINS.format(logins=logins))

    def _load_demo(self, *, insecure_demo_logins: bool = False) -> None:
        """Load the demo shop once; again when an earlier load was interrupted."""
        unfinished = settings.VAR_DIR / "demo-is-loading"
        if Tenant.objects.filter(name=DEMO_TENANT).exists() and not unfinished.exists():
            return
        unfinished.touch()
        call_command("load_demo_data", stdout=self.stdout, insecure_demo_logins=insecure_demo_logins)
        unfinished.unlink()
