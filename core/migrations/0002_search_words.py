from django.db import migrations

# ASCII apart from letters and digits, and the blanks, dashes and quotes of other alphabets: what lies between
# words. Ranges instead of named classes, which depend on the locale of the database.
BETWEEN_WORDS = r"[\s!-/:-@[-`{-~\u00a0\u00ab\u00b7\u00bb\u2010-\u201f\u3000\ufeff]+"
# In PL/pgSQL, which is faster here than SQL. `search_words` calls functions of PostgreSQL only, since an index is
# built and analyzed without the schema of other functions in the search path.
CREATE = rf"""
CREATE FUNCTION search_words(written text) RETURNS tsvector
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE COST 1000 AS $$
BEGIN
    written := lower(written);
    IF octet_length(written) > char_length(written) THEN
        written := normalize(regexp_replace(normalize(written, NFD), '[\u0300-\u036f]', '', 'g'), NFC);
        written := replace(replace(replace(written, 'ß', 'ss'), 'æ', 'ae'), 'œ', 'oe');
        written := translate(written, 'øłđıħŧ', 'oldiht');
    END IF;
    RETURN array_to_tsvector(array_remove(regexp_split_to_array(written, '{BETWEEN_WORDS}'), ''));
END
$$;
CREATE FUNCTION search_query(written text, suffix text) RETURNS tsquery
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT string_agg(quote_literal(word) || suffix, ' & ')::tsquery
    FROM unnest(tsvector_to_array(search_words(written))) AS word
$$;
"""
DROP = """
DROP FUNCTION search_query(text, text);
DROP FUNCTION search_words(text);
"""


class Migration(migrations.Migration):
    """Words of a text without case and accents, for PostgreSQL's full-text search; see core.search."""

    dependencies = [("core", "0001_cut_translations")]

    operations = [migrations.RunSQL(CREATE, DROP)]
