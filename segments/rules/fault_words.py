"""Faults of rules in the reader's language.

The service says them in English, since programs and logs read them too; pages find the sentence among these
and say it in words of the reader. What is not here is shown as it is.
"""

import re
from functools import cache

from django.utils.translation import gettext, gettext_noop

SENTENCES = (
    gettext_noop("expected a text"),
    gettext_noop("q has at most {number} characters"),
    gettext_noop("q has at most {number} terms"),
    gettext_noop("this character is not allowed"),
    gettext_noop("expected a number"),
    gettext_noop("expected true or false"),
    gettext_noop("a number is written without quotes"),
    gettext_noop("this instant is not within the years 1 to 9999"),
    gettext_noop("the brackets of a compound query nest at most {number} deep"),
    gettext_noop("a compound query nests at most {number} deep"),
    gettext_noop("expected '(' and a compound query such as ((a:1) OR (b:2))"),
    gettext_noop("this bracket is not closed"),
    gettext_noop("this quote is not closed"),
    gettext_noop("expected AND, OR or ')'"),
    gettext_noop("expected a blank or ')'"),
    gettext_noop("expected '(' or NOT"),
    gettext_noop("expected ':' after the field"),
    gettext_noop("expected a value"),
    gettext_noop("there is no field {field}"),
    gettext_noop("there is no segment {segment}"),
    gettext_noop("there is no fact {fact} about customers; see docs/rules.md"),
    gettext_noop("there is no fact {fact} about companies; see docs/rules.md"),
    gettext_noop("{field} cannot be searched by"),
    gettext_noop("{field} is an object; name one of its fields"),
    gettext_noop("legalEntities is a list of objects; name one of its fields"),
    gettext_noop("name the segments by their ids: segments:(a,b)"),
    gettext_noop("a LIVE rule has no regular expressions"),
    gettext_noop("top(...) is for SNAPSHOT rules: somebody's rank moves with everybody's"),
    gettext_noop("only redemptions.count and redemptions.total can be ranked"),
    gettext_noop("write top(500) or top(10%)"),
    gettext_noop("a rule looks at no more than {number} different windows"),
    gettext_noop("Choose a field."),
    gettext_noop("Enter a value."),
    gettext_noop("This value cannot be read."),
    gettext_noop("Write two values with a comma between them."),
    gettext_noop("Write a number such as 500, or a part such as 10%."),
    gettext_noop("Separate values by commas; write those with commas or quotes inside in double quotes."),
    gettext_noop("Write the field as in the list, such as mixins.loyalty.tier."),
    gettext_noop("The rule has no term, so everybody would belong: say who, as in onHold:false."),
    gettext_noop("There are {number} LIVE rules already. Turn one off, or make it a SNAPSHOT."),
    gettext_noop("The rules name each other's segments in a circle: {circle}."),
    gettext_noop("Rules that name segments with rules would be {number} deep; {most} is the most."),
    gettext_noop("It took longer than {number} seconds. Make the rule simpler."),
    gettext_noop(
        "A value of a customer cannot be compared as the rule asks, such as a number that is too large."
    ),
    gettext_noop("The segment {segment} has no rule."),
)


@cache
def pattern_of(sentence: str) -> re.Pattern[str]:
    return re.compile(
        re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>.+)", re.escape(sentence.removesuffix("."))),
        re.IGNORECASE | re.DOTALL,
    )


def fault_in_words(fault: str) -> str:
    """Return a fault of a rule, in the language that is active; it begins as sentences do."""
    for sentence in SENTENCES:
        if found := pattern_of(sentence).fullmatch(fault.removesuffix(".")):
            said = gettext(sentence).format(**found.groupdict())
            return said[:1].upper() + said[1:]
    return fault[:1].upper() + fault[1:]
