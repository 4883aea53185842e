from django.db import migrations

CREATE = r"""
CREATE FUNCTION translation_for(translations jsonb, wanted text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT language FROM jsonb_object_keys(translations) AS language
    WHERE starts_with(replace(lower(wanted), '_', '-') || '-', replace(lower(language), '_', '-') || '-')
    ORDER BY length(language) DESC LIMIT 1
$$;
CREATE FUNCTION cut_translations(translations jsonb, accepted text[], fallback text) RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT coalesce(
        (SELECT jsonb_object_agg(language, translations -> language)
         FROM (SELECT translation_for(translations, wanted) AS language FROM unnest(accepted) AS wanted) AS found
         WHERE language IS NOT NULL),
        (SELECT jsonb_build_object(language, translations -> language)
         FROM translation_for(translations, fallback) AS language WHERE language IS NOT NULL),
        '{}'::jsonb)
$$;
"""
DROP = """
DROP FUNCTION cut_translations(jsonb, text[], text);
DROP FUNCTION translation_for(jsonb, text);
"""


class Migration(migrations.Migration):
    """The language cut of localized fields, in SQL; the same rule as `core.representation.languages.cut`."""

    operations = [migrations.RunSQL(CREATE, DROP)]
