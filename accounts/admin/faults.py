"""What refusals of accounts say to readers of the admin."""

from django.utils.translation import gettext_noop as _

FAULTS = (
    _("{field} must be an IANA time zone such as Europe/Berlin."),
    _("{field} must be an e-mail address."),
    _("{field} must begin with http:// or https://."),
    _("{field} must be the e-mail of the sign-up."),
    _(
        "password cannot be set here. Customers change theirs by POST password/change or "
        "password/reset, and staff in the admin."
    ),
    _("Access Token expired"),
    _("No tokens can be issued at the moment; the service's log says what to do."),
    _("Invalid refresh token"),
    _("Invalid client identifier"),
    _("Invalid credentials"),
    _("The customer is not assigned to the legal entity {company}."),
    _("A customer with the e-mail {email} exists already."),
    _("The id {value} is taken."),
    _("The customer is assigned to this legal entity already."),
    _("A site with the code {code} exists already."),
    _("The site {code} has customer segments; delete them first."),
    _("A legal entity cannot be below itself."),
    _("currentPassword is not the customer's password."),
    _("token is not valid (any more): it is good once and for a short time. Request another one."),
    _("legacyAuth needs an active password migration: configure config/password-migration-retention first."),
    _(
        "Customers with legacyAuth are left, so the configuration stays; move retentionEndDate "
        "earlier to end the migration sooner."
    ),
    _("This number or e-mail belongs to a customer who has been erased."),
    _("There is no verifier for the algorithm {algorithm}; this service has: {known}."),
    _("A hash of phpass has 34 characters and begins with $P$ or $H$."),
    _("A hash of LDAP is {{SSHA}} and base64 of 20 bytes and 4 to 64 bytes of salt."),
    _("Too many failed attempts; try again in {seconds} seconds."),
    _("Too many password resets; try again in {seconds} seconds."),
    _("Too many sign-ups; try again in {seconds} seconds."),
    _("Too many passwords are being checked at the moment; try again in a second."),
    _("There is no scope {scope}; choose from {known}."),
    _("retentionEndDate must be after today."),
    _("The tenant has no password migration retention configuration."),
    _("emailReminderDate must be today or later, and before retentionEndDate."),
    _("The e-mail of a customer cannot be removed."),
    _("Customers cannot change {field} themselves."),
    _("This is the default site; make another site the default instead."),
    _("The default site cannot be deleted."),
    _("languages must contain the default language {language}."),
    _("There is a user {name} already."),
    _("There is no group {group}. There are: {known}."),
    _(
        "passwordHash must be in an encoding of Django that this service verifies, such as "
        "pbkdf2_sha256$<iterations>$<salt>$<hash>; send hashes of other systems as legacyAuth."
    ),
    _("passwordHash has {name} {value}; the most is {most}."),
)
