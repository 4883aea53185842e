"""The DATABASES setting: a server named by DATABASE_URL, or else the embedded PostgreSQL."""

from collections.abc import Mapping
from pathlib import Path

import psycopg
from django.core.exceptions import ImproperlyConfigured
from psycopg.conninfo import conninfo_to_dict

from config.environment import Environment
from core.json_types import JsonObject

URL_FORM = "postgres://user:password@host:port/name?sslmode=require"
STATEMENT_TIMEOUT = 5_000  # milliseconds
GRACE = 2  # seconds that the server has to end a statement itself
# How soon a server that is gone without a word is noticed, in seconds; TCP's own defaults are hours.
DEAD_SERVERS = {
    "keepalives": "1",
    "keepalives_idle": "30",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "10000",  # milliseconds
}
WITHOUT_JIT = "-c jit=off"  # compiling a statement takes many times as long as running it
PROFILES = {"production": "pg", "test": "pg-test"}
Settings = JsonObject
"""A database, or its options, as Django's settings have it."""


def database_settings(environ: Mapping[str, str], base_dir: Path) -> dict[str, Settings]:
    """Return Django's DATABASES.

    Only a web process (SERVICE_ROLE=web) keeps its connections and gets a statement timeout: the statements
    of a management command may run as long as their work takes. A command gets room for the temporary tables
    of an import instead. Both have a lock timeout, that of commands being longer. A background worker
    (SERVICE_ROLE=background) is a command that waits no longer for locks than web processes do, and needs a
    server that accepts writes, which it waits for by itself.
    Raises ImproperlyConfigured naming the variable that is wrong; it never repeats a password.
    """
    env = Environment(environ)
    url = env.text("DATABASE_URL")
    database = _named_server(url, env) if url else _embedded_server(env, base_dir)
    database["CONN_MAX_AGE"] = 0
    database["TEST"] = {"NAME": "_".join(filter(None, ["test_segments", env.text("TEST_DATABASE_SUFFIX")]))}
    replicas = {}
    if env.text("SERVICE_ROLE") == "web":
        database["CONN_MAX_AGE"] = env.number("DATABASE_CONNECTION_MAX_AGE", default=600)
        _limit_web_process(database["OPTIONS"], env)
        if statement_timeout := env.number("DATABASE_STATEMENT_TIMEOUT_MS", default=STATEMENT_TIMEOUT):
            # for a server that cannot end the statement itself, as it is frozen or out of reach
            database["STATEMENT_DEADLINE"] = statement_timeout / 1_000 + GRACE
        database.pop("CONNECTION_WAIT", None)  # a request does not wait
        replicas = _replicas(database, env)
    elif env.text("SERVICE_ROLE") == "background":
        database["OPTIONS"].setdefault("target_session_attrs", "read-write")
        _prepare_command(database["OPTIONS"], env, lock_timeout=("DATABASE_LOCK_TIMEOUT_MS", 3_000))
        database.pop("CONNECTION_WAIT", None)
    else:
        _prepare_command(database["OPTIONS"], env)
    return {"default": database, **replicas}


def _replicas(primary: Settings, env: Environment) -> dict[str, Settings]:
    """Return the databases of DATABASE_REPLICA_URLS, which web workers may read from."""
    found = {}
    for number, url in enumerate(env.words("DATABASE_REPLICA_URLS"), 1):
        replica = _named_server(url, env, variable="DATABASE_REPLICA_URLS")
        replica["OPTIONS"].setdefault("target_session_attrs", "any")
        _limit_web_process(replica["OPTIONS"], env)
        replica["OPTIONS"]["connect_timeout"] = min(2, replica["OPTIONS"]["connect_timeout"])
        replica.pop("CONNECTION_WAIT")
        replica["CONN_MAX_AGE"] = primary["CONN_MAX_AGE"]
        replica["TEST"] = {"MIRROR": "default"}
        if "STATEMENT_DEADLINE" in primary:
            replica["STATEMENT_DEADLINE"] = primary["STATEMENT_DEADLINE"]
        found[f"replica-{number}"] = replica
    return found


