from core.imports.resources import register
from segments.imports.assignments import ITEMS_OF_SEGMENTS, MEMBERS_OF_SEGMENTS
from segments.imports.segments import SEGMENT_FILES

register(ITEMS_OF_SEGMENTS, MEMBERS_OF_SEGMENTS, SEGMENT_FILES)
