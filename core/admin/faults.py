"""What refusals say to readers of the admin: operations speak English, as the API does.

A refusal is found by its text, so an operation knows nothing of languages. Packages register theirs
(`admin/faults.py`); what is not registered stays English. tests/core/test_faults.py reads all refusals of the
code, and fails for one that is not.
"""

import re
from datetime import datetime
from functools import cache

from django.utils.formats import date_format
from django.utils.translation import gettext
from django.utils.translation import gettext_noop as _

from core.errors import DomainError, InvalidBody
from core.timestamps import local_moment

FAULTS = [
    # --- the language of rules
    _("Fault in q at character {position}: {reason}."),
    _("expected a text"),
    _("q has at most {most} characters"),
    _("q has at most {most} terms"),
    _("this character is not allowed"),
    _("expected a number"),
    _("expected true or false"),
    _("this instant is not within the years 1 to 9999"),
    _("expected a blank; write values that hold brackets or quotes in double quotes"),
    _("expected '(' and a compound query such as ((a:1) OR (b:2))"),
    _("the brackets of a compound query nest at most {most} deep"),
    _("this bracket is not closed"),
    _("expected AND, OR or ')'"),
    _("expected a blank or ')'"),
    _("a compound query nests at most {most} deep"),
    _("expected '(' or NOT"),
    _("expected ':' after the field"),
    _("expected a field of letters, digits, '_' and '-', with '.' between its parts"),
    _("a field has at most {most} parts"),
    _("a part of a field has at most {most} characters"),
    _("a list has at most {most} values"),
    _("expected '>', '>=', '<' or '<='"),
    _("expected a value"),
    _("this quote is not closed"),
    _("expected a regular expression"),
    _('expected \\" or \\\\ (in quotes a backslash is written twice)'),
    _("a number is written without quotes"),
    _("{field} cannot be searched by"),
    _("{field} is an object; name one of its fields"),
    _("a regular expression has at most {most} characters"),
    _("a regular expression needs a literal character here"),
    _("a repetition count is at most {most}"),
    _("a repetition count that ends below its start"),
    _("an unbalanced bracket"),
    _("nested quantifiers are not allowed here"),
    _("there is nothing before {sign} to be repeated"),
    _("this makes the regular expression too large"),
    # --- rules
    _("top(...) is for SNAPSHOT rules: somebody's rank moves with everybody's"),
    _("top(...) is for rules of segments that are SNAPSHOT"),
    _("The rule has no term, so everybody would belong: say who, as in onHold:false."),
    _("a LIVE rule has no regular expressions"),
    _("a rule looks at no more than {most} different windows"),
    _("only redemptions.count and redemptions.total can be ranked"),
    _("write top(500) or top(10%)"),
    _("legalEntities is a list of objects; name one of its fields"),
    _("name the segments by their ids: segments:(a,b)"),
    _("The rules name each other's segments in a circle: {circle}."),
    _("Rules that name segments with rules would be {deepest} deep; {most} is the most."),
    _("There are {most} LIVE rules already. Turn one off, or make it a SNAPSHOT."),
    _("The rule is about companies: name one by legalEntityId."),
    _("The segment {segment} has no rule."),
    _("there is no segment {segment}"),
    _("there is no field {field}"),
    _("there is no fact {fact} about customers; see docs/rules.md"),
    _("there is no fact {fact} about companies; see docs/rules.md"),
    _("Choose a field."),
    _("Enter a value."),
    _("This value cannot be read."),
    _("Write two values with a comma between them."),
    _("Write a number such as 500, or a part such as 10%."),
    _("Separate values by commas; write those with commas or quotes inside in double quotes."),
    _("Write the field as in the list, such as mixins.loyalty.tier."),
    _("It took longer than {number} seconds. Make the rule simpler."),
    _("A value of a customer cannot be compared as the rule asks, such as a number that is too large."),
    # --- segments and what they hold
    _("There is no segment {segment}."),
    _("There is no customer {customer}."),
    _("There is no legal entity {company}."),
    _("There is no site {site}."),
    _("The customer {customer} is not assigned to the legal entity {company}."),
    _("More than {most} are chosen. Choose fewer, or combine whole segments instead."),
    _("The segment that they would be added to has been deleted."),
    _(
        "The segment {segment} has {number} customers and items; at most {most} are deleted along with it."
        " Remove some of them first, by an import with mode delete, which commits them part by part. Nothing"
        " was deleted."
    ),
    _(
        "More than {most} products are assigned to the categories that would be deleted. Take some of them"
        " out first, by an import with mode delete, which commits them part by part, or delete fewer"
        " categories at a time. Nothing was deleted."
    ),
    _(
        "More than {most} contacts and segment assignments belong to the legal entities that would be"
        " deleted. Remove some of them first, by an import with mode delete, which commits them part by part."
        " Nothing was deleted."
    ),
    # --- taking back
    _("A change of a {kind} cannot be taken back."),
    _("A change of a {kind} is taken back with that of its {whole}: undo that one."),
    _("A deleted segment can be restored within {days} days; this one was deleted on {day}."),
    _("Change {number} followed from a deletion. Undo that one, and this is taken back with it."),
    _("Import {number} is at work in another process."),
    _("Import {number} has been undone before."),
    _("Import {number} is older than the history, so it cannot be undone."),
    _("Import {number} was a dry run, so there is nothing to undo."),
    _("Import {number} has not ended. Wait for its end or cancel it, then undo it."),
    _("Import {number} is run by a command. Stop the command with Ctrl-C."),
    _("A background worker undoes import {number}: see job {job}."),
    _("expected {sign}"),
    # --- documents, fields and files
    _("{field} must be a text."),
    _("{field} must be an object."),
    _("{field} must be a list."),
    _("{field} must be an object with from and to."),
    _("{field} must be a number."),
    _("{field} must be a whole number."),
    _("{field} must be true or false."),
    _("{field} must be a date such as {example}."),
    _("{field} must be an ISO 8601 time such as {example}."),
    _("{field} is a date without a time and an offset; send an instant such as {example}."),
    _("{field} is a time without an offset; end it with Z or an offset such as +01:00."),
    _("{field} is no time that exists."),
    _("{field} must be a map of language to text, or a text."),
    _("{field} must be at least {least}."),
    _("{field} must be at most {most}."),
    _("{field} must be greater than {bound}."),
    _("{field} must be less than {bound}."),
    _("{field} must be between 0 and {most}."),
    _("{field} must match {pattern}."),
    _("{field} must not be empty."),
    _("{field} must not be {value}, which is reserved: addresses use it for something else."),
    _("{field} must be 1 to 128 characters out of letters, digits and . _ - : ~ @"),
    _("{field} must be 1 to 128 characters out of letters, digits and . _ - : ~ @; {reason}"),
    _("{field} cannot be an id."),
    _("{field} cannot be an id; {reason}."),
    _("{field} needs {number} characters."),
    _("{field} needs at least {number} entries."),
    _("{field} needs a text in at least one language."),
    _("{field} has more than {most} entries."),
    _("{field} has more than {most} languages."),
    _("{field} has more than {most} characters."),
    _("{field} is longer than {most} characters."),
    _("{field} has a key that is not a language such as en or de-CH."),
    _("{field} has the same language twice."),
    _("{field} has a character that cannot be stored."),
    _("{field} is a text, so Content-Language must name its one language."),
    _("{field} is missing."),
    _("{field} is nested more than {most} levels deep."),
    _("{field} has the member {name} twice; keep one of them."),
    _("{field} contradicts another column."),
    _("{field} is no {kind}: {value}."),
    _("{field}.from must not be later than {other}.to."),
    _(
        "{field} has {size} KB; the limit is {most} KB. Keep large contents elsewhere, and their "
        "addresses here."
    ),
    _("The resource already exists."),
    _("The resource with id {value} has not been found."),
    _(
        "The resource you are attempting to access has changed: version {sent} was sent, version "
        "{stored} is stored."
    ),
    _("If-Match does not name the present version: {reason}. Read the resource again."),
    _("If-None-Match names what is stored: the resource exists. Read the resource again."),
    _("the resource does not exist"),
    _("version {stored} is stored"),
    _("The token lacks the scope {scope}."),
    _("Invalid access token"),
    _("This operation needs an access token of kind {kind}."),
    _("The tenant sends too many requests; try again in {seconds} seconds."),
    _("Someone else is changing this; nothing was changed. Try again in a moment."),
    _("The history begins at {time}; name that instant or a later one."),
    _("There is no change {number}."),
    _("There is no tenant {tenant}. `create_tenant` makes one."),
    _("Something still refers to this, so it was not deleted."),
    _("it was made anew since"),
    _("it was deleted since"),
    _("it was changed since"),
    _("it says what the service did, which follows from other changes"),
    _("the history does not keep its secrets"),
    _("its data have been erased"),
    _("another one has its id, code or number by now"),
    _("Import {number} has ended already: {state}. Undo it to take it back."),
    _("This list has been applied already. Nothing was added a second time."),
    _("Give {field} or {other}, not both."),
    _("The row names nobody and nothing."),
    _("It holds the character U+0000."),
    _("It has more than {most} characters."),
    _("The line has {values}, the header has {columns}."),
    _("Line 1: there is no column {name}, which {option} names."),
    _("Line 1: the column {name} occurs twice."),
    _("Line 1: the column {name} is missing."),
    _("Line 1 is no CSV header: {reason}."),
    _("Line {number} has a quote that is not closed within 1 MiB."),
    _("The file is empty; it begins with a header line."),
    _(
        "The file is one JSON object, not a list of rows: take the list out of it, for instance by "
        "jq '.customers'."
    ),
    _("The file goes on behind the end of the array."),
    _("The file has text {where} the array."),
    _(
        "Entry {number} is longer than 4 MiB, or a quote or bracket in it is not closed; what comes"
        " behind it was not read."
    ),
    _("The file has no rows."),
    _("The file is compressed; send it as it is."),
    _("{number} rows were refused, so nothing was applied: it is all or nothing."),
    _("{number} rows were refused and {most} are allowed: the batch up to line {line} was not applied."),
    _("{reason} --ignore-unknown-columns leaves such members out."),
    _("Line 1 is no CSV header. {reason}"),
    _("Line 1: {reason}"),
    _("There is no column {name}. {reason}"),
    _("Did you mean {name}?"),
    _("The columns are: {names}."),
    # --- what background work came to
    _("The worker ended each time it tried."),
]
ISO_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
PLACEHOLDER = re.compile(r"\{\{|\}\}|\{(\w+)\}")


