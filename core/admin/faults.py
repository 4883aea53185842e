"""What refusals say to readers of the admin: operations speak English, as the API does.

A refusal is found by its text, so an operation knows nothing of languages. What is not listed stays English.
"""

import re
from functools import cache

from django.utils.translation import gettext
from django.utils.translation import gettext_noop as _

FAULTS = (
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
    _("A background worker undoes import {number}: see job {job}."),
    # Last, since it is like others.
    _("expected {sign}"),
)
PLACEHOLDER = re.compile(r"\\\{(\w+)\\\}")


@cache
def patterns() -> tuple[tuple[str, re.Pattern[str]], ...]:
    """Return each text with a pattern of what it becomes with values."""
    return tuple(
        (text, re.compile(PLACEHOLDER.sub(r"(?P<\1>.+?)", re.escape(text)), re.DOTALL)) for text in FAULTS
    )


def fault_text(message: str) -> str:
    """Return a refusal in the language of the reader; what is not known stays as it is."""
    bare = message.removesuffix(".")
    for shape in (message, f"{bare[:1].lower()}{bare[1:]}"):
        for text, pattern in patterns():
            if found := pattern.fullmatch(shape):
                values = {
                    name: fault_text(value) if name == "reason" else value
                    for name, value in found.groupdict().items()
                }
                said = gettext(text).format(**values)
                return said if shape == message else f"{said[:1].upper()}{said[1:]}{message[len(bare) :]}"
    return gettext(message) if message else ""
