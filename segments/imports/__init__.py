from core.imports.resources import register
from segments.imports.assignment_files import ITEMS_OF_SEGMENTS, MEMBERS_OF_SEGMENTS
from segments.imports.segment_files import SEGMENT_FILES

register(ITEMS_OF_SEGMENTS, MEMBERS_OF_SEGMENTS, SEGMENT_FILES)
