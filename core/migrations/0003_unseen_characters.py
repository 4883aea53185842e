from django.db import migrations

# What nobody sees of a text: marks of formatting, such as soft hyphens and joiners, fillers, and variation selectors.
UNSEEN = (
    r'\u00ad\u034f\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u115f\u1160\u17b4\u17b5\u180b-\u180f'
    r'\u200b-\u200f\u202a-\u202e\u2060-\u206f\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb'
    r'\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a'
    r'\U000e0001\U000e0020-\U000e007f\U000e0100-\U000e01ef'
)
BETWEEN_WORDS = r"[\s!-/:-@[-`{-~\u00a0\u00ab\u00b7\u00bb\u2010-\u201f\u3000\ufeff]+"
PLAIN = r"""
        written := normalize(regexp_replace(normalize(written, NFD), '[\u0300-\u036f]', '', 'g'), NFC);
        written := replace(replace(replace(written, 'ß', 'ss'), 'æ', 'ae'), 'œ', 'oe');
        written := translate(written, 'øłđıħŧ', 'oldiht');
"""
# A blank without width may divide words or not: both readings are found.
CREATE = rf"""
CREATE OR REPLACE FUNCTION search_words(written text) RETURNS tsvector
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE COST 1000 AS $$
BEGIN
    written := lower(written);
    IF octet_length(written) > char_length(written) THEN
        IF strpos(written, U&'\200B') > 0 THEN
            written := written || ' ' || replace(written, U&'\200B', ' ');
        END IF;
        written := regexp_replace(written, '[{UNSEEN}]', '', 'g');{PLAIN}    END IF;
    RETURN array_to_tsvector(array_remove(regexp_split_to_array(written, '{BETWEEN_WORDS}'), ''));
END
$$;
CREATE FUNCTION search_text(written text) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE COST 1000 AS $$
BEGIN
    written := lower(written);
    IF octet_length(written) > char_length(written) THEN
        written := regexp_replace(written, '[{UNSEEN}]', '', 'g');{PLAIN}    END IF;
    RETURN written;
END
$$;
"""


class Migration(migrations.Migration):
    """Words are found whatever invisible characters are stored in them; see core.search.

    The former `search_words` is not restored: its indexes were built anew with this one.
    """

    dependencies = [("core", "0002_search_words")]

    operations = [migrations.RunSQL(CREATE, "DROP FUNCTION search_text(text)")]
