from events.forms.targets import SubscriptionForm, TargetForm

__all__ = ["SubscriptionForm", "TargetForm"]
