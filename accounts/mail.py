"""E-mails to customers, sent in a thread of their own: a response never waits for a mail server.

Deployments set Django's EMAIL_... settings; with DEBUG the e-mails are printed.
"""

import logging
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from django.conf import settings
from django.core.mail import EmailMessage
from django.db import transaction
from django.template.loader import render_to_string

logger = logging.getLogger(__name__)
executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="mail")  # starts its thread at the first mail


def make_email(to: str, *, subject: str, template: str, context: Mapping[str, object]) -> EmailMessage:
    """Return an e-mail with the text of the template."""
    return EmailMessage(subject, render_to_string(f"mail/{template}.txt", dict(context)), to=[to])


def send_email(message: EmailMessage) -> None:
    """Send the e-mail once the transaction has been committed. A failure is logged, not raised."""
    transaction.on_commit(partial(post, message))


def post(message: EmailMessage) -> None:
    if settings.EMAIL_IN_BACKGROUND:
        executor.submit(deliver, message)
    else:
        deliver(message)


def deliver(message: EmailMessage) -> None:
    try:
        message.send()
    except OSError as error:  # what smtplib raises, too
        logger.error("An e-mail could not be sent: %s", error)
