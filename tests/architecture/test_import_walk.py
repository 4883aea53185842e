"""An import enters no more files, and moves between them no more often, than docs/architecture.md says."""

import re
import sys
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from types import FrameType

from django.conf import settings
from django.core.management import call_command

from accounts.models import Site
from segments.models import ItemAssignment
from tests.factories.catalog import ProductFactory
from tests.factories.segments import SegmentFactory

PROJECT = str(settings.BASE_DIR)
APART = (str(Path(PROJECT, ".venv")), str(Path(PROJECT, "tests")))
FIGURES = re.compile(r"`upsert_segment_items .*: (\d+) files, (\d+) moves")


def walked(run: Callable[[], None]) -> list[str]:
    """Return the project's files in the order in which a call enters them."""
    entered: list[str] = []

    def note(frame: FrameType, event: str, argument: object) -> None:
        file = frame.f_code.co_filename
        is_of_project = file.startswith(PROJECT) and not file.startswith(APART)
        if event == "call" and is_of_project and entered[-1:] != [file]:
            entered.append(file)

    sys.setprofile(note)
    try:
        run()
    finally:
        sys.setprofile(None)
    return entered


def test_an_import_walks_as_the_page_says(transactional_db: None, site: Site, tmp_path: Path):
    segment = SegmentFactory(site=site, external_id="walk")
    names = [ProductFactory(tenant=site.tenant).external_id for _ in range(2)]
    path = tmp_path / "rows.csv"
    path.write_text("segmentId,type,id\n" + "".join(f"walk,PRODUCT,{name}\n" for name in names))

    def run() -> None:
        call_command(
            "upsert_segment_items", path, "--tenant", site.tenant.name, stdout=StringIO(), stderr=StringIO()
        )

    run()
    run()  # the statements of rows that are stored already are composed
    files = walked(run)
    assert ItemAssignment.objects.filter(segment=segment).count() == 2
    [(most_files, most_moves)] = FIGURES.findall(Path(PROJECT, "docs/architecture.md").read_text())
    assert len(set(files)) <= int(most_files)
    assert len(files) - 1 <= int(most_moves)
