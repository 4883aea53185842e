"""Makes TypeScript clients of the OpenAPI document, compiles them, and runs them against the demo shop.

Then runs the receiver of webhooks in JavaScript that docs/events.md shows.

`make clients`. Needs Node 20 or newer; npm installs the packages that `typescript/package-lock.json` names.
The customers that the clients assign to a segment stay assigned.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

import django

django.setup()

from drf_spectacular.generators import SchemaGenerator  # noqa: E402

from tests.events.receivers_of_docs import check  # noqa: E402
from tests.faults.servers import WebServer  # noqa: E402

FOLDER = Path(__file__).parent / "typescript"
BUILD = FOLDER / "build"


def run(*words: str, **environ: str) -> None:
    """Run a command in the folder of the clients; end with its status when it fails."""
    sys.stdout.write(f"$ {' '.join(words)}\n")
    sys.stdout.flush()
    done = subprocess.run(words, cwd=FOLDER, env={**os.environ, **environ})
    if done.returncode:
        sys.exit(done.returncode)


def main() -> None:
    if shutil.which("npm") is None:
        sys.exit("make clients needs Node 20 or newer with npm: https://nodejs.org")
    run("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel", "error")
    shutil.rmtree(BUILD, ignore_errors=True)
    BUILD.mkdir()
    (BUILD / "openapi.json").write_text(json.dumps(SchemaGenerator().get_schema(request=None, public=True)))
    with tempfile.TemporaryDirectory() as logs:
        server = WebServer(log=Path(logs) / "server.log")
        url = f"http://127.0.0.1:{server.port}"
        run("npx", "openapi-typescript", "build/openapi.json", "-o", "build/openapi-typescript.d.ts")
        run("npx", "orval", "--config", "orval.config.ts", SHOP_URL=url)
        run("npx", "tsc", "-p", ".")
        server.start()
        try:
            run("node", "build/js/run.js", SHOP_URL=url)
        finally:
            server.kill()
    check("js")
    sys.stdout.write("The receiver of docs/events.md verifies what is sent.\n")


if __name__ == "__main__":
    main()