def _limit_web_process(options: Settings, env: Environment) -> None:
    options.setdefault("connect_timeout", env.number("DATABASE_CONNECT_TIMEOUT", default=5, least=1))
    # After a failover the former primary may still be reached, and would serve what it knew. The address of a
    # process that is to read from a replica says so: ?target_session_attrs=any
    options.setdefault("target_session_attrs", "read-write")
    session = [WITHOUT_JIT]
    statement_timeout = env.number("DATABASE_STATEMENT_TIMEOUT_MS", default=STATEMENT_TIMEOUT)
    if statement_timeout:
        session.append(f"-c statement_timeout={statement_timeout}")
    session += _lock_timeout("DATABASE_LOCK_TIMEOUT_MS", env, default=3_000)
    prepare_after = env.number("DATABASE_PREPARE_AFTER", default=5)
    if prepare_after:
        # Only statements fetched with prepared=True are ever prepared: see core.sql.fetching.fetch_rows.
        options["prepare_threshold"] = prepare_after
        session.append("-c plan_cache_mode=force_generic_plan")
    _begin_sessions_with(session, options)


def _prepare_command(
    options: Settings,
    env: Environment,
    lock_timeout: tuple[str, int] = ("DATABASE_COMMAND_LOCK_TIMEOUT_MS", 60_000),
) -> None:
    # Only until a session has its first temporary table can it be set; the memory is taken when it is used.
    megabytes = env.number("DATABASE_TEMPORARY_MB", default=128)
    session = [WITHOUT_JIT, *([f"-c temp_buffers={megabytes}MB"] if megabytes else [])]
    variable, default = lock_timeout
    session += _lock_timeout(variable, env, default=default)
    _begin_sessions_with(session, options)


def _lock_timeout(variable: str, env: Environment, *, default: int) -> list[str]:
    milliseconds = env.number(variable, default=default)
    return [f"-c lock_timeout={milliseconds}"] if milliseconds else []


def _begin_sessions_with(words: list[str], options: Settings) -> None:
    if words:
        options["options"] = " ".join([*filter(None, [options.get("options")]), *words])


def _embedded_server(env: Environment, base_dir: Path) -> Settings:
    profile = env.text("EMBEDDED_POSTGRES_PROFILE", default="production")
    if profile not in PROFILES:
        raise ImproperlyConfigured(
            f"EMBEDDED_POSTGRES_PROFILE is {profile!r}; set it to one of {', '.join(PROFILES)}."
        )
    directory = Path(env.text("VAR_DIR", default=str(base_dir / "var"))).absolute()
    return {
        "ENGINE": "config.server.embedded_postgres",
        "NAME": "segments",
        "OPTIONS": {},
        "EMBEDDED": {"data": str(directory / PROFILES[profile]), "profile": profile},
    }


def _named_server(url: str, env: Environment, *, variable: str = "DATABASE_URL") -> Settings:
    if not url.startswith(("postgres://", "postgresql://")):
        raise ImproperlyConfigured(
            f"{variable} does not name a PostgreSQL server; the form is {URL_FORM}. "
            "Remove the variable to use the embedded server."
        )
    try:
        parts = conninfo_to_dict(url)
    except psycopg.ProgrammingError as error:
        # libpq quotes the part that it stumbled over, and that part may be the password
        reason = str(error).split(': "')[0].split(' "')[0].strip()
        raise ImproperlyConfigured(f"{variable} is malformed ({reason}); the form is {URL_FORM}.") from None
    name, host, port = (str(parts.pop(key, "")) for key in ("dbname", "host", "port"))
    if not name:
        raise ImproperlyConfigured(f"{variable} names no database; the form is {URL_FORM}.")
    for one_port in filter(None, port.split(",")):
        if not one_port.isascii() or not one_port.isdigit() or not 0 < int(one_port) < 65_536:
            raise ImproperlyConfigured(f"{variable} has a port that is not one; the form is {URL_FORM}.")
    return {
        "ENGINE": "config.server.postgres",
        "NAME": name,
        "USER": str(parts.pop("user", "")),
        "PASSWORD": str(parts.pop("password", "")),
        "HOST": host,
        "PORT": port,
        "OPTIONS": {
            "connect_timeout": env.number("DATABASE_CONNECT_TIMEOUT", default=5, least=1),
            **DEAD_SERVERS,
            **parts,
        },
        "CONNECTION_WAIT": env.number("DATABASE_WAIT", default=60),
    }
