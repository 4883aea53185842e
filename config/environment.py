"""Reads settings from environment variables, and says what to do when one is missing or malformed."""

import re
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_network

from django.core.exceptions import ImproperlyConfigured

HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
TRUE = {"1", "true", "yes", "on"}
FALSE = {"0", "false", "no", "off", ""}


class Environment:
    """Typed reads of environment variables. Every failure names the variable and the remedy."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self.variables = variables

    def flag(self, name: str, *, default: bool = False) -> bool:
        """Return True or False; anything but 1/0, true/false, yes/no, on/off is refused."""
        text = self.variables.get(name)
        if text is None:
            return default
        if text.strip().lower() in TRUE:
            return True
        if text.strip().lower() in FALSE:
            return False
        raise ImproperlyConfigured(f"{name} is {text!r}; set it to 1 or 0.")

    def number(self, name: str, *, default: int, least: int = 0) -> int:
        """Return a whole number of at least `least`."""
        text = self.variables.get(name, "").strip()
        if not text:
            return default
        if not text.isascii() or not text.isdigit() or int(text) < least:
            raise ImproperlyConfigured(f"{name} is {text!r}; set it to a whole number from {least}.")
        return int(text)

    def text(self, name: str, *, default: str = "") -> str:
        return self.variables.get(name, "").strip() or default

    def choice(self, name: str, choices: Sequence[str]) -> str:
        """Return one of these words; the first is the default."""
        text = self.text(name, default=choices[0])
        if text not in choices:
            raise ImproperlyConfigured(f"{name} is {text!r}; set it to one of {', '.join(choices)}.")
        return text

    def words(self, name: str, *, default: str = "") -> list[str]:
        """Return a comma-separated list, without empty entries."""
        return [word.strip() for word in self.text(name, default=default).split(",") if word.strip()]

    def headers(self, name: str) -> dict[str, str]:
        """Return HTTP headers from a list such as `Fastly-Key: abc, X-Shop: acme`."""
        headers = {}
        for word in self.words(name):
            header, colon, value = word.partition(":")
            if not colon or not HEADER_NAME.fullmatch(header.strip()):
                raise ImproperlyConfigured(f"{name} holds {word!r}; write headers as `Name: value`.")
            headers[header.strip()] = value.strip()
        return headers

    def networks(self, name: str, *, default: str = "") -> list[IPv4Network | IPv6Network]:
        """Return a comma-separated list of networks such as 10.0.0.0/8."""
        try:
            return [ip_network(word) for word in self.words(name, default=default)]
        except ValueError as error:
            raise ImproperlyConfigured(f"{name}: {error}. Name networks such as 10.1.0.0/16.") from error

    def rates(self, name: str) -> dict[str, float]:
        """Return a comma-separated list such as `*=200,acme=500` as numbers by name."""
        found = {}
        for word in self.words(name):
            key, _, text = word.partition("=")
            try:
                number = float(text)
            except ValueError:
                number = 0.0
            if not key.strip() or not 0 < number < float("inf"):
                raise ImproperlyConfigured(
                    f"{name} has the entry {word!r}; write it as name=number, such as *=200,acme=500."
                )
            found[key.strip()] = number
        return found

    def required(self, name: str, *, remedy: str) -> str:
        """Return the variable's text, or say how to set it."""
        if text := self.text(name):
            return text
        raise ImproperlyConfigured(f"{name} is not set. {remedy}")
