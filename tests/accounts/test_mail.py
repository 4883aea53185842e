from concurrent.futures import ThreadPoolExecutor

import pytest
from django.core import mail as django_mail
from django.db import transaction

from accounts import mail


def test_email_is_sent_by_another_thread_after_the_commit(
    db, settings, monkeypatch, django_capture_on_commit_callbacks
):
    settings.EMAIL_IN_BACKGROUND = True
    executor = ThreadPoolExecutor(max_workers=1)
    monkeypatch.setattr(mail, "executor", executor)
    context = {"shop": "Acme & Sons", "until": "2027-01-31"}
    with django_capture_on_commit_callbacks(execute=True):
        message = mail.make_email(
            "ann@example.com", subject="Hello", template="password_reminder", context=context
        )
        mail.send_email(message)
        assert django_mail.outbox == []
    executor.shutdown()
    [sent] = django_mail.outbox
    assert (sent.to, sent.subject) == (["ann@example.com"], "Hello")
    assert sent.body.startswith("Acme & Sons has moved")


@transaction.atomic
def send_and_fail():
    mail.send_email(django_mail.EmailMessage("Hello", to=["ann@example.com"]))
    raise ZeroDivisionError


def test_email_of_a_transaction_that_fails_is_not_sent(db, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True), pytest.raises(ZeroDivisionError):
        send_and_fail()
    assert django_mail.outbox == []
