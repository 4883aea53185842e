"""What refusals of events say to readers of the admin."""

from django.utils.translation import gettext_noop as _

FAULTS = (
    _("There is no webhook configuration {code}. Create one first."),
    _(
        "The provider {provider} is not available: this service delivers webhooks itself. Use the "
        "provider HTTP with the code http."
    ),
    _(
        "The configuration is active. Deactivate it first, or send force=true to delete it with its"
        " deliveries."
    ),
    _(
        "There are several entries for {event}. Name one by its id: "
        "/configuration/http/eventsConfigurationEntry/{{entryId}}."
    ),
    _(
        "The tenant is not subscribed to {what}, so no feed of them is kept. Subscribe first: PATCH"
        " /webhook/{tenant}/event-subscriptions."
    ),
    _(
        "Events that followed this cursor are not kept any more. Read the present state from the "
        "API, and the feed without after."
    ),
    _("A filter has at most {most} characters."),
    _("A filter has no regular expressions here. Compare with ==, <, in or contains."),
    _("A filter names fields by their whole path; '..' is not supported."),
    _("This is not a JSONPath filter: {reason}."),
    _(
        "A filter is one path. Each of its steps names one field, one place, * or a condition, and"
        " conditions name fields by paths that begin with @."
    ),
    _("The code of the provider HTTP is {code}, not {other}."),
    _("Entries get their ids from the service. Leave out id."),
    _("At most {most} new addresses are checked in one request. Add the others in another."),
    _("UPSERT needs a value."),
    _("An entry has no {member}; it has {known}."),
    _("active is true or false."),
    _("The value is an object."),
    _("The value is a list of entries."),
    _("The configuration was changed meanwhile. Read it and send the request again."),
    _("There is no entry with this id. Leave id out to make a new entry."),
    _("Delete the configuration instead, by DELETE."),
    _("The id of an entry cannot be changed."),
    _("Name the entry to remove: {path}."),
    _("There is no entry with the id {number}."),
    _("The path {path} does not name anything that can be changed."),
    _("There is no entry for {event}."),
    _("More than {most} events happened since then. Name a later instant, or until."),
    _("There are no events of the type {event}. Read the subscriptions for all types."),
    _("A URL has at most {most} characters."),
    _("Write the URL in ASCII without blanks; encode other characters with %."),
    _("Webhooks are sent over https only. Use an address that begins with https://."),
    _("The URL must not hold a user name or a password. Send them as a header."),
    _("The URL must not have a part behind #; it would not be sent."),
    _("The host {host} cannot be resolved: {reason}."),
    _("The target answered 410 Gone."),
    _("The target answered {status}."),
    _("The target answered with a redirect, which is not followed. Configure the final address."),
    _("The target did not answer within {seconds} s."),
    _("The target could not be reached: {reason}"),
    _("The event could not be sent; the log says why."),
    _(
        "The host {host} has no public address. Webhooks are not sent into private networks unless "
        "the operator allows it with WEBHOOK_ALLOWED_NETWORKS."
    ),
)
