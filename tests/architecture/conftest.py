from collections.abc import Callable, Iterator

import pytest
from django.contrib.auth.models import Permission
from django.db import transaction
from django.test import Client
from pytest_django import DjangoDbBlocker

from accounts.models import User
from config.demo.shop import merchandiser_permissions
from tests.conftest import web_client
from tests.factories.accounts import UserFactory
from tests.factories.shops import MINE, THEIRS, Shop


@pytest.fixture(scope="module")
def shops(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[tuple[Shop, Shop]]:
    """Two shops, made once: each test runs in a savepoint of the transaction that they live in."""
    with django_db_blocker.unblock(), transaction.atomic():
        found = Shop(MINE), Shop(THEIRS)
        for shop in found:
            shop.make()
        yield found
        transaction.set_rollback(True)


@pytest.fixture
def mine(shops: tuple[Shop, Shop], db: None) -> Shop:
    return shops[0]


@pytest.fixture
def theirs(shops: tuple[Shop, Shop], db: None) -> Shop:
    return shops[1]


@pytest.fixture
def user_of_role(mine: Shop) -> Callable[[str], User]:
    """Make a user of the admin: a superuser, the demo's merchandiser, or somebody who may only look."""

    def make(role: str) -> User:
        if role == "superuser":
            return UserFactory(username="worker", tenant=None, is_superuser=True)
        user = UserFactory(username="worker", tenant=mine.tenant)
        if role == "merchandiser":
            user.user_permissions.set(merchandiser_permissions())
        else:
            user.user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
        return user

    return make


@pytest.fixture
def browser_of() -> Callable[[User], Client]:
    """Make a browser that the user is logged in with."""

    def make(user: User) -> Client:
        browser = web_client()
        browser.force_login(user)
        return browser

    return make
