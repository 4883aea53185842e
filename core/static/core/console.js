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
