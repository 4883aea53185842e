from argparse import ArgumentParser

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from catalog.tree import locked_tree
from catalog.tree_checks import tree_problems
from core.tenancy.commands import tenant_named
from core.tenancy.models import Tenant

MOST_SHOWN = 50


class Command(BaseCommand):
    help = "Compare the category trees with the parents of the categories; with --fix, repair them."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--tenant", help="The name of one tenant; without it all are checked.")
        parser.add_argument("--fix", action="store_true", help="Compute wrong tree columns anew.")

    def handle(self, *, tenant: str | None, fix: bool, **options: object) -> None:
        tenants = [tenant_named(tenant)] if tenant else Tenant.objects.order_by("name")
        left = sum(self.check_tree(one, fixes=fix) for one in tenants)
        if left:
            raise CommandError(
                f"{left} categories are in a wrong place. Run again with --fix to repair them."
            )

    def check_tree(self, tenant: Tenant, *, fixes: bool) -> int:
        """Report the tree, repair it when asked, and return how many categories are still wrong."""
        problems = tree_problems(tenant.pk)
        for problem in problems[:MOST_SHOWN]:
            self.stdout.write(f"{tenant.name}: {problem.category_id}: {problem.message}")
        if len(problems) > MOST_SHOWN:
            self.stdout.write(f"{tenant.name}: and {len(problems) - MOST_SHOWN} more")
        if not problems:
            self.stdout.write(f"{tenant.name}: sound")
            return 0
        if not fixes:
            return len(problems)
        with transaction.atomic():
            tree = locked_tree(tenant.pk)
            # No write makes a cycle, so there is none to look for under the lock when none was found.
            lifted = tree.break_cycles() if any(found.kind == "cycle" for found in problems) else []
            changed = tree.place_forest()
        for category_id in lifted:
            self.stdout.write(f"{tenant.name}: {category_id} hung in a cycle and is a root category now")
        left = tree_problems(tenant.pk)
        self.stdout.write(f"{tenant.name}: repaired {changed} categories, {len(left)} are still wrong")
        return len(left)
