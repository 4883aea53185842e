"""Every page of the admin opens for every group of staff, or says in the admin's own frame why not."""

from importlib import import_module

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import Group, Permission
from django.core.management import CommandError, call_command
from django.db import models
from django.test import Client, RequestFactory

from accounts.models import User
from tests.architecture.test_admin_pages import pages_of
from tests.conftest import web_client
from tests.factories.accounts import UserFactory
from tests.factories.shops import Shop

MODELS = sorted(admin.site._registry, key=lambda model: model._meta.label)
GROUPS = import_module("accounts.migrations.0009_staff_groups")
ACTIVITY = import_module("accounts.migrations.0010_groups_see_activity")
EXTENSIONS = import_module("accounts.migrations.0012_groups_of_webhooks_and_campaigns")
OF_THE_PLATFORM = {"Group", "SigningKey", "AttemptCounter"}  # of superusers without a tenant


@pytest.fixture
def groups(db: None) -> dict[str, Group]:
    """The groups as migrations make them; tests that empty the database take them along."""
    GROUPS.make_groups(apps)
    ACTIVITY.show_activity(apps)
    EXTENSIONS.extend_groups(apps)
    return {group.name: group for group in Group.objects.all()}


@pytest.fixture(params=GROUPS.GROUPS)
def member(request: pytest.FixtureRequest, groups: dict[str, Group], mine: Shop) -> User:
    user = UserFactory(username="member", tenant=mine.tenant)
    user.groups.add(groups[request.param])
    return user


def test_every_page_opens_or_says_why_not(member: User, mine: Shop, stored_signing_keys: None) -> None:
    browser = web_client()
    browser.force_login(member)
    browser.raise_request_exception = False
    for model in MODELS:
        for name, address in pages_of(model, mine.rows[model].pk):
            response = browser.get(address)
            assert response.status_code in (200, 302, 403), (name, response.status_code)
            if response.status_code == 403:
                text = response.content.decode()
                assert 'id="logout-form"' in text, name  # the frame, with a way on
                assert str(model._meta.verbose_name_plural) in text, name


def test_an_auditor_may_look_at_what_others_change_and_change_nothing(
    groups: dict[str, Group], mine: Shop
) -> None:
    auditor = UserFactory(username="auditor", tenant=mine.tenant)
    auditor.groups.add(groups["Auditor"])
    assert {right.rpartition(".")[2].partition("_")[0] for right in auditor.get_all_permissions()} == {"view"}
    for group in groups.values():
        seen = group.permissions.filter(codename__startswith="view_")
        assert set(seen) <= set(groups["Auditor"].permissions.all()), group


def test_an_auditor_may_look_at_every_page(groups: dict[str, Group]) -> None:
    """A model that is newly registered fails here until a migration gives the groups their rights."""
    seen = set(groups["Auditor"].permissions.values_list("codename", flat=True))
    missing = {model.__name__ for model in MODELS if f"view_{model._meta.model_name}" not in seen}
    assert missing == OF_THE_PLATFORM


@pytest.mark.parametrize(
    ("name", "rights"),
    [
        ("Operator", {
            *(f"{action}_{model}" for model in ("target", "subscription", "webhookconfig")
              for action in ("add", "change", "delete", "view")),
            "view_delivery", "change_delivery",
        }),
        ("Auditor", {"view_target", "view_subscription", "view_webhookconfig", "view_delivery"}),
        ("Merchandiser", set()),
        ("Catalogue manager", set()),
    ],
)  # fmt: skip
def test_webhooks_are_managed_by_operators_and_seen_by_auditors(
    groups: dict[str, Group], name: str, rights: set[str]
) -> None:
    of_webhooks = groups[name].permissions.filter(content_type__app_label="events")
    assert set(of_webhooks.values_list("codename", flat=True)) == rights


def test_merchandisers_make_and_end_campaigns_and_release_reservations(groups: dict[str, Group]) -> None:
    given = groups["Merchandiser"].permissions.filter(
        content_type__app_label="coupons", content_type__model__in=["couponcampaign", "reservation"]
    )
    assert set(given.values_list("codename", flat=True)) == {
        "view_couponcampaign", "add_couponcampaign", "change_couponcampaign",
        "view_reservation", "delete_reservation",
    }  # fmt: skip


def test_what_groups_name_exists(groups: dict[str, Group]) -> None:
    for permission in Permission.objects.filter(group__in=groups.values()).distinct():
        model = permission.content_type.model_class()
        assert model is not None, permission
        assert issubclass(model, models.Model)


def test_nobody_gains_rights_through_another_group(groups: dict[str, Group], mine: Shop) -> None:
    """An operator makes staff, and gives only groups whose rights they have."""
    operator = UserFactory(username="operator", tenant=mine.tenant)
    operator.groups.add(groups["Operator"])
    request = RequestFactory().get("/")
    request.user = operator
    offered = admin.site.get_model_admin(User)._groups_to_give(request)
    assert {group.name for group in offered} & GROUPS.GROUPS.keys() == {"Operator", "Auditor"}


def test_a_command_makes_members_of_staff(
    groups: dict[str, Group], mine: Shop, capsys: pytest.CaptureFixture
) -> None:
    call_command("create_staff_user", mine.tenant.name, "anna", group=["Merchandiser"])
    printed = capsys.readouterr().out
    password = printed.split("Password: ")[1].splitlines()[0]
    anna = User.objects.get(username="anna")
    assert (anna.tenant, anna.is_staff, anna.is_superuser) == (mine.tenant, True, False)
    assert [group.name for group in anna.groups.all()] == ["Merchandiser"]
    assert Client().login(username="anna", password=password)


@pytest.mark.parametrize(
    ("tenant", "name", "group", "message"),
    [
        ("nowhere", "anna", "Merchandiser", "There is no tenant nowhere"),
        ("mymarkx", "anna", "Pirates", "There is no group Pirates. There are: Auditor, Catalogue manager"),
        ("mymarkx", "mymark", "Merchandiser", "There is a user mymark already"),
        ("mymarkx", "a b", "Merchandiser", "Enter a valid username"),
    ],
)
def test_the_command_says_what_is_wrong(
    groups: dict[str, Group], mine: Shop, tenant: str, name: str, group: str, message: str
) -> None:
    with pytest.raises(CommandError, match=message):
        call_command("create_staff_user", tenant, name, group=[group])
