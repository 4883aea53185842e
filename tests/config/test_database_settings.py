from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from config.database import database_settings

FORM = "the form is postgres://user:password@host:port/name?sslmode=require."


# so that a server that is gone without a word is noticed
DEAD_SERVERS = {
    "keepalives": "1",
    "keepalives_idle": "30",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "10000",
}


def settings(**environ: str) -> dict:
    return database_settings(environ, Path("/shop"))["default"]


def test_embedded_server_is_the_default():
    assert settings() == {
        "ENGINE": "config.server.embedded_postgres",
        "NAME": "segments",
        "OPTIONS": {"options": "-c jit=off -c temp_buffers=128MB -c lock_timeout=60000"},
        "EMBEDDED": {"data": "/shop/var/pg", "profile": "production"},
        "CONN_MAX_AGE": 0,
        "TEST": {"NAME": "test_segments"},
    }


def test_test_profile_has_its_own_data_in_the_folder_of_variable_data():
    found = settings(VAR_DIR="/data", EMBEDDED_POSTGRES_PROFILE="test")

    assert found["EMBEDDED"] == {"data": "/data/pg-test", "profile": "test"}


def test_url_is_decoded_and_its_options_reach_the_driver():
    found = settings(
        DATABASE_URL="postgres://shop%40acme:p%2Fw%25@db.example.com:6432/seg%20ments"
        "?sslmode=verify-full&sslrootcert=/etc/ca.pem&connect_timeout=3"
    )

    assert found == {
        "ENGINE": "config.server.postgres",
        "NAME": "seg ments",
        "USER": "shop@acme",
        "PASSWORD": "p/w%",
        "HOST": "db.example.com",
        "PORT": "6432",
        "OPTIONS": {
            "sslmode": "verify-full",
            "sslrootcert": "/etc/ca.pem",
            "connect_timeout": "3",
            "options": "-c jit=off -c temp_buffers=128MB -c lock_timeout=60000",
            **DEAD_SERVERS,
        },
        "CONNECTION_WAIT": 60,
        "CONN_MAX_AGE": 0,
        "TEST": {"NAME": "test_segments"},
    }


def test_url_may_name_a_socket_folder_and_several_hosts():
    assert settings(DATABASE_URL="postgresql://%2Frun%2Fpg/shop")["HOST"] == "/run/pg"
    several = settings(DATABASE_URL="postgres://one:5432,two:5433/shop")
    assert (several["HOST"], several["PORT"]) == ("one,two", "5432,5433")


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("mysql://u:hidden@h/n", f"DATABASE_URL does not name a PostgreSQL server; {FORM}"),
        ("segments", f"DATABASE_URL does not name a PostgreSQL server; {FORM}"),
        ("postgres://u:hidden%zz@h/n", f"DATABASE_URL is malformed (invalid percent-encoded token); {FORM}"),
        ("postgres://u:hidden@h/n?foo=1", f"DATABASE_URL is malformed (invalid URI query parameter); {FORM}"),
        ("postgres://u:hidden@h", f"DATABASE_URL names no database; {FORM}"),
        ("postgres://u:hidden@h:port/n", f"DATABASE_URL has a port that is not one; {FORM}"),
        ("postgres://u:hidden@h:65536/n", f"DATABASE_URL has a port that is not one; {FORM}"),
        ("postgres://u:hidden words@h/n", f"DATABASE_URL is malformed (unexpected spaces found in); {FORM}"),
    ],
)
def test_url_that_names_no_postgresql_database_is_refused_without_repeating_the_password(url, message):
    with pytest.raises(ImproperlyConfigured) as refusal:
        settings(DATABASE_URL=url)

    assert str(refusal.value).startswith(message)
    assert "hidden" not in str(refusal.value)


@pytest.mark.parametrize("url", ["", "postgres://h/n"])
def test_a_web_process_keeps_connections_and_bounds_statements_a_command_has_room_for_temporary_tables(url):
    command, web = settings(DATABASE_URL=url), settings(DATABASE_URL=url, SERVICE_ROLE="web")

    assert (command["CONN_MAX_AGE"], web["CONN_MAX_AGE"]) == (0, 600)
    named = DEAD_SERVERS if url else {}
    assert command["OPTIONS"] == {
        "options": "-c jit=off -c temp_buffers=128MB -c lock_timeout=60000",
        **({"connect_timeout": 5} if url else {}),
        **named,
    }
    assert web["OPTIONS"] == {
        **named,
        "connect_timeout": 5,
        "target_session_attrs": "read-write",
        "prepare_threshold": 5,
        "options": "-c jit=off -c statement_timeout=5000 -c lock_timeout=3000"
        " -c plan_cache_mode=force_generic_plan",
    }


