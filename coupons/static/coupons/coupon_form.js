"use strict";
// Shows only what the chosen kind of discount and restriction needs. The server judges all of it anyway.
document.addEventListener("DOMContentLoaded", () => {
    const kind = document.getElementById("id_discount_type");
    const bySegments = document.getElementById("id_is_segment_restricted");
    const byCategories = document.getElementById("id_is_category_restricted");
    const anonymous = document.getElementById("id_allows_anonymous");
    if (!kind || !bySegments || !byCategories || !anonymous) {
        return;
    }
    const show = (name, isShown) => {
        const row = document.querySelector(`.form-row.field-${name}`);
        if (row && !row.classList.contains("errors")) {
            row.hidden = !isShown;
        }
    };
    const update = () => {
        show("discount_percentage", kind.value === "PERCENT");
        show("discount_amount", kind.value === "ABSOLUTE");
        show("discount_currency", kind.value === "ABSOLUTE");
        show("discount_calculation_type", kind.value !== "FREE_SHIPPING");
        const segments = bySegments.checked;
        show("segments", segments);
        show("is_category_restricted", byCategories.checked || (!segments && kind.value !== "FREE_SHIPPING"));
        show("included_categories", byCategories.checked);
        show("excluded_categories", byCategories.checked);
        show("allows_anonymous", anonymous.checked || !segments);
        show("valid_for", !segments && !anonymous.checked);
        show("max_redemptions_per_customer", !anonymous.checked);
    };
    for (const control of [kind, bySegments, byCategories, anonymous]) {
        control.addEventListener("change", update);
    }
    update();
});
