"use strict";
// A choice in an autocomplete filter opens the list filtered by it.
window.addEventListener("load", function () {
    django.jQuery(".filter-choice").on("change", function () {
        const field = this.closest(".filter-field");
        const query = new URLSearchParams(field.dataset.query);
        query.delete("p");
        if (this.value) {
            query.set(field.dataset.parameter, this.value);
        }
        window.location.search = query.toString();
    });
});
