"use strict";
// Fetches what a page shows late, such as the slow panels of the start page. Without it they are links.
document.addEventListener("DOMContentLoaded", () => {
    for (const place of document.querySelectorAll("[data-fragment]")) {
        fetch(place.dataset.fragment, { headers: { "X-Fragment": "1" }, credentials: "same-origin" })
            .then((response) => (response.ok ? response.text() : Promise.reject(response.status)))
            .then((text) => {
                place.innerHTML = text;
                place.removeAttribute("aria-busy");
                place.dispatchEvent(new CustomEvent("fragment", { bubbles: true }));
            })
            .catch(() => place.removeAttribute("aria-busy"));
    }
});
// A number elsewhere on the page that a fragment knows.
document.addEventListener("fragment", (event) => {
    for (const source of event.target.querySelectorAll("[data-number-of]")) {
        for (const target of document.querySelectorAll(`[data-number="${source.dataset.numberOf}"]`)) {
            target.textContent = source.dataset.text;
            target.closest("[data-state]")?.setAttribute("data-state", source.dataset.state);
        }
    }
});
// Opens and closes the dialog that a link stands for; without scripts the link leads to its page.
document.addEventListener("click", (event) => {
    const opener = event.target.closest("[data-dialog]");
    const dialog = opener && document.getElementById(opener.dataset.dialog);
    if (dialog && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
        event.preventDefault();
        dialog.showModal();
        dialog.querySelector("textarea")?.focus();
    }
    if (event.target.closest("[data-close]")) {
        event.target.closest("dialog")?.close();
    }
});
// A list can be pasted as soon as its form is unfolded.
document.addEventListener("toggle", (event) => {
    if (event.target.matches("details.paste[open]")) {
        event.target.querySelector("textarea")?.focus();
    }
}, true);
// On a phone filters with many choices are folded, so that the list is near; who unfolds one finds it so again.
document.addEventListener("DOMContentLoaded", () => {
    if (!matchMedia("(max-width: 767px)").matches) {
        return;
    }
    const chosen = JSON.parse(sessionStorage.getItem("django.admin.filtersState") ?? "{}");
    for (const filter of document.querySelectorAll("#changelist-filter details[open]")) {
        const isLong = filter.matches(".autocomplete-filter") || filter.querySelectorAll("li").length > 4;
        const isUsed = filter.querySelector("li.selected:not(:first-child), .filter-field > a");
        if (isLong && !isUsed && !(filter.dataset.filterTitle in chosen)) {
            filter.open = false;
        }
    }
});
// Names the search fields of select2 for screen readers, as their labels do, after the admin has made them.
window.django?.jQuery?.(() => {
    for (const field of document.querySelectorAll("select.select2-hidden-accessible")) {
        const text = document.querySelector(`label[for="${field.id}"]`)?.textContent.replace(":", "").trim();
        for (const part of field.nextElementSibling?.querySelectorAll("[role=combobox], [role=textbox], .select2-search__field") ?? []) {
            part.setAttribute("aria-label", text || field.name);
        }
    }
});
// A page that waits for a choice begins there, and who types in a choice searches at once.
window.django?.jQuery?.(() => {
    const choice = document.querySelector("[data-begins] select.select2-hidden-accessible");
    if (choice && !choice.value) {
        choice.nextElementSibling.querySelector(".select2-selection").focus();
    }
});
document.addEventListener("keydown", (event) => {
    // a browser that fills a form in by itself sends events without a key
    const isText = event.key?.length === 1 && event.key !== " " && !event.ctrlKey && !event.metaKey && !event.altKey;
    if (isText && event.target.matches(".select2-selection--single")) {
        window.django.jQuery(event.target.closest(".select2-container").previousElementSibling).select2("open");
        const search = document.querySelector(".select2-container--open .select2-search__field");
        if (!search) {
            return; // it cannot be chosen at the moment
        }
        event.preventDefault();
        search.value = event.key;
        search.focus();
        search.dispatchEvent(new Event("input", { bubbles: true }));
    }
});
