from django.db import migrations

CREATE = r"""
CREATE FUNCTION translation_for(translations jsonb, wanted text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN translations ->> wanted <> '' THEN wanted ELSE (
        SELECT language FROM (
            SELECT key AS language, replace(lower(key), '_', '-') || '-' AS tag,
                replace(lower(wanted), '_', '-') || '-' AS wanted_tag
            FROM jsonb_each_text(translations) WHERE value <> ''
        ) AS stored
        WHERE starts_with(wanted_tag, tag) OR starts_with(tag, wanted_tag)
        -- The language itself or its nearest base; else the shortest that begins with it.
        ORDER BY starts_with(wanted_tag, tag) DESC,
            CASE WHEN starts_with(wanted_tag, tag) THEN -length(tag) ELSE length(tag) END, language COLLATE "C"
        LIMIT 1
    ) END
$$;
CREATE FUNCTION cut_translations(translations jsonb, accepted text[], fallback text) RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT coalesce(
        (SELECT jsonb_object_agg(language, translations -> language)
         FROM (SELECT translation_for(translations, wanted) AS language FROM unnest(accepted) AS wanted) AS found
         WHERE language IS NOT NULL),
        (SELECT jsonb_build_object(language, translations -> language)
         FROM translation_for(translations, fallback) AS language WHERE language IS NOT NULL),
        (SELECT jsonb_build_object(key, value) FROM jsonb_each(translations) WHERE value <> '""'
         ORDER BY length(key), key COLLATE "C" LIMIT 1),
        '{}'::jsonb)
$$;
"""
DROP = """
DROP FUNCTION cut_translations(jsonb, text[], text);
DROP FUNCTION translation_for(jsonb, text);
"""


class Migration(migrations.Migration):
    """The texts of a localized field that are shown: the accepted languages, the default one, or any.

    Regions match both ways, as in `core.representation.languages`; an empty text counts as absent.
    """

    operations = [migrations.RunSQL(CREATE, DROP)]