def test_limits_of_a_web_process_come_from_the_environment_and_keep_the_options_of_the_url():
    found = settings(
        SERVICE_ROLE="web",
        DATABASE_URL="postgres://h/n?options=-c%20search_path%3Dshop",
        DATABASE_CONNECTION_MAX_AGE="30",
        DATABASE_CONNECT_TIMEOUT="2",
        DATABASE_STATEMENT_TIMEOUT_MS="750",
        DATABASE_LOCK_TIMEOUT_MS="500",
        DATABASE_PREPARE_AFTER="3",
    )

    assert found["CONN_MAX_AGE"] == 30
    assert found["STATEMENT_DEADLINE"] == 2.75
    assert found["OPTIONS"] == {
        **DEAD_SERVERS,
        "target_session_attrs": "read-write",
        "connect_timeout": 2,
        "prepare_threshold": 3,
        "options": "-c search_path=shop -c jit=off -c statement_timeout=750"
        " -c lock_timeout=500 -c plan_cache_mode=force_generic_plan",
    }


def test_connections_timeout_and_kept_plans_can_be_left_to_a_proxy_in_between():
    found = settings(
        SERVICE_ROLE="web",
        DATABASE_URL="postgres://h/n?connect_timeout=7&target_session_attrs=any&keepalives_idle=9",
        DATABASE_CONNECTION_MAX_AGE="0",
        DATABASE_STATEMENT_TIMEOUT_MS="0",
        DATABASE_LOCK_TIMEOUT_MS="0",
        DATABASE_PREPARE_AFTER="0",
    )

    assert found["CONN_MAX_AGE"] == 0
    assert found["OPTIONS"] == {
        **DEAD_SERVERS,
        "connect_timeout": "7",
        "keepalives_idle": "9",
        "target_session_attrs": "any",
        "options": "-c jit=off",
    }
    assert "STATEMENT_DEADLINE" not in found


def test_a_command_waits_for_its_server_and_a_web_process_does_not():
    url = "postgres://h/n"
    assert settings(DATABASE_URL=url, DATABASE_WAIT="5")["CONNECTION_WAIT"] == 5
    assert "CONNECTION_WAIT" not in settings(DATABASE_URL=url, SERVICE_ROLE="web")
    assert "CONNECTION_WAIT" not in settings()


def test_a_background_worker_waits_for_locks_as_web_processes_do_and_for_its_server_by_itself():
    found = settings(DATABASE_URL="postgres://h/n", SERVICE_ROLE="background", DATABASE_LOCK_TIMEOUT_MS="700")
    assert found["OPTIONS"]["options"] == "-c jit=off -c temp_buffers=128MB -c lock_timeout=700"
    assert found["OPTIONS"]["target_session_attrs"] == "read-write"
    assert "CONNECTION_WAIT" not in found
    assert "STATEMENT_DEADLINE" not in found


def test_limits_of_a_command_come_from_the_environment():
    found = settings(DATABASE_TEMPORARY_MB="0", DATABASE_COMMAND_LOCK_TIMEOUT_MS="0")
    assert found["OPTIONS"] == {"options": "-c jit=off"}
    found = settings(DATABASE_TEMPORARY_MB="64", DATABASE_COMMAND_LOCK_TIMEOUT_MS="10")
    assert found["OPTIONS"] == {"options": "-c jit=off -c temp_buffers=64MB -c lock_timeout=10"}


@pytest.mark.parametrize(
    "name",
    [
        "DATABASE_CONNECTION_MAX_AGE",
        "DATABASE_CONNECT_TIMEOUT",
        "DATABASE_STATEMENT_TIMEOUT_MS",
        "DATABASE_LOCK_TIMEOUT_MS",
        "DATABASE_PREPARE_AFTER",
    ],
)
def test_limit_that_is_no_number_is_refused_by_name(name):
    with pytest.raises(ImproperlyConfigured, match=f"^{name} is 'many'"):
        settings(SERVICE_ROLE="web", **{name: "many"})


def test_unknown_profile_is_refused_by_name():
    with pytest.raises(ImproperlyConfigured, match="^EMBEDDED_POSTGRES_PROFILE is 'fast'"):
        settings(EMBEDDED_POSTGRES_PROFILE="fast")


def test_test_database_takes_the_suffix_of_the_environment():
    assert settings(TEST_DATABASE_SUFFIX="pg")["TEST"] == {"NAME": "test_segments_pg"}
