"""The addresses of the Webhook Service, and of the feed, which belongs to the customer segment service."""

from core.api.routes import describe_argument, route
from events.api.viewsets.configs import ConfigViewSet
from events.api.viewsets.deliveries import DeliveryViewSet
from events.api.viewsets.feed import FeedViewSet
from events.api.viewsets.statistics import StatisticsViewSet
from events.api.viewsets.subscriptions import SubscriptionViewSet

WEBHOOK = "webhook/<tenant>"

describe_argument("config_code", "The code of the configuration: http.", wire_name="code")
describe_argument("delivery_id", "The delivery's id.", wire_name="id")
describe_argument("target_id", "The target's id: that of an entry in eventsConfiguration.", wire_name="id")

urlpatterns = [
    route("customer-segment/<tenant>/events", FeedViewSet, get="read"),
    route(f"{WEBHOOK}/config", ConfigViewSet, get="list_configs", post="create_config"),
    route(
        f"{WEBHOOK}/config/<config_code>",
        ConfigViewSet,
        get="read_config",
        put="replace_config",
        patch="change_config",
        delete="delete_config",
    ),
    route(
        f"{WEBHOOK}/event-subscriptions",
        SubscriptionViewSet,
        get="list_subscriptions",
        patch="change_subscriptions",
    ),
    route(f"{WEBHOOK}/dashboard-access", StatisticsViewSet, get="dashboard_access"),
    route(f"{WEBHOOK}/statistics", StatisticsViewSet, get="read_statistics"),
    route(f"{WEBHOOK}/deliveries", DeliveryViewSet, get="list"),
    route(f"{WEBHOOK}/deliveries/<delivery_id>", DeliveryViewSet, get="retrieve"),
    route(f"{WEBHOOK}/deliveries/<delivery_id>/retry", DeliveryViewSet, post="retry"),
    route(f"{WEBHOOK}/targets/<target_id>/replays", DeliveryViewSet, post="replay"),
    route(f"{WEBHOOK}/targets/<target_id>/test-events", DeliveryViewSet, post="send_test_event"),
]
