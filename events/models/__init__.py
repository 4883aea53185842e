from events.models.deliveries import Delivery, DeliveryState, Lane, MonthlyCount, SendingByHand
from events.models.events import Event, FeedPosition
from events.models.purges import PurgePosition
from events.models.subscriptions import Subscription, SubscriptionState
from events.models.targets import Target, WebhookConfig

__all__ = [
    "Delivery",
    "DeliveryState",
    "Event",
    "FeedPosition",
    "Lane",
    "MonthlyCount",
    "PurgePosition",
    "SendingByHand",
    "Subscription",
    "SubscriptionState",
    "Target",
    "WebhookConfig",
]