def register_faults(*texts: str) -> None:
    """Have refusals of these texts, with names in braces for values, said in the reader's language."""
    FAULTS.extend(text for text in texts if text not in FAULTS)
    patterns.cache_clear()


def pattern_of(text: str) -> str:
    """Return what finds the text with its values."""
    found, end = [], 0
    for match in PLACEHOLDER.finditer(text):
        found.append(re.escape(text[end : match.start()]))
        found.append(f"(?P<{match[1]}>.+?)" if match[1] else re.escape(match[0][0]))
        end = match.end()
    return "".join(found) + re.escape(text[end:])


@cache
def patterns() -> tuple[tuple[str, re.Pattern[str]], ...]:
    """Return each text with a pattern of what it becomes with values; those that say most come first."""
    texts = sorted(FAULTS, key=lambda text: -len(PLACEHOLDER.sub("", text)))
    return tuple((text, re.compile(pattern_of(text), re.DOTALL)) for text in texts)


def fault_text(message: str) -> str:
    """Return a refusal in the language of the reader; what is not known stays as it is."""
    bare = message.removesuffix(".")
    for shape in (message, f"{bare[:1].lower()}{bare[1:]}"):
        for text, pattern in patterns():
            if found := pattern.fullmatch(shape):
                values = {name: shown_value(name, value) for name, value in found.groupdict().items()}
                said = gettext(text).format(**values)
                return said if shape == message else f"{said[:1].upper()}{said[1:]}{message[len(bare) :]}"
    return gettext(message) if message else ""


def shown_value(name: str, value: str) -> str:
    """Return a value in a refusal as people read it: reasons in their language, times as they write them."""
    if name.startswith("reason"):
        return fault_text(value)
    if name == "time" and (found := ISO_TIME.fullmatch(value)):
        try:
            return date_format(local_moment(datetime.fromisoformat(found[0])), "DATETIME_FORMAT")
        except ValueError:
            return value  # no time that exists
    return value


def refusal_text(refused: DomainError) -> str:
    """Return what an operation refused in the language of the reader; of a body all its problems."""
    if not isinstance(refused, InvalidBody):
        return fault_text(refused.message)
    sentences = []
    for field, _type, text in refused.problems:
        said = fault_text(text)
        sentences.append(said if not field or text.startswith(field) else f"{field}: {said}")
    return " ".join(sentences)
