from events.forms.targets import ReplayForm, SubscriptionForm, TargetForm

__all__ = ["ReplayForm", "SubscriptionForm", "TargetForm"]
