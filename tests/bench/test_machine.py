import pytest

from bench.machine import PACKAGES, describe_machine


@pytest.mark.django_db
def test_every_package_whose_version_is_kept_is_installed():
    assert describe_machine()["packages"].keys() == set(PACKAGES)
