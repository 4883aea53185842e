"""How the admin writes dates and times for readers of German; the zone is named."""

DATE_FORMAT = "j. M Y"
DATETIME_FORMAT = "j. M Y, H:i T"
SHORT_DATETIME_FORMAT = "d.m.Y H:i T"
TIME_FORMAT = "H:i"
DATE_INPUT_FORMATS = ["%d.%m.%Y", "%Y-%m-%d"]
TIME_INPUT_FORMATS = ["%H:%M", "%H:%M:%S"]
