from core.api.checks import API_MIDDLEWARE, check_middleware_below_api


def test_the_settings_declare_all_middleware_below_the_api():
    assert check_middleware_below_api() == []


def test_each_middleware_that_the_api_never_runs_is_named(settings):
    settings.MIDDLEWARE = ["shop.Above", API_MIDDLEWARE, "shop.Audit", "shop.Pages", "shop.Limits"]
    settings.BROWSER_ONLY_MIDDLEWARE = ["shop.Pages"]
    messages = check_middleware_below_api()
    assert [message.id for message in messages] == ["core.W001", "core.W001"]
    assert "shop.Audit" in messages[0].msg
    assert "shop.Limits" in messages[1].msg


def test_without_the_middleware_of_the_api_there_is_nothing_to_say(settings):
    settings.MIDDLEWARE = ["shop.Audit"]
    assert check_middleware_below_api() == []
