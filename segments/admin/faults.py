"""What refusals of segments say to readers of the admin."""

from django.utils.translation import gettext_noop as _

FAULTS = (
    _("{field} in the address must not begin or end with blanks, invisible characters or quotes."),
    _("site and siteCode name different sites; send one of them."),
    _("The id in the body is not the one in the path."),
    _("The segment {segment} is inactive. The rule is evaluated once it is active."),
    _("The segment {segment} is over. The rule is evaluated once its end is later."),
    _("from must not be later than to."),
    _("A calendar shows at most {days} days; send an earlier to."),
    _("The token acts for the legal entity {company}, not for {other}."),
    _("Send validity, siteCode or status together with the change UPDATE, and with no other."),
    _("Send parentId together with the change MOVE only."),
    _("Send withSubcategories together with the change DELETE only."),
    _("There is no such set of segments, or its key is over. Ask for a new key."),
    _("The segment {segment} has customers or items assigned to it; delete it with forceDelete=true."),
    _("There is no finding {name}; there are {known}."),
    _("The rule has fewer conditions."),
    _("create.id is not the id in the address; leave it out."),
    _("The segment that members are added to has been deleted."),
    _("{field}: there is no segment {segment}."),
    _("This was removed from the segment in the meantime."),
    _("the segment was deleted since"),
    _("the customer was deleted since"),
    _("the legal entity was deleted since"),
    _("the product was deleted since"),
    _("the category was deleted since"),
    _("the customer is no contact of the legal entity any more"),
)
